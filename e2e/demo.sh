#!/usr/bin/env bash
# demo.sh : runs examples/diamond.yaml in the namespace kipu-demo and shows it: one
# line for each change, the table, the steps with their times, and the history.
# KUBECONFIG and PATH are set by its caller (make demo). It may be run again at any
# time: an older demo goes first. Exit 0 only when the workflow has Succeeded.
set -euo pipefail
cd "$(dirname "$0")/.."

NS=kipu-demo
NAME=diamond
KIPU=.venv/bin/kipu
HISTORY_LINES=4 # of the history, at each end

BOLD='' PLAIN=''
if [ -t 1 ]; then BOLD=$'\033[1m' PLAIN=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
k() { kubectl --namespace "$NS" "$@"; }

say "A diamond of Jobs: examples/diamond.yaml"
kubectl create namespace "$NS" --dry-run=client -o yaml |
  kubectl label --local -f - pod-security.kubernetes.io/enforce=restricted -o yaml | kubectl apply -f - >/dev/null
k delete workflow "$NAME" --ignore-not-found --wait >/dev/null
sed -n '/^  steps:/,$p' "examples/$NAME.yaml"
k apply -f "examples/$NAME.yaml"

say "Live: kubectl get workflows --watch"
CODE=0
.venv/bin/python -m e2e.progress "$NS" "$NAME" || CODE=$?

say "kubectl -n $NS get workflows -o wide"
k get workflows -o wide

say "The steps"
k get workflow "$NAME" -o json | .venv/bin/python -m e2e.progress --steps

say "The history, its first and last lines: kipu history $NAME -n $NS"
"$KIPU" history "$NAME" -n "$NS" | awk -v n=$HISTORY_LINES '
  NR <= n + 1 { print; next }
  { last[NR % n] = $0; rest++ }
  END {
    if (rest > n) print "  ..."
    for (i = NR - (rest < n ? rest : n) + 1; i <= NR; i++) print last[i % n]
  }'

if [ "$CODE" != 0 ]; then
  say "The diamond did not succeed. What the operator says:"
  kubectl --namespace kipu-system logs --tail=30 --selector app.kubernetes.io/name=kipu
  exit 1
fi

say "What to try next"
cat <<TEXT
  eval "\$(e2e/cluster/env.sh)"       # kubectl and KUBECONFIG, for this shell

  1. Kill the operator in the middle of a run. Nothing is lost, nothing runs twice:
       kubectl -n $NS delete workflow $NAME; kubectl -n $NS apply -f examples/diamond.yaml
       kubectl -n kipu-system delete pod -l app.kubernetes.io/name=kipu --grace-period=0 --force
       $KIPU watch $NAME -n $NS
       $KIPU history $NAME -n $NS              # a second StreamClaimed, and the run went on
  2. Cancel: when the phase says Cancelled, no pod is left.
       $KIPU submit examples/cancel-me.yaml -n $NS
       $KIPU cancel cancel-me -n $NS --wait
  3. A wrong manifest is refused with what to mend:
       sed 's/dependsOn: \[[a-z-]*/&x/' examples/diamond.yaml | kubectl -n $NS apply -f -
  4. Keep a history as a file, and prove that nobody has touched it:
       $KIPU history $NAME -n $NS -o jsonl > diamond.jsonl; $KIPU verify diamond.jsonl
  5. Your own: in a namespace of your own. kipu-demo enforces PodSecurity restricted, as its examples allow; there
     'kipu explain NAME STEP' says why a pod is refused.
  6. make cluster-down leaves nothing behind.
TEXT
