#!/usr/bin/env bash
# install.sh [HELM-ARGUMENTS...] : installs, or upgrades, the chart charts/kipu
# with the image of this tree into the cluster of KUBECONFIG, and waits until it
# serves. KIPU_IMAGE=<repository>:<tag> installs an image from a registry instead:
# the only way where the cluster is not one of up.sh. KIPU_TREE=<folder of
# previous.sh> installs that tree's chart and image. It must never touch another
# namespace than kipu-system, but for what the chart itself holds.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

NS=kipu-system
export KUBECONFIG=${KUBECONFIG:-$ADMIN} PATH=$BIN:$PATH
for c in helm kubectl; do command -v $c >/dev/null || die "$c is not here" "e2e/cluster/up.sh brings it"; done
[ -s "$REPO/charts/kipu/Chart.yaml" ] || die "there is no chart at $REPO/charts/kipu"
kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 ||
  die "no cluster answers at KUBECONFIG=$KUBECONFIG" "start one: e2e/cluster/up.sh"

if [ -z "${KIPU_IMAGE:-}" ]; then
  server() { kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}'; }
  [ "$(server)" = "$(KUBECONFIG=$ADMIN server 2>/dev/null)" ] ||
    die "KUBECONFIG=$KUBECONFIG is not the cluster of up.sh, so this tree's image cannot be put there" \
      "push it to a registry and set KIPU_IMAGE=<repository>:<tag>"
  TAG=$("$CLUSTER_DIR/load-image.sh")
  KIPU_IMAGE=${IMAGE%:*}:$TAG
fi
case ${KIPU_IMAGE##*/} in *:*) ;; *) die "KIPU_IMAGE=$KIPU_IMAGE has no tag" "KIPU_IMAGE=<repository>:<tag>" ;; esac
say "installing kipu, image $KIPU_IMAGE"
# as in production: where a pod of the chart asked for more, it would not start
kubectl get namespace $NS >/dev/null 2>&1 || kubectl create namespace $NS >/dev/null
kubectl label namespace $NS pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null
if ! helm upgrade --install kipu "$REPO/charts/kipu" --namespace $NS --create-namespace --wait --timeout 3m \
  --set "image.repository=${KIPU_IMAGE%:*}" --set "image.tag=${KIPU_IMAGE##*:}" --set image.pullPolicy=IfNotPresent "$@" >&2; then
  kubectl -n $NS get pods -o wide >&2 || true
  kubectl -n $NS get events --sort-by=.lastTimestamp | tail -10 >&2 || true
  kubectl -n $NS logs --tail=20 --all-containers --prefix -l app.kubernetes.io/name=kipu >&2 || true
  die "kipu did not come up in $NS" "what its pods say is above"
fi
say "kipu is installed in $NS"
