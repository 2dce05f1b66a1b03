#!/usr/bin/env bash
# image.sh : builds the operator's image, kipu:dev, as an archive in the cache,
# with Docker where an engine answers, else with buildah. Prints the archive's
# path. The build itself needs no network: the pinned wheels are fetched first, on
# this machine. KIPU_TREE=<folder of previous.sh> builds that tree's, kipu:previous,
# beside it. It must never build what stands already.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
lock image

for f in Dockerfile requirements.lock pyproject.toml README.md operator/kipu/__init__.py; do
  [ -e "$REPO/$f" ] || die "$REPO/$f is missing: the image is built of it"
done
if docker_answers; then
  # shellcheck source=docker.sh
  source "$CLUSTER_DIR/docker.sh"
else
  [ "$(id -u)" = 0 ] || die "building without a Docker engine needs root" "sudo -E e2e/cluster/image.sh"
  need buildah=buildah
  # shellcheck source=buildah.sh
  source "$CLUSTER_DIR/buildah.sh"
fi
base

# --- the wheels, for the base's Python, not this machine's -----------------------
backend=$("$(python)" -c 'import sys, tomllib; print("\n".join(tomllib.load(open(sys.argv[1], "rb"))["build-system"]["requires"]))' "$REPO/pyproject.toml")
for_base=(--python-version "$BASE_PYTHON" --implementation cp --only-binary=:all: --platform "manylinux2014_$(uname -m)")
for glibc in 17 24 26 27 28 31 34; do for_base+=(--platform "manylinux_2_${glibc}_$(uname -m)"); done
key=$(key "=${for_base[*]} $backend" "$REPO/requirements.lock")
WHEELS=$CACHE/wheels/$key
if [ ! -d "$WHEELS" ]; then
  say "fetching the wheels for Python $BASE_PYTHON"
  rm -rf "$WHEELS.new"
  mkdir -p "$WHEELS.new"
  python=$(tool_python)
  pip_download() { "$python" -m pip download --quiet --disable-pip-version-check "${for_base[@]}" --dest "$WHEELS.new" "$@" >&2; }
  { pip_download --no-deps --require-hashes -r "$REPO/requirements.lock" && pip_download -r <(echo "$backend"); } ||
    die "the wheels of requirements.lock could not be had for Python $BASE_PYTHON" "see pip's lines above"
  mv -T "$WHEELS.new" "$WHEELS"
fi
prune wheels "$key"

# --- the context: what the Dockerfile copies and no more -------------------------
if [ -n "${KIPU_TREE:-}" ]; then OUT=$(dirname "$KIPU_TREE")/image; else OUT=$CACHE/image; fi
CONTEXT=$OUT/context
rm -rf "$CONTEXT"
mkdir -p "$CONTEXT"
cd "$REPO"
shopt -s nullglob # there may be no LICENSE
# the page of `kipu ui` is for people's machines
find Dockerfile .dockerignore requirements.lock pyproject.toml README.md LICENSE* operator \
  \( -name __pycache__ -o -path operator/kipu/cli/ui/static \) -prune -o -type f -print |
  LC_ALL=C sort >"$OUT/files"
tar -cf - -T "$OUT/files" | tar -xf - -C "$CONTEXT"
mapfile -t files <"$OUT/files"
key=$(cd "$CONTEXT" && key "=$BASE $WHEELS ${files[*]}" "${files[@]}")
if [ "$(cat "$OUT/key" 2>/dev/null)" != "$key" ] || [ ! -s "$OUT/kipu.tar" ]; then
  cp -al "$WHEELS" "$CONTEXT/wheelhouse"
  say "building $IMAGE"
  SECONDS=0
  rm -f "$OUT/key"
  PIP_ARGS='--no-index --find-links=/src/wheelhouse'
  id=$(build_image "$CONTEXT" "$OUT/kipu.tar")
  id=${id#sha256:}
  # by this tag a changed image rolls what runs the old one
  echo "dev-${id:0:12}" >"$OUT/tag"
  echo "$key" >"$OUT/key"
  say "built $IMAGE in $SECONDS s: $(cat "$OUT/tag"), $(du -m "$OUT/kipu.tar" | cut -f1) MB"
fi
rm -rf "$CONTEXT"
echo "$OUT/kipu.tar"
