"""Results as if they had been measured: each figure of an outcome is what the test says it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.contest import Outcome
from bench.dag import Dag, Workload
from bench.results import KIPU, Result
from bench.suites import single
from bench.witness import Seen


def outcome(
    contestant: str = KIPU,
    seconds: float = 1.0,
    cpu_seconds: float = 0.1,
    writes: int = 10,
    own_bytes: int = 1_000,
    memory_bytes: int = 100 * 2**20,
    base_bytes: int = 90 * 2**20,
    gaps: Sequence[float] = (0.01,),
) -> Outcome:
    """One run."""
    seen = Seen(
        gaps=gaps,
        server_writes=0,
        etcd_puts=0,
        etcd_bytes=0,
        own_puts=0,
        own_bytes=own_bytes,
        cpu_seconds={},
        foreign=0.0,
    )
    return Outcome(
        contestant=contestant,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        writes=writes,
        memory_bytes=memory_bytes,
        base_bytes=base_bytes,
        seen=seen,
    )


def result(workload: Workload, *rounds: Sequence[Outcome]) -> Result:
    """Of one workload, round by round."""
    found = Result(workload)
    for number, outcomes in enumerate(rounds):
        for each in outcomes:
            found.add(number, each)
    return found


def grown(dags: Sequence[Dag], of: Callable[[int], Sequence[Outcome]]) -> list[Result]:
    """One round of each, whose outcomes follow from the number of steps."""
    return [result(single(dag), of(len(dag))) for dag in dags]
