"""A log that has come to its bound ends its run, as Failed and in order."""

from __future__ import annotations

from functools import cache

import pytest

from kipu.core.commands import Command, ObserveGone, RequestShutdown
from kipu.core.decide import decide
from kipu.core.definition import Definition
from kipu.core.events import Event, ShutdownMode, StreamClaimed, WorkflowFinished
from kipu.core.evolve import evolve, fold
from kipu.core.policies import EVENTS_MAX
from kipu.core.state import State
from tests.core.given import IDENTITY, START, Flow, kinds, step


@cache
def long_life() -> tuple[tuple[Event, int], ...]:
    """Two steps, one under way, and as many events as a run may have but one."""
    given = Flow(Definition(steps=(step("a"), step("b", "a"))))
    claims = range(1, EVENTS_MAX - len(given.log))
    return (*given.log, *((StreamClaimed(epoch=epoch, writer="w"), START) for epoch in claims))


def after(state: State, *commands: Command) -> tuple[State, list[Event]]:
    return decide(state, commands, identity=IDENTITY, now=START, slots=10)


@pytest.mark.proof
def test_a_run_goes_on_until_the_very_last_event() -> None:
    state = fold(long_life())
    assert state.position == EVENTS_MAX - 1
    assert after(state)[1] == []


def test_a_full_log_takes_its_run_down_and_it_has_failed() -> None:
    given = Flow(Definition(steps=(step("a"), step("b", "a"))))
    state = evolve(fold(long_life()), StreamClaimed(epoch=EVENTS_MAX, writer="w"), ts=START)
    state, events = after(state)
    assert kinds(events) == ["EventLimitReached", "StepsCancelled", "AttemptAbandoned"]
    assert state.phase == "Cancelling"
    assert after(state)[1] == []
    (_, end) = after(state, ObserveGone(ref=given.ref("a")))[1]
    assert isinstance(end, WorkflowFinished)
    assert (end.end, end.reason) == ("Failed", "EventLimit")
    assert str(EVENTS_MAX) in end.message


@pytest.mark.proof
def test_a_run_that_is_over_by_what_is_known_has_not_met_the_limit() -> None:
    given = Flow(Definition(steps=(step("a"),)))
    claims = range(1, EVENTS_MAX)
    state = fold((*given.log, *((StreamClaimed(epoch=epoch, writer="w"), START) for epoch in claims)))
    _, events = after(state, given.outcome("a"))
    assert kinds(events) == ["StepSucceeded", "WorkflowFinished"]


def test_a_shutdown_that_came_first_stays_the_reason() -> None:
    state = fold(long_life())
    state, events = after(state, RequestShutdown(run=1, mode=ShutdownMode.CANCEL))
    assert "EventLimitReached" not in kinds(events)
    assert "EventLimitReached" not in kinds(after(state)[1])
