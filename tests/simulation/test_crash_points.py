"""Trap 1, first part: the operator dies, or an answer is lost, at every single API write; it ends as one clean run.

`make simulate` runs this and prints a line of counts for each scenario and kind of fault. A failure names the
number of the write; `python -m tests.simulation.reproduce SCENARIO KIND NUMBER` runs that one alone, with its history.
"""

import pytest

from tests.fakes.faults import CrashAfter, CrashBefore, TimeoutDone
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.world import FaultKind, run_virtually

pytestmark = pytest.mark.simulation

KINDS: dict[str, FaultKind] = {kind.__name__: kind for kind in (CrashBefore, CrashAfter, TimeoutDone)}
WRITES_MIN = 12  # head, Jobs, statuses, notices: a scenario that writes less does not test what it says


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_fault_the_scenario_ends_right(scenario: str) -> None:
    outcome = run_virtually(SCENARIOS[scenario])
    assert outcome.violations == []
    assert outcome.lives == 1
    assert outcome.writes >= WRITES_MIN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fault_at_every_single_write_ends_as_one_clean_run(scenario: str, kind: str) -> None:
    """No succeeded step runs again, no event is lost, the status agrees with the log within 2 s of quiet."""
    points = run_virtually(SCENARIOS[scenario]).writes
    violations: dict[int, list[str]] = {}
    lives = 0
    for point in range(points):
        outcome = run_virtually(SCENARIOS[scenario], kind=KINDS[kind], at=point)
        lives += outcome.lives
        if outcome.violations:
            violations[point] = outcome.violations
    print(f"{scenario} {kind}: {points} points, {lives - points} restarts, {len(violations)} with violations")
    assert violations == {}
    # The fault was really injected: every crash costs a life, a lost answer none.
    assert lives == points * (1 if kind == "TimeoutDone" else 2)
