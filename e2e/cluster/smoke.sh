#!/usr/bin/env bash
# smoke.sh : whether the cluster of KUBECONFIG does what Kipu and its tests rest
# on. Prints a line for each check and fails if any does. All it makes is in the
# namespace kipu-smoke, or named so, and is removed at the end. It must never
# change anything else in the cluster.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

export KUBECONFIG=${KUBECONFIG:-$ADMIN} PATH=$BIN:$PATH
NS=kipu-smoke
FAILED=0
k() { kubectl -n $NS "$@"; }
check() { # WHAT EXPECTED-IN-OUTPUT COMMAND...
  local what=$1 expected=$2 out
  shift 2
  out=$("$@" 2>&1) || true
  if grep -qF -e "$expected" <<<"$out"; then
    echo "ok   $what"
  else
    echo "FAIL $what"
    printf '     expected: %s\n     got: %s\n' "$expected" "$out"
    FAILED=1
  fi
}
# until COMMAND... : once it succeeds, or after 20 s
until_ok() {
  local _
  for _ in {1..100}; do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  return 1
}
remove() {
  kubectl delete --ignore-not-found --wait=false "ns/$NS" crd/widgets.smoke.kipu.dev \
    "validatingadmissionpolicybinding/$NS" "validatingadmissionpolicy/$NS" >/dev/null
}

kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 ||
  die "no cluster answers at KUBECONFIG=$KUBECONFIG" "start one: e2e/cluster/up.sh"
trap remove EXIT
kubectl delete ns $NS --ignore-not-found >/dev/null
until_ok kubectl apply -f "$CLUSTER_DIR/smoke.yaml" # what needs the namespace may come before it stands
kubectl wait --for=condition=Established crd/widgets.smoke.kipu.dev --timeout=20s >/dev/null
until_ok k get serviceaccount default

check "every node is Ready" True kubectl get nodes -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'

widget() { k apply -f - <<<"{apiVersion: smoke.kipu.dev/v1, kind: Widget, metadata: {name: a}, spec: {size: $1, name: \"$2\"}}"; }
until_ok k get widgets
check "a CEL rule refuses" "size must exceed 3" widget 1 x
check "a CEL rule accepts" created widget 5 x
check "a CEL rule on changes refuses" "name is immutable" widget 5 y

# a policy is enforced a moment after it is made
denied() { ! k create configmap denied --dry-run=server; }
until_ok denied || true
check "a ValidatingAdmissionPolicy refuses" "refused by $NS" k create configmap denied --dry-run=server
check "a ValidatingAdmissionPolicy lets pass" created k create configmap allowed
check "a ResourceQuota refuses" "exceeded quota" k create secret generic one-too-many

uid=$(k get configmap allowed -o 'jsonpath={.metadata.uid}')
k apply -f - >/dev/null <<<"{apiVersion: v1, kind: ConfigMap, metadata: {name: owned, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: allowed, uid: $uid}]}}"
k delete configmap allowed >/dev/null
until_ok k wait --for=delete configmap/owned --timeout=1s || true
check "what is owned goes with its owner" "not found" k get configmap owned

k wait --for=condition=Complete job/hello --timeout=60s >/dev/null 2>&1 || true
check "a Job of busybox:1.36 completes" "hello from the pod" k logs job/hello

# a client that checks the server's certificate, in a pod: busybox's own does not
# speak what the API server asks for, so kubectl is lent to the pod
if [ "$(cat "$STATE/flavour" 2>/dev/null)" = local ]; then
  sed "s#KUBE_BINARY#$(readlink -f "$BIN/kubectl")#" "$CLUSTER_DIR/smoke-pod.yaml" | k apply -f - >/dev/null
  until_ok k wait --for=jsonpath='{.status.phase}'=Succeeded pod/caller --timeout=5s || true
  check "a pod reaches the API server at 10.96.0.1" "address: v1." k logs caller
  check "a pod reaches it by its name" "name: v1." k logs caller
  check "its token carries its role" "granted" k logs caller
  check "and no more than its role" "forbidden" k logs caller
fi

kubectl label ns $NS pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null 2>&1
check "pod security refuses" "violates PodSecurity" k run privileged --image=busybox:1.36 --privileged --dry-run=server
exit $FAILED
