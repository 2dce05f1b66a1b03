#!/usr/bin/env bash
# up.sh : a Kubernetes cluster for this machine. CLUSTER=auto (default) takes kind
# where a Docker engine answers and kind is on PATH, else local; CLUSTER=kind and
# CLUSTER=local decide; CLUSTER=sim is one of simulated nodes, beside any other. What stands is kept, what is missing is started; what was
# killed is cleaned and started anew. Its last line on stdout is
# KUBECONFIG=<path>. It must never start a cluster over another one.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

CLUSTER=${CLUSTER:-auto}
case $CLUSTER in
  auto | kind | local | sim) ;;
  *) die "CLUSTER=$CLUSTER is not known" "set it to auto, kind, local or sim" ;;
esac
lock "${STATE##*/}"

# one that stands is kept, whatever would be chosen today
STANDS=$(cat "$STATE/flavour" 2>/dev/null || true)
if [ "$CLUSTER" = auto ]; then
  if [ -n "$STANDS" ]; then CLUSTER=$STANDS
  elif docker_answers && command -v kind >/dev/null; then CLUSTER=kind
  else CLUSTER=local; fi
  say "cluster: $CLUSTER"
fi
if [ -n "$STANDS" ] && [ "$STANDS" != "$CLUSTER" ]; then
  die "a cluster of the other flavour, $STANDS, is up here" "end it first: e2e/cluster/down.sh"
fi

# shellcheck source=local.sh
# shellcheck source=kind.sh
# shellcheck source=sim.sh
source "$CLUSTER_DIR/$CLUSTER.sh"
cluster_up
echo "KUBECONFIG=$ADMIN"
