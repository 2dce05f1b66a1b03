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

all_alive() {
  local d
  for d in "${DAEMONS[@]}"; do alive "$STATE/pid/$d" || return 1; done
}
node_ready() {
  [ "$(kube kubectl get node "$NODE" --request-timeout=5s -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}
kube() { "$BUILD/kube" "$@"; }

start() { # NAME COMMAND... : in a session of its own, with its log
  local name=$1 f=$STATE/pid/$1 _
  shift
  if alive "$f"; then return; fi
  # the daemon writes its pid file itself, lest an end of this script between its
  # start and that line leaves it nobody's; 9>&-: else it would hold the lock
  # shellcheck disable=SC2016
  setsid nohup bash -c 'echo "$$ $(sed "s/.*) //" /proc/$$/stat | cut -d" " -f20)" >"$0"; exec "$@"' \
    "$f" "$@" </dev/null >>"$STATE/log/$name.log" 2>&1 9>&- &
  for _ in {1..200}; do
    alive "$f" && return
    sleep 0.01
  done
}
wait_for() { # DAEMON SECONDS COMMAND... : until the command succeeds
  local name=$1 until=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ! alive "$STATE/pid/$name" || [ $SECONDS -ge $until ]; then
      tail -5 "$STATE/log/$name.log" >&2
      die "$name did not come up" "its log is $STATE/log/$name.log; to start anew: e2e/cluster/down.sh, then up.sh"
    fi
    sleep 0.1
  done
  say "$name: ready"
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
  make_pki
  network
  control_plane
  node
  say "the cluster is up, $SECONDS s after its start"
}

network() {
  [ -e "/sys/class/net/$BRIDGE" ] || ip link add "$BRIDGE" type bridge
  ip addr replace "$GATEWAY/${POD_NET#*/}" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  iptables -t nat -C "${DNAT[@]}" 2>/dev/null || iptables -t nat -A "${DNAT[@]}"
}

control_plane() {
  # no fsync: the data need not survive a crash of the machine
  start etcd "$BUILD/kube" etcd --name kipu --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster kipu=http://127.0.0.1:2380 --quota-backend-bytes 4294967296
  start kube-apiserver "$BUILD/kube" kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address="$GATEWAY" --advertise-address="$GATEWAY" --secure-port=6443 \
    --service-cluster-ip-range="$SERVICE_NET" --allow-privileged=true --profiling=false \
    --etcd-compaction-interval=30s \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$PKI/admin.crt" --kubelet-client-key="$PKI/admin.key" \
    --requestheader-client-ca-file="$PKI/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key"
  wait_for kube-apiserver 90 kube kubectl get --raw /readyz
  # the limits of requests are raised: at their defaults 3 Jobs a second is all
  start kube-controller-manager "$BUILD/kube" kube-controller-manager --kubeconfig="$STATE/cfg/kcm.kubeconfig" \
    --authentication-kubeconfig="$STATE/cfg/kcm.kubeconfig" --authorization-kubeconfig="$STATE/cfg/kcm.kubeconfig" \
    --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials=true --profiling=false \
    --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/sa.key" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --kube-api-qps=1000 --kube-api-burst=2000 --concurrent-job-syncs=50 --concurrent-gc-syncs=50
  cat >"$STATE/cfg/scheduler.yaml" <<YAML
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: "$STATE/cfg/scheduler.kubeconfig", qps: 1000, burst: 2000}
leaderElection: {leaderElect: false}
enableProfiling: false
YAML
  start kube-scheduler "$BUILD/kube" kube-scheduler --config="$STATE/cfg/scheduler.yaml" --bind-address=127.0.0.1 \
    --authentication-kubeconfig="$STATE/cfg/scheduler.kubeconfig" --authorization-kubeconfig="$STATE/cfg/scheduler.kubeconfig"
  start dns "$BUILD/kube" dns -listen "$GATEWAY:53" -address "$SERVICE_IP"
  wait_for kube-controller-manager 60 kube kubectl get serviceaccount default
}
