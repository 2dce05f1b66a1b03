"""What went wrong with a run: pods counted from outside our log, against what the log says. Pure.

Promises: each kind of fault is counted by itself; zero of each is as if nothing had been.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from .history import Log
from .watching import Execution


def faults_found(steps: Collection[str], runs: Sequence[Execution], log: Log) -> dict[str, int]:
    """Where `steps`, and no others, must have succeeded."""
    names = set(steps)
    ran = Counter((run.step, run.attempt) for run in runs)
    good = Counter(run.step for run in runs if run.phase == "Succeeded")
    recorded = Counter(record["step"] for record in log.of("StepSucceeded"))
    return {
        "steps that never succeeded": len(names - set(good)),
        "steps that succeeded twice": (good - Counter(names)).total(),
        "pods begun after their step's success": began_after_success(runs),
        "attempts run twice": (ran - Counter(set(ran))).total(),
        "executions not in the log": len(set(ran) - log.attempts()),
        "attempts in the log that never ran": len(log.attempts() - log.given_up() - set(ran)),
        "successes lost or doubled in the log": ((good - recorded) + (recorded - good)).total(),
    }


def began_after_success(runs: Sequence[Execution]) -> int:
    """Pods created after a pod of the same step had succeeded, by etcd's revisions."""
    first = {run.step: run.ended for run in reversed(runs) if run.phase == "Succeeded"}
    return sum(run.created > end for run in runs if (end := first.get(run.step)) is not None)
