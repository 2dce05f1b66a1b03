"""A run of 20 steps during which something is done to the operator, and the proof that nobody can tell.

The witness is the API server's watch of pods: each pod whose container has run is one execution of a step's
program. Nothing here trusts the log to say what was executed; the log is compared with it at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from .apiserver import JsonObject, wait_until
from .history import head, read
from .namespace import Namespace, phases, step, workflow
from .verdict import faults_found
from .watching import Watch, executions

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
    names = [str(each["name"]) for each in layers()]
    faults = faults_found(names, runs, log) | {"attempts given up": len(log.given_up())}
    record("kills", f"{kills}: {len(runs)} executions, epoch {log.meta['epoch']}, {faults}")
    assert not any(faults.values()), faults
    assert log.meta["epoch"] >= 1 + kills, "fewer operators than there were kills have claimed the log"


def status_agrees(namespace: Namespace, uid: str) -> bool:
    told, meta = namespace.status(NAME)["log"], head(namespace, uid)
    return bool(told == {"position": meta["position"], "hash": meta["hash"]})
