"""A workflow of 30 mixed steps: every rule of the graph at once, and one end that is known beforehand."""

from __future__ import annotations

import pytest

from e2e.apiserver import JsonObject
from e2e.history import read
from e2e.namespace import Namespace, attempts, fail_until, phases, retry, step, workflow
from e2e.watching import Change, Watch, executions

pytestmark = pytest.mark.cluster

PARALLELISM = 6

# Succeeds: whatever fails here is allowed to, and what is skipped is skipped by its own rule or its culprit's.
STEPS: list[JsonObject] = [
    step("fetch", "sleep 0.5"),
    # A layer of eight: three plain, two that fail at first, two that fail for ever and may, one slow.
    *(step(f"parse-{number}", f"sleep 0.{number}", ["fetch"]) for number in (1, 2, 3)),
    step("flaky-2", fail_until(2), ["fetch"], retry=retry(3)),
    step("flaky-3", fail_until(3), ["fetch"], retry=retry(3)),
    step("optional", "exit 7", ["fetch"], allowFailure=True),
    step("hopeless", "exit 1", ["fetch"], allowFailure=True, retry=retry(2)),
    step("slow", "sleep 3", ["fetch"]),
    # Joins.
    step("merge", after=["parse-1", "parse-2", "parse-3"]),
    step("join", "sleep 0.2", ["flaky-2", "flaky-3"]),
    step("after-optional", after=["optional"]),
    # Rules on what has failed.
    step("clean-up", after=["hopeless"], runWhen="AnyFailed"),
    step("no-clean-up", after=["merge"], runWhen="AnyFailed"),
    step("after-no-clean-up", after=["no-clean-up"]),
    step("further-down", after=["after-no-clean-up"]),
    step("report", after=["no-clean-up", "merge"], runWhen="AllFinished"),
    step("audit", after=["optional", "hopeless", "slow"], runWhen="AllFinished"),
    # A chain under the slow one, and a fan of six to one end.
    step("chain-1", after=["slow"]),
    step("chain-2", after=["chain-1"]),
    step("chain-3", after=["chain-2"]),
    *(step(f"shard-{number}", "sleep 0.3", ["merge", "join"]) for number in range(6)),
    step("flaky-late", fail_until(2), ["shard-0"], retry=retry(2)),
    step("gather", after=[*(f"shard-{number}" for number in range(6)), "flaky-late"]),
    step("publish", after=["gather", "chain-3", "report"]),
]
FAILED = {"optional", "hopeless"}
SKIPPED = {"no-clean-up": "no-clean-up", "after-no-clean-up": "no-clean-up", "further-down": "no-clean-up"}
TRIES = {"flaky-2": 2, "flaky-3": 3, "hopeless": 2, "flaky-late": 2}


def test_thirty_mixed_steps_come_to_their_expected_end(namespace: Namespace) -> None:
    assert len(STEPS) == 30
    with namespace.watch_pods() as pods:
        namespace.submit(workflow("mixed", STEPS, parallelism=PARALLELISM, onFailure="Continue"))
        status = namespace.finished("mixed", 180)
        check_order(pods)
        assert most_at_once(pods.history) <= PARALLELISM
        ran = {(run.step, run.attempt) for run in executions(pods)}
    expected = {s["name"]: "Succeeded" for s in STEPS}
    expected |= dict.fromkeys(FAILED, "Failed") | dict.fromkeys(SKIPPED, "Skipped")
    assert phases(status) == expected
    assert (status["phase"], status["progress"]) == ("Succeeded", "30/30")
    tries = {name: 0 if name in SKIPPED else TRIES.get(name, 1) for name in expected}
    assert attempts(status) == tries
    assert ran == {(name, n) for name, count in tries.items() for n in range(1, count + 1)}
    check_log(namespace)


def check_order(pods: Watch) -> None:
    """Every arrow of the graph, by etcd's revisions: no dependent's pod before the end of what it needs."""
    runs = executions(pods)
    began = {run.step: run.created for run in reversed(runs)}  # the first attempt's stays
    over = {run.step: run.ended for run in runs}  # the last attempt's
    for wanted in STEPS:
        for need in wanted.get("dependsOn", []):
            end = over.get(need)
            if end is not None and wanted["name"] in began:
                assert end < began[wanted["name"]], f"{wanted['name']} began before {need} was over"


def most_at_once(history: list[Change]) -> int:
    """The most pods that existed and had not ended, at any moment."""
    alive: set[str] = set()
    most = 0
    for change in history:
        if change.kind == "DELETED" or change.phase in ("Succeeded", "Failed"):
            alive.discard(change.uid)
        else:
            alive.add(change.uid)
        most = max(most, len(alive))
    return most


def check_log(namespace: Namespace) -> None:
    log = read(namespace, namespace.uid("mixed"))
    skipped = {name: record["culprit"] for record in log.of("StepsSkipped") for name in record["steps"]}
    assert set(skipped) == set(SKIPPED)
    assert len(log.of("StepSucceeded")) == len(STEPS) - len(FAILED) - len(SKIPPED)
    assert log.attempts() == {(name, n) for name, n in attempts_of(namespace)}


def attempts_of(namespace: Namespace) -> set[tuple[str, int]]:
    """Every attempt as its Job's labels name it."""
    labels = [job["metadata"]["labels"] for job in namespace.jobs()]
    return {(label["kipu.dev/step"], int(label["kipu.dev/attempt"])) for label in labels}
