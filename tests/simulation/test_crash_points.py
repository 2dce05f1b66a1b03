"""Trap 1: the operator dies, or an answer is lost, at every single write and between any two awaits; and dies again.

`make simulate` runs this and prints a line of counts for each. A failure names the smallest script; put into
`run(SCENARIOS[name], script)` it runs that one alone.
"""

from collections.abc import Iterable

import pytest

from tests.simulation.compare import Baselines
from tests.simulation.enumeration import KINDS, singles
from tests.simulation.main import simulate
from tests.simulation.scenario import Scenario, show
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.script import Script
from tests.simulation.world import Outcome, run

pytestmark = pytest.mark.simulation

WRITES_MIN = 12  # head, Jobs, statuses, notices: a scenario that writes less does not test what it says
ENDS = {
    "diamond": "Succeeded",
    "retry": "Succeeded",
    "cancel": "Cancelled",
    "terminate": "Cancelled",
    "attempt-timeout": "Succeeded",
    "start-timeout": "Succeeded",
    "run-timeout": "Failed",
    "cancel-running": "Failed",
    "run-when": "Succeeded",
    "parallelism": "Succeeded",
}
Violations = dict[str, list[str]]


def attempt(scenario: Scenario, scripts: Iterable[Script]) -> tuple[list[Outcome], Violations]:
    """Run every script; every one of its faults must really have happened."""
    baselines = Baselines()
    outcomes: list[Outcome] = []
    violations: Violations = {}
    for script in scripts:
        outcome = simulate(scenario, script, 0, baselines)
        outcomes.append(outcome)
        if outcome.violations:
            violations[show(script)] = outcome.violations
        assert len(outcome.struck) == len(script), f"not every fault happened: {show(script)}"
    return outcomes, violations


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_fault_the_scenario_ends_right(scenario: str) -> None:
    outcome = run(SCENARIOS[scenario])
    assert outcome.violations == []
    assert outcome.endings[scenario].end == ENDS[scenario]
    assert outcome.lives == 1
    assert outcome.writes >= WRITES_MIN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fault_at_every_single_point_ends_as_one_clean_run(
    scenario: str, kind: str, record_testsuite_property: object
) -> None:
    """No succeeded step runs again, no event is lost, the status agrees with the log within 2 s of quiet."""
    outcomes, violations = attempt(SCENARIOS[scenario], singles(kind, run(SCENARIOS[scenario])))
    lives = sum(outcome.lives for outcome in outcomes)
    print(f"{scenario} {kind}: {len(outcomes)} points, {len(violations)} with violations")
    assert violations == {}
    assert lives == len(outcomes) * (2 if kind.startswith("Crash") else 1)
