# sim.sh : starts the sim cluster, and ends it: the control plane as in production
# (etcd on disk, with fsync), and simulated nodes, whose pods are rows in a table and
# no containers. It needs no root and may run beside the local cluster. To be sourced
# by up.sh and down.sh. Daemons that run are kept; where none runs, remains are
# cleaned first.
# shellcheck shell=bash

# shellcheck source=control.sh
source "$CLUSTER_DIR/control.sh"

# all ports are 10,000 above those of the local cluster
API_HOST=127.0.0.1 API_PORT=16443
ETCD_PORT=12379 CONTROLLERS_PORT=20257 SCHEDULER_PORT=20259
DAEMONS=(etcd kube-apiserver kube-controller-manager kube-scheduler fakenodes)
SIM_NODES=${SIM_NODES:-50}
SIM_PODS=${SIM_PODS:-110} # that a node takes at once, as a kubelet does
ETCD_MORE=()
# nobody reaches the API server by its service, and a loopback address may be no endpoint
API_MORE=(--endpoint-reconciler-type=none)

# shellcheck source=pki.sh
source "$CLUSTER_DIR/pki.sh"

# of_another : true where a checkout that is not this one has started the cluster,
# is still there, and the cluster lives
of_another() {
  CHECKOUT=$(cat "$STATE/checkout" 2>/dev/null || true)
  [ -d "$CHECKOUT" ] && [ "$CHECKOUT" != "$REPO" ] && any_alive "$STATE"
}

nodes_ready() {
  [ "$(kube kubectl get nodes --request-timeout=5s -o jsonpath='{.items[*].status.conditions[?(@.type=="Ready")].status}' 2>/dev/null |
    grep -o True | wc -l)" -ge "$SIM_NODES" ]
}

cluster_up() {
  if of_another; then
    die "the cluster of simulated nodes of another checkout is up: $CHECKOUT" "use that one, or end it there: make cluster-down CLUSTER=sim"
  fi
  export KUBECONFIG=$ADMIN
  BUILD=$(cat "$STATE/build" 2>/dev/null || true)
  if [ -n "$BUILD" ] && all_alive && nodes_ready; then
    say "the cluster is up already"
    return
  fi
  need ss=iproute2 openssl=openssl
  guard_ports <<<"$(control_plane_ports)"
  if [ ! -x "$BUILD/kube" ] || ! any_alive "$STATE"; then
    BUILD=$("$CLUSTER_DIR/build.sh")
    clean
  fi
  SECONDS=0
  mkdir -p "$STATE"/{log,pid,cfg}
  (umask 077 && mkdir -p "$PKI")
  echo sim >"$STATE/flavour"
  echo "$REPO" >"$STATE/checkout"
  echo "$BUILD" >"$STATE/build"
  # a user of their own, in the group of kubelets: priority and fairness hold for it
  # as for them, which for an administrator it does not
  make_pki /O=system:nodes/CN=simulated-nodes
  control_plane
  kube kubectl apply --filename "$CLUSTER_DIR/sim.yaml" >/dev/null
  KUBECONFIG=$STATE/cfg/kubelet.kubeconfig start fakenodes "$BUILD/kube" fakenodes \
    -nodes "$SIM_NODES" -pods "$SIM_PODS" -tainted=false
  wait_for fakenodes 60 nodes_ready
  say "the cluster is up, $SECONDS s after its start"
}

cluster_down() {
  if [ ! -e "$STATE" ]; then
    say "no cluster of simulated nodes here"
    return
  fi
  if [ "$FORCE" = no ] && of_another; then
    die "this cluster of simulated nodes is not of this checkout: $CHECKOUT" \
      "end it there, or here with: CLUSTER=sim e2e/cluster/down.sh --force"
  fi
  clean
  say "the cluster of simulated nodes is down"
}

clean() {
  local i
  for ((i = ${#DAEMONS[@]} - 1; i >= 0; i--)); do end "$STATE/pid/${DAEMONS[i]}"; done
  rm -rf --one-file-system "$STATE"
}
