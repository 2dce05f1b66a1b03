"""What counting costs: calls into prometheus_client for each step of a chain. Counted, never timed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import prometheus_client
import pytest

from kipu.shell.telemetry import Telemetry
from tests.fakes.apiserver import ApiServer
from tests.shell.operating import apply, ended, operator, step

FEW, MANY = 5, 15
# 3 events, an attempt, a gap; 2 commits (the steps run for longer than a start waits for company) x 2; 6 requests
# (2 commits, the Job, a notice, 2 statuses) x 2: 21, some 15 microseconds of the 5 milliseconds that a step costs. When
# statuses are written depends on jitter: two requests more are allowed for.
INCREMENTS_PER_STEP_MAX = 25.0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls by what was called."""
    counts: Counter[str] = Counter()

    def watch(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def counting(self: Any, *arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return original(self, *arguments, **named)

        monkeypatch.setattr(kind, name, counting)

    watch(prometheus_client.Counter, "inc")
    watch(prometheus_client.Histogram, "observe")
    watch(prometheus_client.metrics.MetricWrapperBase, "labels")
    return counts


async def run_chain(steps: int) -> None:
    server, telemetry = ApiServer(), Telemetry()
    names = [f"s{number}" for number in range(steps)]
    apply(server, *[step(name, *names[max(0, place - 1) : place]) for place, name in enumerate(names)])
    async with operator(server, telemetry=telemetry):
        await ended(server)


@pytest.mark.proof
@pytest.mark.looptime
async def test_a_step_costs_a_few_increments_and_no_look_up_of_labels(counted: Counter[str]) -> None:
    await run_chain(FEW)
    few = counted.copy()
    counted.clear()
    await run_chain(MANY)
    more = counted - few
    assert (MANY - FEW) * 5 <= more["inc"] + more["observe"] <= (MANY - FEW) * INCREMENTS_PER_STEP_MAX
    assert more["labels"] <= 5  # a status that no request of the shorter run has had
