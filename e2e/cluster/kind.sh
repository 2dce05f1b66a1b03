# kind.sh : the cluster as a kind cluster, where a Docker engine is. To be sourced
# by up.sh and down.sh. Not run on machines without Docker, so by none of ours yet.
# It must never touch another kind cluster than the one named kipu, nor the
# caller's own kubeconfig.
# shellcheck shell=bash

KIND_NAME=kipu

kind_here() {
  docker_answers || die "no Docker engine answers" "start it, or: CLUSTER=local"
  command -v kind >/dev/null || die "kind is not on PATH" "install it, or: CLUSTER=local"
}

cluster_up() {
  kind_here
  if ! command -v kubectl >/dev/null || ! command -v helm >/dev/null; then "$CLUSTER_DIR/build.sh" >/dev/null; fi
  mkdir -p "$STATE/cfg"
  if kind get clusters 2>/dev/null | grep -qx "$KIND_NAME"; then
    [ "$(cat "$STATE/flavour" 2>/dev/null || true)" = kind ] ||
      die "a kind cluster named $KIND_NAME is here which this checkout did not start" "end it: kind delete cluster --name $KIND_NAME"
    kind export kubeconfig --name "$KIND_NAME" --kubeconfig "$ADMIN" >&2
    if [ -e "$STATE/ready" ]; then
      say "the cluster is up already"
      return
    fi
    # its creation was interrupted, and kind cannot resume one
    kind delete cluster --name "$KIND_NAME" --kubeconfig "$ADMIN" >&2
  fi
  echo kind >"$STATE/flavour"
  rm -f "$STATE/ready"
  kind create cluster --name "$KIND_NAME" --kubeconfig "$ADMIN" --wait 180s >&2
  touch "$STATE/ready"
}

cluster_down() {
  kind_here
  kind delete cluster --name "$KIND_NAME" --kubeconfig "$ADMIN" >&2
  rm -rf "$STATE"
  say "the cluster is down"
}
