# docker.sh : builds images with a Docker engine. To be sourced by image.sh. Not
# run on machines without Docker, so by none of ours yet.
# shellcheck shell=bash

base() {
  BASE=$(sed -n 's/^ARG BASE_IMAGE=//p' "$REPO/Dockerfile")
  BASE_PYTHON=$(docker run --rm --entrypoint python3 "$BASE" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
}

build_image() { # CONTEXT ARCHIVE
  docker build --quiet --build-arg BASE_IMAGE="$BASE" --build-arg PIP_ARGS="$PIP_ARGS" --tag "$IMAGE" "$1" >/dev/null
  docker save --output "$2" "$IMAGE"
  docker image inspect --format '{{.Id}}' "$IMAGE"
}
