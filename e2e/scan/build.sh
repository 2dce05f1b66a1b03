#!/usr/bin/env bash
# build.sh : makes, unless the cache holds them, what `make scan` looks with, and
# prints their folder: bin/kubeconform, bin/kube-score and bin/alerts (Prometheus'
# rules) from Go modules, and sources/, Kubernetes' own OpenAPI and the CRDs of the
# Prometheus Operator, of the versions that the go.mod files pin. It must never leave
# a half-made folder under its final name.
set -euo pipefail
# shellcheck source=../cluster/lib.sh
source "$(dirname "$0")/../cluster/lib.sh"

cd "$(dirname "$0")"
KEY=$(key "=$(uname -m)" go.mod go.sum prometheus/go.mod prometheus/go.sum alerts/go.mod alerts/go.sum \
  alerts/*.go alerts/unused/{go.mod,option/*.go,transport/http/*.go} "$CLUSTER_DIR/kube/go.mod")
OUT=$CACHE/scan/$KEY

# module FOLDER PATH : the folder of a module that the go.mod of FOLDER pins, its checksum compared
module() (
  cd "$1"
  "$GO" mod download "$2" >&2
  "$GO" list -m -f '{{.Dir}}' "$2"
)

build() {
  local kubernetes prometheus
  GO=$("$CLUSTER_DIR/go.sh")
  rm -rf "$OUT.new"
  mkdir -p "$OUT.new/bin"
  export CGO_ENABLED=0 GOWORK=off GOFLAGS='-buildvcs=false -mod=readonly' GOCACHE=$CACHE/gocache-scan
  say "building kubeconform, kube-score and Prometheus' rules: about three minutes on two cores"
  nice -n 19 "$GO" build -trimpath -ldflags '-s -w' -o "$OUT.new/bin/" tool ||
    die "the Go build failed" "the same command resumes"
  nice -n 19 "$GO" -C alerts build -trimpath -ldflags '-s -w' -o "$OUT.new/bin/" . ||
    die "the Go build of Prometheus' rules failed" "the same command resumes"
  kubernetes=$(module "$CLUSTER_DIR/kube" k8s.io/kubernetes)
  prometheus=$(module prometheus github.com/prometheus-operator/prometheus-operator)
  mkdir "$OUT.new/sources"
  cp --no-preserve=mode "$kubernetes/api/openapi-spec/swagger.json" \
    "$prometheus"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml \
    "$OUT.new/sources/"
  mv -T "$OUT.new" "$OUT"
  rm -rf "$GOCACHE"
}

main() {
  if [ ! -d "$OUT" ]; then
    lock scan
    [ -d "$OUT" ] || build
  fi
  prune scan "$KEY"
  echo "$OUT"
}

main; exit
