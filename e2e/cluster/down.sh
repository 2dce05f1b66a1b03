#!/usr/bin/env bash
# down.sh [--force] : ends the cluster that up.sh of this checkout started, and
# removes all it made but the cached binaries; with CLUSTER=sim, that of simulated
# nodes. It must never end a process it did not start: pids are checked, shims are
# known by their socket, containers by their cgroup. --force ends a living cluster of
# another checkout too.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

FORCE=no
case ${1:-} in
  '') ;;
  --force) FORCE=yes ;;
  *) die "unknown argument: $1" "usage: down.sh [--force]" ;;
esac
lock "${STATE##*/}"

if [ "${CLUSTER:-}" = sim ]; then
  # shellcheck source=sim.sh
  source "$CLUSTER_DIR/sim.sh"
  cluster_down
  exit
fi
# shellcheck source=host.sh
source "$CLUSTER_DIR/host.sh"

if [ "$(cat "$STATE/flavour" 2>/dev/null || true)" = kind ]; then
  # shellcheck source=kind.sh
  source "$CLUSTER_DIR/kind.sh"
  cluster_down
  exit
fi

owner
if [ ! -e "$STATE" ] && [ -z "$OWNER_STATE" ] && [ ! -e "/sys/class/net/$BRIDGE" ]; then
  say "no cluster here"
  exit
fi
[ "$(id -u)" = 0 ] || die "ending a local cluster needs root" "sudo -E e2e/cluster/down.sh"
if foreign && [ $FORCE = no ]; then
  die "the cluster that runs here is not of this checkout and cache: checkout $OWNER_REPO, state in $OWNER_STATE" \
    "end it there with e2e/cluster/down.sh, or here with: e2e/cluster/down.sh --force"
fi
if [ -n "$OWNER_STATE" ] && [ "$OWNER_STATE" != "$STATE" ]; then clean "$OWNER_STATE"; fi
clean "$STATE"
say "the cluster is down"
