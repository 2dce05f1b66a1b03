"""The operator is killed in the middle of a run, again and again; what ran is counted from outside our log.

The witness is the API server's watch of pods: each pod whose container has run is one execution of a step's
program. Nothing here trusts the log to say what was executed; the log is compared with it at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from e2e.apiserver import ApiServer, JsonObject, wait_until
from e2e.history import head, read
from e2e.namespace import Namespace, phases, step, workflow
from e2e.operator_pod import Operator
from e2e.verdict import faults_found
from e2e.watching import Watch, executions

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.timeout(300)]

RUN_SECONDS = 240.0
QUIET_SECONDS = 2.0  # design 03, trap 1: `.status` agrees with the log within 2 s of quiet
LAYERS = (1, 4, 6, 5, 3, 1)  # 20 steps; each needs two of the layer before it
SLEEPS = ("0.5", "1", "3", "0.7", "2", "1.5")

# How far the run is when the operator dies: so many pods have begun to run, so many have ended.
POINTS = [(1, 0), (5, 3), (8, 7), (13, 11), (18, 16)]


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


@pytest.fixture
def operator(api: ApiServer) -> Iterator[Operator]:
    found = Operator(api)
    found.ready()
    yield found
    found.ready()  # whoever comes next finds it as it was


def test_a_run_of_20_steps_survives_five_forced_deletions_of_the_operators_pod(
    namespace: Namespace, operator: Operator, record_testsuite_property: Callable[[str, object], None]
) -> None:
    deleted = []
    with namespace.watch_pods() as pods:
        namespace.submit(workflow("killed", layers()))
        for point in POINTS:
            wait_for_progress(pods, point)
            deleted.append(operator.delete())
        check_as_if_nothing_had_been(namespace, pods, len(POINTS), record_testsuite_property)
    assert len(set(deleted)) == len(POINTS)


def test_a_run_survives_sigkill_of_the_operators_process(
    namespace: Namespace, operator: Operator, record_testsuite_property: Callable[[str, object], None]
) -> None:
    with namespace.watch_pods() as pods:
        namespace.submit(workflow("killed", layers()))
        wait_for_progress(pods, (6, 4))
        operator.kill()
        check_as_if_nothing_had_been(namespace, pods, 1, record_testsuite_property)


def wait_for_progress(pods: Watch, point: tuple[int, int]) -> None:
    begun, ended = point
    what = f"{begun} pods have begun to run and {ended} have ended"
    pods.wait_for(lambda seen: has_come_to(seen, begun, ended), RUN_SECONDS, what)


def check_as_if_nothing_had_been(
    namespace: Namespace, pods: Watch, kills: int, record: Callable[[str, object], None]
) -> None:
    status = namespace.finished("killed", RUN_SECONDS)
    uid = namespace.uid("killed")
    wait_until(lambda: status_agrees(namespace, uid), QUIET_SECONDS, "status and log agree")
    assert (status["phase"], status["progress"]) == ("Succeeded", "20/20")
    assert set(phases(namespace.status("killed")).values()) == {"Succeeded"}
    runs, log = executions(pods), read(namespace, uid)
    faults = faults_found([s["name"] for s in layers()], runs, log) | {"attempts given up": len(log.given_up())}
    record("kills", f"{kills}: {len(runs)} executions, epoch {log.meta['epoch']}, {faults}")
    assert not any(faults.values()), faults
    assert log.meta["epoch"] >= 1 + kills, "fewer operators than there were kills have claimed the log"


def status_agrees(namespace: Namespace, uid: str) -> bool:
    told, meta = namespace.status("killed")["log"], head(namespace, uid)
    return bool(told == {"position": meta["position"], "hash": meta["hash"]})
