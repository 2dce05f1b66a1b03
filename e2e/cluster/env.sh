#!/usr/bin/env bash
# env.sh : prints the lines that put the cluster, kubectl and helm into a shell's
# reach: eval "$(e2e/cluster/env.sh)". It must never start anything.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

[ -s "$ADMIN" ] || say "no cluster is up: e2e/cluster/up.sh"
# shellcheck disable=SC2016
printf 'export KUBECONFIG=%q\nexport PATH=%q:$PATH\n' "$ADMIN" "$BIN"
