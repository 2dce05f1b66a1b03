"""A run of 20 steps during which something is done to the operator, and the proof that nobody can tell.

The witness is the API server's watch of pods: each pod whose container has run is one execution of a step's
program. Nothing here trusts the log to say what was executed; the log is compared with it at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from .apiserver import JsonObject, wait_until
from .history import Log, head, read
from .namespace import Namespace, phases, step, workflow
from .watching import Execution, Watch, executions

Record = Callable[[str, object], None]

NAME = "run-of-20"
RUN_SECONDS = 240.0
QUIET_SECONDS = 2.0  # design 03, trap 1: `.status` agrees with the log within 2 s of quiet
LAYERS = (1, 4, 6, 5, 3, 1)  # 20 steps; each needs two of the layer before it
SLEEPS = ("0.5", "1", "3", "0.7", "2", "1.5")


def layers() -> list[JsonObject]:
    steps: list[JsonObject] = []
    before: list[str] = []
    for layer, width in enumerate(LAYERS):
        names = [f"layer-{layer}-{place}" for place in range(width)]
        for place, name in enumerate(names):
            needs = sorted({before[place % len(before)], before[(place + 1) % len(before)]}) if before else []
            steps.append(step(name, f"sleep {SLEEPS[(layer + place) % len(SLEEPS)]}", needs))
        before = names
    return steps


def has_come_to(pods: Watch, begun: int, ended: int) -> bool:
    runs = executions(pods)
    return len(runs) >= begun and sum(run.ended is not None for run in runs) >= ended


def begin(namespace: Namespace) -> None:
    """Submit it."""
    namespace.submit(workflow(NAME, layers()))


def wait_for_progress(pods: Watch, point: tuple[int, int]) -> None:
    begun, ended = point
    what = f"{begun} pods have begun to run and {ended} have ended"
    pods.wait_for(lambda seen: has_come_to(seen, begun, ended), RUN_SECONDS, what)


def check_as_if_nothing_had_been(namespace: Namespace, pods: Watch, kills: int, record: Record) -> None:
    status = namespace.finished(NAME, RUN_SECONDS)
    uid = namespace.uid(NAME)
    wait_until(lambda: status_agrees(namespace, uid), QUIET_SECONDS, "status and log agree")
    assert (status["phase"], status["progress"]) == ("Succeeded", "20/20")
    assert set(phases(namespace.status(NAME)).values()) == {"Succeeded"}
    runs, log = executions(pods), read(namespace, uid)
    faults = faults_found(runs, log)
    record("kills", f"{kills}: {len(runs)} executions, epoch {log.meta['epoch']}, {faults}")
    assert not any(faults.values()), faults
    assert log.meta["epoch"] >= 1 + kills, "fewer operators than there were kills have claimed the log"


def faults_found(runs: list[Execution], log: Log) -> dict[str, int]:
    """What went wrong, each kind counted: what a watch of pods saw, against what the log says."""
    names = {s["name"] for s in layers()}
    ran = Counter((run.step, run.attempt) for run in runs)
    good = Counter(run.step for run in runs if run.phase == "Succeeded")
    recorded = Counter(record["step"] for record in log.of("StepSucceeded"))
    return {
        "steps that never succeeded": len(names - set(good)),
        "steps that succeeded twice": (good - Counter(names)).total(),
        "pods begun after their step's success": began_after_success(runs),
        "attempts run twice": (ran - Counter(set(ran))).total(),
        "executions not in the log": len(set(ran) - log.attempts()),
        "attempts in the log that never ran": len(log.attempts() - set(ran)),
        "successes lost or doubled in the log": ((good - recorded) + (recorded - good)).total(),
    }


def began_after_success(runs: list[Execution]) -> int:
    """Pods created after a pod of the same step had succeeded, by etcd's revisions."""
    first = {run.step: run.ended for run in reversed(runs) if run.phase == "Succeeded"}
    return sum(run.created > end for run in runs if (end := first.get(run.step)) is not None)


def status_agrees(namespace: Namespace, uid: str) -> bool:
    told, meta = namespace.status(NAME)["log"], head(namespace, uid)
    return bool(told == {"position": meta["position"], "hash": meta["hash"]})
