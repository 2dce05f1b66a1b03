"""What is printed of a failure is small: no fault of the script, and no part of the scenario, can be left out."""

from __future__ import annotations

from tests.fakes.faults import TimeoutDone
from tests.simulation.faults import Die
from tests.simulation.scenario import Scenario, show
from tests.simulation.scenarios import DIAMOND
from tests.simulation.script import At, Script, Write
from tests.simulation.shrink import shrink, shrink_scenario

CRASH, LOST = At(Write(3), Die()), At(Write(5), TimeoutDone(seconds=1.0))


def names(scenario: Scenario) -> list[str]:
    return [step["name"] for step in scenario.plans[0].steps]


def test_only_the_faults_that_are_needed_are_left() -> None:
    script: Script = (*(At(Write(number), Die()) for number in range(10, 30)), CRASH, LOST)
    assert shrink(script, lambda tried: CRASH in tried and LOST in tried) == (CRASH, LOST)
    assert shrink(script, lambda tried: True) == ()


def test_only_the_steps_that_are_needed_are_left_and_nobody_needs_the_others() -> None:
    small = shrink_scenario(DIAMOND, lambda tried: {"top", "bottom"} <= set(names(tried)))
    assert names(small) == ["top", "bottom"]
    assert "dependsOn" not in small.plans[0].steps[1]


def test_what_is_printed_makes_the_same_again() -> None:
    assert show((CRASH, LOST)) == "(At(trigger=Write(number=3), fault=Die()), " + (
        "At(trigger=Write(number=5), fault=TimeoutDone(seconds=1.0)),)"
    )
