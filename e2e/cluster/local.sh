# local.sh : starts the local cluster: one real node made of this machine's own
# processes, with no Docker. To be sourced by up.sh. Daemons that run are kept, so
# an interrupted start resumes; where none runs, remains are cleaned first.
# shellcheck shell=bash

# shellcheck source=host.sh
source "$CLUSTER_DIR/host.sh"
# shellcheck source=pki.sh
source "$CLUSTER_DIR/pki.sh"
# shellcheck source=node.sh
source "$CLUSTER_DIR/node.sh"

# no fsync: the data need not survive a crash of the machine
ETCD_MORE=(--unsafe-no-fsync)
API_MORE=(--etcd-compaction-interval=30s)

node_ready() {
  [ "$(kube kubectl get node "$NODE" --request-timeout=5s -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}

cluster_up() {
  if foreign; then
    die "another cluster runs on this machine: checkout $OWNER_REPO, state in $OWNER_STATE" \
      "use that one, or end it with its own e2e/cluster/down.sh: there is room for one"
  fi
  export KUBECONFIG=$ADMIN
  BUILD=$(cat "$STATE/build" 2>/dev/null || true)
  if [ -n "$BUILD" ] && all_alive && node_ready; then
    say "the cluster is up already"
    return
  fi
  [ "$(id -u)" = 0 ] || die "a local cluster needs root: it makes a bridge, mounts and cgroups" \
    "sudo -E e2e/cluster/up.sh, or CLUSTER=kind where Docker is"
  need ip=iproute2 ss=iproute2 iptables=iptables openssl=openssl runc=runc \
    /usr/lib/cni/bridge=containernetworking-plugins busybox=busybox-static
  guard
  if [ ! -x "$BUILD/kube" ] || ! any_alive "$STATE"; then
    BUILD=$("$CLUSTER_DIR/build.sh")
  fi
  IMAGES=$("$CLUSTER_DIR/images.sh" "$BUILD")

  owner
  if [ -n "$OWNER_STATE" ] && [ "$OWNER_STATE" != "$STATE" ]; then clean "$OWNER_STATE"; fi
  if ! any_alive "$STATE"; then clean "$STATE"; fi
  SECONDS=0
  mkdir -p "$STATE"/{log,pid,cfg} "$SOCKETS"
  (umask 077 && mkdir -p "$PKI")
  printf '%s\n%s\n' "$STATE" "$REPO" >"$OWNER"
  echo local >"$STATE/flavour"
  echo "$BUILD" >"$STATE/build"
  make_pki "/O=system:nodes/CN=system:node:$NODE" "subjectAltName=DNS:$NODE,IP:$GATEWAY"
  network
  control_plane
  start dns "$BUILD/kube" dns -listen "$GATEWAY:53" -address "$SERVICE_IP"
  node
  say "the cluster is up, $SECONDS s after its start"
}

network() {
  [ -e "/sys/class/net/$BRIDGE" ] || ip link add "$BRIDGE" type bridge
  ip addr replace "$GATEWAY/${POD_NET#*/}" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  iptables -t nat -C "${DNAT[@]}" 2>/dev/null || iptables -t nat -A "${DNAT[@]}"
}

