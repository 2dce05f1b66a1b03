"""Mutants of kipu/core/fanout.py: what a fan-out starts, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable

from kipu.core import policies
from kipu.core.events import StepCompleted
from kipu.core.fanout import startable
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant

FAN_OUT = "tests/core/test_fanning_out.py"
LAWS = "tests/core/test_laws.py::test_every_run_ends_and_breaks_no_rule_on_the_way"


@mutant("start_items", breaks="I5, I16", caught_by=FAN_OUT)
def an_item_runs_twice(turn: Turn, start: Callable[[Turn, int], bool | None]) -> bool:
    """The cursor is one behind: the item that began last is begun again."""
    while turn.attempts_left > 0 and policies.places_free(turn.state, turn.slots) > 0:
        fanout = next(startable(turn.state), None)
        if fanout is None:
            return False
        if not start(turn, next(iter(fanout.due), fanout.base + max(0, fanout.begun - 1))):
            return True
    return False


@mutant("start_items", breaks="I15", caught_by=FAN_OUT)
def what_waits_for_its_retry_comes_last(turn: Turn, start: Callable[[Turn, int], bool | None]) -> bool:
    """New items are begun before those that have begun go on."""
    while turn.attempts_left > 0 and policies.places_free(turn.state, turn.slots) > 0:
        fanout = next(startable(turn.state), None)
        if fanout is None:
            return False
        fresh = fanout.base + fanout.begun
        if not start(turn, fresh if fanout.begun < fanout.total else next(iter(fanout.due))):
            return True
    return False


@mutant("conclude", breaks="I15, partial failure called success", caught_by=(FAN_OUT, LAWS))
def a_fan_out_that_is_over_has_succeeded(turn: Turn) -> None:
    """However many of its items have failed."""
    for place in list(turn.state.spent):
        turn.record(StepCompleted(run=turn.state.run, step=turn.state.name(place)))


@mutant("take_down_late", breaks="I16", caught_by=FAN_OUT)
def items_outlive_the_timeout_of_their_step(turn: Turn) -> None:
    """The deadline of a fan-out passes and its items run on."""
