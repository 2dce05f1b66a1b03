# host.sh : what a local cluster holds of the machine beyond its state folder (a
# bridge, a firewall rule, mounts, cgroups, ports), whose it is, and its removal.
# To be sourced by up.sh and down.sh. It must never touch what another cluster,
# or another program, has made: see foreign and guard.
# shellcheck shell=bash

# shellcheck source=control.sh
source "$CLUSTER_DIR/control.sh"

NODE=kipu-node
BRIDGE=kipu0
POD_NET=10.244.0.0/24
GATEWAY=10.244.0.1   # the machine as pods see it; the API server listens there
API_HOST=$GATEWAY API_PORT=6443
ETCD_PORT=2379 CONTROLLERS_PORT=10257 SCHEDULER_PORT=10259
CGROUP=kipu          # below it, in each hierarchy, nothing but our pods
OWNER=$SOCKETS/owner # "state-folder<newline>checkout": one local cluster a machine
# no kube-proxy here: the one service that pods need is one rule, on our own bridge
DNAT=(PREROUTING -i "$BRIDGE" -d "$SERVICE_IP/32" -p tcp --dport 443 -m comment --comment kipu -j DNAT --to-destination "$GATEWAY:$API_PORT")
KUBELET_PLUGINS=/var/lib/kubelet/device-plugins
# in the order of their start
DAEMONS=(etcd kube-apiserver kube-controller-manager kube-scheduler dns containerd kubelet)

# owner : sets OWNER_STATE and OWNER_REPO, empty where no cluster is marked
owner() {
  OWNER_STATE='' OWNER_REPO=''
  if [ -s "$OWNER" ]; then { read -r OWNER_STATE; read -r OWNER_REPO; } <"$OWNER" || true; fi
}

# foreign : true where the cluster that runs on this machine is of another checkout
# or state folder, and still lives. A dead one's remains are nobody's.
foreign() {
  owner
  [ -n "$OWNER_STATE" ] || return 1
  [ "$OWNER_STATE" != "$STATE" ] || [ "$OWNER_REPO" != "$REPO" ] || return 1
  any_alive "$OWNER_STATE" || return 1
  # its own down.sh is gone with its checkout, so this one may act for it
  [ "$OWNER_STATE" != "$STATE" ] || [ -d "$OWNER_REPO" ]
}

# guard : ends the script, with nothing touched, where something else holds what
# this cluster would take. Only daemons that are not ours already are looked at.
guard() {
  local wanted dev
  guard_ports <<<"$(control_plane_ports)
dns $GATEWAY 53
kubelet $GATEWAY 10250
kubelet 127.0.0.1 10248"
  dev=$(ip -4 -o addr show to "$POD_NET" | awk -v ours="$BRIDGE" '$2 != ours && !n++ {print $2}')
  [ -z "$dev" ] || die "the network interface $dev holds addresses of $POD_NET, the pods' network: another cluster is here" \
    "end that cluster, then run the same command again"
  wanted=$(iptables -t nat -S 2>/dev/null | grep -e "-d $SERVICE_IP/32" | grep -v -e '--comment kipu' | head -1) || true
  [ -z "$wanted" ] || die "a firewall rule of another cluster takes $SERVICE_IP: $wanted" \
    "end that cluster, then run the same command again"
}

# --- removal -------------------------------------------------------------------
# every process in our cgroups is a container's; this finds those, too, whose
# shim is dead
end_containers() {
  local procs pid _
  for _ in {1..100}; do
    procs=$(find "${CGROUPS[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u) || true
    [ -n "$procs" ] || return 0
    for pid in $procs; do kill -KILL "$pid" 2>/dev/null || true; done
    sleep 0.05
  done
  say "still alive in the cgroup $CGROUP: ${procs//$'\n'/ }"
}

# shims outlive containerd: those that serve our socket, each by its pid
end_shims() {
  local p
  for p in /proc/[0-9]*; do
    if tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -q "^[^ ]*containerd-shim-runc-v2 .*-address $SOCKETS/containerd.sock "; then
      kill -KILL "${p#/proc/}" 2>/dev/null || true
    fi
  done
}

unmount() { # FOLDER : all below it, the innermost first
  local m
  awk -v below="$1/" 'index($5, below) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r m; do
    umount -l "$(printf %b "$m")" || true
  done
}

# clean STATE-FOLDER : removes a cluster, whole or in remains, with its state
clean() {
  local state=$1 i c
  shopt -s nullglob
  CGROUPS=(/sys/fs/cgroup/{,*/}"$CGROUP"/) # of cgroup v1 or v2
  shopt -u nullglob
  end "$state/pid/kubelet"
  end "$state/pid/containerd"
  end_shims
  [ ${#CGROUPS[@]} = 0 ] || end_containers
  for ((i = ${#DAEMONS[@]} - 1; i >= 0; i--)); do end "$state/pid/${DAEMONS[i]}"; done
  unmount "$state"
  unmount "$SOCKETS"
  while iptables -t nat -D "${DNAT[@]}" 2>/dev/null; do :; done
  if [ -e "/sys/class/net/$BRIDGE" ]; then ip link del "$BRIDGE"; fi
  # a cgroup whose last process just ended may be busy for a moment
  for c in "${CGROUPS[@]}"; do
    for _ in {1..40}; do
      [ -d "$c" ] || break
      find "$c" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    done
  done
  # what CNI and the kubelet leave at places that no option moves
  grep -lsF "\"$SOCKETS/" /var/lib/cni/results/* | xargs -r rm -f || true
  [ ! -d /var/log/containers ] || find /var/log/containers -lname "$state/*" -delete
  ss -Hxl | grep -q " $KUBELET_PLUGINS/kubelet.sock " || rm -f "$KUBELET_PLUGINS/kubelet.sock"
  rmdir -p --ignore-fail-on-non-empty /var/lib/cni/results /var/log/containers "$KUBELET_PLUGINS" 2>/dev/null || true
  # --one-file-system: should a mount still be there, what it shows is not ours
  rm -rf --one-file-system "$state" "$SOCKETS"
}
