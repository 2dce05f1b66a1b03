"""Trap 1: the operator dies, or an answer is lost, at every single write and between any two awaits; and dies again.

`make simulate` runs this and prints what was counted. A failure names the script; put into `run(SCENARIOS[name],
script)` it runs that one alone.
"""

from collections.abc import Callable, Iterable

import pytest

from tests.simulation.compare import Baselines
from tests.simulation.enumeration import KINDS, pairs, singles
from tests.simulation.main import simulate
from tests.simulation.scenario import Scenario, show
from tests.simulation.scenarios import LARGE_SALVAGE, SCENARIOS
from tests.simulation.script import Script
from tests.simulation.world import Outcome, run

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(600)]  # a thousand runs of 20 ms, on a machine that is busy

WRITES_MIN = 10  # head, Jobs, statuses, notices: a scenario that writes less does not test what it says
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
    "language": "Succeeded",
    "fan-out": "Succeeded",
    "salvage": "Succeeded",
    "drain": "Failed",  # cancelled, and then a step of finally fails
    "approval": "Succeeded",
    "rerun": "Failed",
    "nested": "Succeeded",
    "nested-shutdown": "Cancelled",
    "workspace": "Succeeded",
}
Record = Callable[[str, object], None]


def attempt(scenario: Scenario, scripts: Iterable[Script], kind: str, record: Record) -> list[Outcome]:
    """Run every script; none may be violated, and every one of its faults must really have happened."""
    baselines = Baselines()
    outcomes: list[Outcome] = []
    violations: dict[str, list[str]] = {}
    for script in scripts:
        outcome = simulate(scenario, script, 0, baselines)
        outcomes.append(outcome)
        if outcome.violations:
            violations[show(script)] = outcome.violations
        assert len(outcome.struck) == len(script), f"not every fault happened: {show(script)}"
    record(kind, len(outcomes))
    record("violations", len(violations))
    assert violations == {}
    return outcomes


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_fault_the_scenario_ends_right(scenario: str) -> None:
    outcome = run(SCENARIOS[scenario])
    assert outcome.violations == []
    assert outcome.endings[scenario].end == ENDS[scenario]
    assert outcome.lives == 1
    assert outcome.writes >= WRITES_MIN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fault_at_every_single_point_ends_as_one_clean_run(scenario: str, kind: str, record_property: Record) -> None:
    """No succeeded step runs again, no event is lost, the status agrees with the log within 2 s of quiet."""
    outcomes = attempt(SCENARIOS[scenario], singles(kind, run(SCENARIOS[scenario])), "points", record_property)
    lives = 2 if kind.startswith("Crash") else 1  # the fault was really injected: a crash costs a life, no other does
    assert {outcome.lives for outcome in outcomes} == {lives}


@pytest.mark.parametrize("kind", ["CrashBefore", "CrashAfter"])
def test_what_is_adopted_in_two_commits_is_adopted_once(kind: str, record_property: Record) -> None:
    clean = run(LARGE_SALVAGE)
    attempt(LARGE_SALVAGE, list(singles(kind, clean))[:5], "points", record_property)
    assert clean.violations == []
    assert clean.endings["large-salvage"].end == "Succeeded"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("scenario", ["retry", "cancel"])
def test_a_second_crash_anywhere_in_the_recovery_ends_as_one_clean_run(
    scenario: str, after: bool, record_property: Record
) -> None:
    given = SCENARIOS[scenario]
    outcomes = attempt(given, pairs(given, run(given), after=after), "pairs", record_property)
    # A request that is followed by a death was sent with others beside it: now and then both strike the same life.
    both = sum(outcome.lives == 3 for outcome in outcomes)
    assert both == len(outcomes) if not after else both > 0.9 * len(outcomes)
