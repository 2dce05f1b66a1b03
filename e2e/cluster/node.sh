# node.sh : the node of the local cluster: containerd and the kubelet.
# To be sourced by local.sh.
# shellcheck shell=bash

ctr() { # with each call it would warn of cgroup v1
  "$BUILD/ctr" --address "$SOCKETS/containerd.sock" --namespace k8s.io "$@" 2> >(grep -v DEPRECATION >&2 || true)
}

node() {
  local c
  mkdir -p "$STATE"/{containerd,cni,cni-data,kubelet,podlogs}
  # cgroup v2 gives a child only what its parent passes on
  for c in cpuset cpu io memory hugetlb pids; do
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
  done
  # a cgroup root of our own: what is in it is ours to end, whatever its state
  for c in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if [ -e "$c/cgroup.procs" ] && [ ! -e "$c/cgroup.type" ]; then mkdir -p "$c/$CGROUP"; fi
  done
  node_config

  PATH=$BUILD:$PATH start containerd "$BUILD/containerd" --config "$STATE/cfg/containerd.toml"
  wait_for containerd 30 ctr version
  for c in registry.local/kipu-pause:1=pause docker.io/library/busybox:1.36=busybox; do
    ctr images ls -q | grep -qxF "${c%=*}" || ctr images import "$IMAGES/${c#*=}.tar" >/dev/null
  done

  start kubelet "$BUILD/kube" kubelet --config="$STATE/cfg/kubelet.yaml" --kubeconfig="$STATE/cfg/kubelet.kubeconfig" \
    --root-dir="$STATE/kubelet" --hostname-override="$NODE" --node-ip="$GATEWAY"
  wait_for kubelet 90 node_ready
}

node_config() {
  cat >"$STATE/cni/10-kipu.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "kipu", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": false, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni-data",
            "ranges": [[{"subnet": "$POD_NET", "gateway": "$GATEWAY"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  cat >"$STATE/cfg/containerd.toml" <<TOML
version = 3
root = "$STATE/containerd"
state = "$SOCKETS/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$SOCKETS/containerd.sock"
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = "$SOCKETS/s"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "registry.local/kipu-pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  # without CAP_SYS_RESOURCE a negative oom_score_adj may not be written
  restrict_oom_score_adj = true
  # so that a pod's network namespace is known for ours when it is left behind
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "$SOCKETS/runc"
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "$STATE/cni"
TOML
  cat >"$STATE/cfg/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
containerRuntimeEndpoint: unix://$SOCKETS/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PKI/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$PKI/kubelet.crt"
tlsPrivateKeyFile: "$PKI/kubelet.key"
address: $GATEWAY
clusterDNS: [$GATEWAY]
clusterDomain: cluster.local
resolvConf: ""
failSwapOn: false
oomScoreAdj: 0
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
# the images have no registry to come back from
imageGCHighThresholdPercent: 100
imageMinimumGCAge: 8760h
maxPods: 240
podLogsDir: "$STATE/podlogs"
kubeAPIQPS: 500
kubeAPIBurst: 1000
makeIPTablesUtilChains: false
serializeImagePulls: false
# brings the end of a Job's pod to its Job within 1 s rather than 3 s
featureGates: {EventedPLEG: true}
YAML
}
