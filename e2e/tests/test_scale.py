"""A chain of a thousand steps, and a fan-out of up to ten thousand items, on simulated nodes: `make scale`.

Their pods are reported by a program and run nothing; all else is real, and etcd waits for the disk. What is measured
goes with the results.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from e2e.apiserver import ApiServer, JsonObject
from e2e.namespace import Namespace, failures, phases, step, workflow
from e2e.operator_process import OperatorProcess
from e2e.scale import Attempt, Run, gap_text, run

pytestmark = pytest.mark.sim

STATUS_BYTES_MAX = 16 * 1024  # issue 5
MEMORY_BYTES_MAX = 400 * 1024 * 1024  # of an operator of which the chart grants 1 GiB
LINKS = 1_000
ITEMS = int(os.environ.get("KIPU_SCALE_ITEMS", "1000"))  # at most 10,000: the bound of the API
OWN_WRITES_MAX = {"chain": 1.6, "fan-out": 0.6}  # a step; the faster the cluster, the fewer events share a commit
PARALLELISM = 500  # half of what a step may have at once
CHAIN_SECONDS = 300.0  # it took half of it on two cores with load 20
FAN_OUT_SECONDS = 60.0 + ITEMS / 4  # 4 a second, on two cores that others use too; some 80 on idle ones

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def operator(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    with OperatorProcess(api, tmp_path_factory.mktemp("operator")) as process:
        yield process


def as_simulated(name: str, duration: str = "0ms", *, code: int = 0, output: str = "", **fields: Any) -> JsonObject:
    """A step whose pod ends so."""
    notes = {"kipu.dev/sim-duration": duration, "kipu.dev/sim-exit-code": str(code), "kipu.dev/sim-output": output}
    return step(name, template={"metadata": {"annotations": notes}}, **fields)


def test_a_simulated_pod_ends_as_its_annotations_say(namespace: Namespace, operator: OperatorProcess) -> None:
    steps = [
        as_simulated("count", "300ms", output="rows=42\n", outputs=[{"name": "rows", "type": "Int"}]),
        as_simulated("bad", code=3, allowFailure=True),
        as_simulated("long", "1h", attemptTimeout="1s", allowFailure=True),
        step("many", after=["count"], when="steps['count'].outputs.rows == 42"),
        step("none", after=["count"], when="steps['count'].outputs.rows != 42"),
    ]
    namespace.submit(workflow("annotated", steps))
    status = namespace.finished("annotated")
    assert status["phase"] == "Succeeded"
    ends = {"count": "Succeeded", "bad": "Failed", "long": "Failed", "many": "Succeeded", "none": "Skipped"}
    assert phases(status) == ends
    failed = failures(status)
    assert failed["bad"]["exitCode"] == 3
    assert failed["long"]["reason"] == "TimedOut"


@pytest.mark.timeout(CHAIN_SECONDS + 60)
def test_a_chain_of_a_thousand_steps_ends_in_order(
    namespace: Namespace, operator: OperatorProcess, record_testsuite_property: Record
) -> None:
    names = [f"link-{number}" for number in range(LINKS)]
    steps = [step(name, after=names[number - 1 : number] if number else []) for number, name in enumerate(names)]
    seen = run(namespace, operator, workflow("chain", steps), LINKS, CHAIN_SECONDS)
    arrows: list[tuple[Attempt, Attempt]] = [((need, -1, 1), (then, -1, 1)) for need, then in pairwise(names)]
    record_testsuite_property("scale", f"chain of {LINKS}: {seen.figures()}; {gap_text(seen.gaps_seconds(arrows))}")
    assert seen.status["progress"] == f"{LINKS}/{LINKS}"
    check(seen, LINKS)
    assert seen.own_writes_per_step() <= OWN_WRITES_MAX["chain"]
    assert seen.too_early(arrows) == []


@pytest.mark.timeout(FAN_OUT_SECONDS + 120)
def test_a_large_fan_out_ends(
    namespace: Namespace, operator: OperatorProcess, record_testsuite_property: Record
) -> None:
    steps = [
        step("list"),
        step("shard", after=["list"], forEach={"count": ITEMS, "parallelism": PARALLELISM}),
        step("join", after=["shard"]),
    ]
    seen = run(namespace, operator, workflow("fan-out", steps), ITEMS + 2, FAN_OUT_SECONDS)
    record_testsuite_property("scale", f"fan-out of {ITEMS}: {seen.figures()}")
    assert seen.status["progress"] == "3/3"
    check(seen, ITEMS + 2)
    assert seen.own_writes_per_step() <= OWN_WRITES_MAX["fan-out"]
    first, last = ("list", -1, 1), ("join", -1, 1)
    items: list[Attempt] = [("shard", index, 1) for index in range(ITEMS)]
    assert seen.too_early([(first, item) for item in items] + [(item, last) for item in items]) == []


def check(seen: Run, steps: int) -> None:
    """It has succeeded, each step by one Job, within what status and operator may take."""
    assert seen.status["phase"] == "Succeeded", seen.status
    made = seen.made()
    assert len(made) == steps
    assert made.total() == steps, "an attempt had two Jobs, or a step two attempts"
    assert seen.status_bytes_max <= STATUS_BYTES_MAX
    assert seen.memory_bytes_max <= MEMORY_BYTES_MAX
