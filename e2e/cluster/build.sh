#!/usr/bin/env bash
# build.sh : builds, unless the cache holds them, the binaries of the local
# cluster from Go modules, and prints their folder: the multi-call binary kube
# (etcd, the control plane, kubelet, kubectl, helm, ...), pause, and containerd
# with its shim and ctr. Links what people call (kubectl, helm) into <cache>/bin.
# An interrupted build resumes. It must never leave a half-written binary under
# its final name, nor compile again what stands.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

cd "$CLUSTER_DIR/kube"
CONTAINERD=github.com/containerd/containerd/v2
TARGETS=(. ./pause "$CONTAINERD"/cmd/{containerd,containerd-shim-runc-v2,ctr})
TAGS=providerless,grpcnotrace,no_btrfs,no_devmapper,no_zfs
required() { awk -v m="$1" '$1=="require" {$1=$2; $2=$3} $1==m {print $2; exit}' go.mod; }
KUBE_VERSION=$(required k8s.io/kubernetes)
LDFLAGS="-s -w -X $CONTAINERD/version.Version=$(required $CONTAINERD)"
# an API server or kubectl that does not know its version gets feature gates wrong
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  IFS=. read -r major minor _ <<<"${KUBE_VERSION#v}"
  LDFLAGS+=" -X $p.gitVersion=$KUBE_VERSION -X $p.gitMajor=$major -X $p.gitMinor=$minor"
  LDFLAGS+=" -X $p.gitTreeState=clean -X $p.gitCommit=$(printf '0%.0s' {1..40}) -X $p.buildDate=1970-01-01T00:00:00Z"
done
LDFLAGS+=" -X helm.sh/helm/v4/internal/version.version=$(required helm.sh/helm/v4)"

# the binaries are stripped, and what is not made need not be: a fifth of the time
GCFLAGS=all=-dwarf=false

# Of Go itself the version that go.mod asks for counts, not the one at hand: what
# stands is good whichever made it, and a machine without Go need not fetch one.
KEY=$(key "=$TAGS $GCFLAGS $LDFLAGS ${TARGETS[*]} $(uname -m)" go.mod go.sum ./*.go pause/*.go)
OUT=$CACHE/build/$KEY

build() {
  local go log=$CACHE/build.log total ticker rc=0
  go=$("$CLUSTER_DIR/go.sh")
  rm -rf "$OUT.new"
  mkdir -p "$OUT.new/bin"
  export CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false GOCACHE=$CACHE/gocache
  say "fetching the Go modules"
  total=$("$go" list -deps -tags "$TAGS" "${TARGETS[@]}" 2>"$log" | wc -l) ||
    { tail -20 "$log" >&2; die "the Go modules could not be had" "the log is $log; the same command resumes"; }
  say "building Kubernetes $KUBE_VERSION and containerd with $("$go" env GOVERSION): about seven minutes on two cores"
  : >"$log"
  while sleep 15 && kill -0 $$ 2>/dev/null; do say "building: $SECONDS s, $(wc -l <"$log") of at most $total packages"; done 9>&- &
  ticker=$!
  "$go" build -v -trimpath -tags "$TAGS" -gcflags "$GCFLAGS" -ldflags "$LDFLAGS" -o "$OUT.new/" "${TARGETS[@]}" >"$log" 2>&1 9>&- || rc=$?
  kill "$ticker" 2>/dev/null || true
  if [ "$rc" != 0 ]; then
    tail -20 "$log" >&2
    die "the Go build failed" "the log is $log; the same command resumes"
  fi
  for p in kubectl helm fakenodes; do ln -s ../kube "$OUT.new/bin/$p"; done
  mv -T "$OUT.new" "$OUT"
  # 4 GB that serve nothing until a source of this build changes
  [ -n "${KIPU_KEEP_GOCACHE:-}" ] || rm -rf "$GOCACHE"
  say "built in $SECONDS s"
}

main() {
  if [ ! -d "$OUT" ]; then
    lock build
    [ -d "$OUT" ] || build
  fi
  if [ "$(readlink "$BIN")" != "$OUT/bin" ]; then
    ln -sfn "$OUT/bin" "$BIN.new"
    mv -T "$BIN.new" "$BIN"
  fi
  prune build "$KEY"
  echo "$OUT"
}

# on one line, for bash reads a script as it goes, and minutes pass in between
main; exit
