"""Mutants of kipu/core/items.py: the fold of fan-outs."""

from __future__ import annotations

from kipu.core.definition import ForEach
from kipu.core.items import refresh
from kipu.core.lifecycle import StepPhase
from kipu.core.state import Fanout, State
from tests.zoo.mutants import mutant

FAN_OUT = "tests/core/test_fanning_out.py"
TEN_THOUSAND = (
    "tests/core/test_cost.py"
    "::test_a_fan_out_of_ten_thousand_costs_as_much_for_an_item_and_keeps_nothing_of_what_is_over"
)


@mutant("has_more", breaks="I9, I15", caught_by=FAN_OUT)
def one_failure_too_many_is_allowed(fanout: Fanout, for_each: ForEach) -> bool:
    """Items go on to start after one more of them has failed than may."""
    allowed = fanout.over[StepPhase.FAILED] <= for_each.max_failures + 1 and not fanout.over[StepPhase.CANCELLED]
    return allowed and not fanout.is_late and fanout.begun < fanout.total


@mutant("ITEMS_UNDER_WAY_MAX", breaks="I18", caught_by=FAN_OUT, is_constant=True)
def a_fan_out_begins_with_all_its_items() -> int:
    """Expansion knows no window: every item is begun at once."""
    return 1_000_000


@mutant("release", breaks="I16", caught_by=FAN_OUT)
def the_place_of_an_item_that_is_over_stays_taken(state: State, fanout: Fanout, *, left: bool) -> None:
    """Nobody counts the items that end, so that no other ever starts."""
    fanout.leaving -= left
    refresh(state, fanout)


@mutant("finish", breaks="I18, rescan of all steps", caught_by=TEN_THOUSAND)
def what_is_over_is_kept_whole(state: State, fanout: Fanout, place: int) -> None:
    """Memory grows with the items that are over, not with those under way."""
    fanout.under_way.pop(place, None)
    fanout.due.pop(place, None)
    fanout.over[state.steps[place].phase] += 1
    refresh(state, fanout)
