# control.sh : the control plane of a cluster made of this machine's own processes:
# etcd, API server, controller manager, scheduler; and how such processes are
# started, waited for and ended. To be sourced by local.sh, sim.sh and down.sh. It
# must never end a process that it did not start, nor start one that runs.
# shellcheck shell=bash

SERVICE_NET=10.96.0.0/24
SERVICE_IP=10.96.0.1 # the API server's service

all_alive() {
  local d
  for d in "${DAEMONS[@]}"; do alive "$STATE/pid/$d" || return 1; done
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

# --- ports, and the end --------------------------------------------------------
listeners() { # PORT -> "address users" of each socket listening there
  ss -Hlntup "sport = :$1" | awk '{print $5, $7}'
}

control_plane_ports() {
  cat <<LINES
etcd 127.0.0.1 $ETCD_PORT
etcd 127.0.0.1 $((ETCD_PORT + 1))
kube-apiserver $API_HOST $API_PORT
kube-controller-manager 127.0.0.1 $CONTROLLERS_PORT
kube-scheduler 127.0.0.1 $SCHEDULER_PORT
LINES
}

# guard_ports : ends the script, with nothing touched, where something else holds a
# port that this cluster would take, by lines DAEMON ADDRESS PORT of stdin. Only
# daemons that are not ours already are looked at.
guard_ports() {
  local daemon addr port line at
  while read -r daemon addr port; do
    if alive "$STATE/pid/$daemon"; then continue; fi
    while read -r line; do
      at=${line%% *} at=${at%:*}
      case ${at%%%*} in
        "$addr" | 0.0.0.0 | '*' | '[::]')
          die "port $port, which $daemon needs, is taken: ${line#* }" \
            "end that program (another cluster?), then run the same command again" ;;
      esac
    done < <(listeners "$port")
  done
}

end() { # PIDFILE : by its pid, and only if that is still the process we started
  local pid _
  if alive "$1"; then
    read -r pid _ <"$1"
    # the state goes too, so there is nothing to end gracefully for
    kill -KILL "$pid" 2>/dev/null || true
    for _ in {1..100}; do
      alive "$1" || break
      sleep 0.05
    done
  fi
  rm -f "$1"
}

# --- the control plane ---------------------------------------------------------
# control_plane : etcd, API server, controller manager and scheduler, up to the first
# service account. The caller says where they listen (ETCD_PORT, its peers' port one
# higher; API_HOST and API_PORT; CONTROLLERS_PORT; SCHEDULER_PORT) and what else they
# are told (ETCD_MORE, API_MORE).
control_plane() {
  local etcd=http://127.0.0.1:$ETCD_PORT peers=http://127.0.0.1:$((ETCD_PORT + 1))
  start etcd "$BUILD/kube" etcd --name kipu --data-dir "$STATE/etcd" --log-level warn \
    --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" \
    --initial-cluster "kipu=$peers" --quota-backend-bytes 4294967296 "${ETCD_MORE[@]}"
  start kube-apiserver "$BUILD/kube" kube-apiserver --etcd-servers="$etcd" \
    --bind-address="$API_HOST" --advertise-address="$API_HOST" --secure-port="$API_PORT" \
    --service-cluster-ip-range="$SERVICE_NET" --allow-privileged=true --profiling=false \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$PKI/admin.crt" --kubelet-client-key="$PKI/admin.key" \
    --requestheader-client-ca-file="$PKI/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" "${API_MORE[@]}"
  wait_for kube-apiserver 90 kube kubectl get --raw /readyz
  # the limits of requests are raised: at their defaults 3 Jobs a second is all
  start kube-controller-manager "$BUILD/kube" kube-controller-manager --kubeconfig="$STATE/cfg/kcm.kubeconfig" \
    --authentication-kubeconfig="$STATE/cfg/kcm.kubeconfig" --authorization-kubeconfig="$STATE/cfg/kcm.kubeconfig" \
    --bind-address=127.0.0.1 --secure-port="$CONTROLLERS_PORT" --leader-elect=false \
    --use-service-account-credentials=true --profiling=false \
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
  start kube-scheduler "$BUILD/kube" kube-scheduler --config="$STATE/cfg/scheduler.yaml" \
    --bind-address=127.0.0.1 --secure-port="$SCHEDULER_PORT" \
    --authentication-kubeconfig="$STATE/cfg/scheduler.kubeconfig" --authorization-kubeconfig="$STATE/cfg/scheduler.kubeconfig"
  wait_for kube-controller-manager 60 kube kubectl get serviceaccount default
}
