#!/usr/bin/env bash
# load-image.sh : gives the cluster of this checkout the image which image.sh
# built, by its name and as kipu:<tag of its content>, so that pods with
# imagePullPolicy IfNotPresent find it. Prints that tag. It must never pull or push.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

ARCHIVE=$("$CLUSTER_DIR/image.sh")
TAG=$(cat "$(dirname "$ARCHIVE")/tag")
NAME=docker.io/library/${IMAGE%:*}
case $(cat "$STATE/flavour" 2>/dev/null || true) in
  local)
    BUILD=$(cat "$STATE/build")
    # shellcheck source=host.sh
    source "$CLUSTER_DIR/host.sh"
    # shellcheck source=node.sh
    source "$CLUSTER_DIR/node.sh"
    [ "$(id -u)" = 0 ] || die "loading into the local cluster needs root" "sudo -E e2e/cluster/load-image.sh"
    alive "$STATE/pid/containerd" || die "the cluster is not up" "start it: e2e/cluster/up.sh"
    if ! ctr images ls -q | grep -qxF "$NAME:$TAG"; then
      ctr images import "$ARCHIVE" >/dev/null
      ctr images tag --force "$NAME:${IMAGE#*:}" "$NAME:$TAG" >/dev/null
      say "loaded $IMAGE, $TAG"
    fi ;;
  kind)
    docker load --quiet --input "$ARCHIVE" >/dev/null # it may have been pruned since
    docker tag "$IMAGE" "${IMAGE%:*}:$TAG"
    kind load docker-image --name kipu "$IMAGE" "${IMAGE%:*}:$TAG" >&2 ;;
  sim) die "the sim cluster runs no containers, and so no image" "Kipu runs beside it as a process: make scale" ;;
  *) die "no cluster of up.sh stands here" "start one: e2e/cluster/up.sh" ;;
esac
echo "$TAG"
