"""Mutants of kipu/core/fanout.py: what a fan-out starts, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable

from kipu.core.events import StepCompleted
from kipu.core.fanout import startable
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant

FAN_OUT = "tests/core/test_fanning_out.py"
LAWS = "tests/core/test_laws.py::test_every_run_ends_and_breaks_no_rule_on_the_way"


@mutant("start_items", breaks="I5, I16", caught_by=FAN_OUT)
def an_item_runs_twice(turn: Turn, places: int, schedule: Callable[[Turn, int], None]) -> None:
    """The cursor is one behind: the item that began last is begun again."""
    for _ in range(min(places, turn.attempts_left)):
        fanout = next(startable(turn.state), None)
        if fanout is None:
            return
        schedule(turn, next(iter(fanout.due), fanout.base + max(0, fanout.begun - 1)))


@mutant("start_items", breaks="I15", caught_by=FAN_OUT)
def what_waits_for_its_retry_comes_last(turn: Turn, places: int, schedule: Callable[[Turn, int], None]) -> None:
    """New items are begun before those that have begun go on."""
    for _ in range(min(places, turn.attempts_left)):
        fanout = next(startable(turn.state), None)
        if fanout is None:
            return
        fresh = fanout.base + fanout.begun
        schedule(turn, fresh if fanout.begun < fanout.total else next(iter(fanout.due)))


@mutant("conclude", breaks="I15, partial failure called success", caught_by=(FAN_OUT, LAWS))
def a_fan_out_that_is_over_has_succeeded(turn: Turn) -> None:
    """However many of its items have failed."""
    for place in list(turn.state.spent):
        turn.record(StepCompleted(run=turn.state.run, step=turn.state.name(place)))


@mutant("take_down_late", breaks="I16", caught_by=FAN_OUT)
def items_outlive_the_timeout_of_their_step(turn: Turn) -> None:
    """The deadline of a fan-out passes and its items run on."""
