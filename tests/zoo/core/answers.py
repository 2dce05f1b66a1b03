"""Mutants of kipu/core/answers.py: what a command means."""

from __future__ import annotations

from kipu.core.answers import _fail, _fire
from kipu.core.commands import ObserveGone, ObserveOutcome
from kipu.core.events import Reason, StepsCancelled, StepSucceeded
from kipu.core.state import next_timer
from kipu.core.turn import TIMERS_PER_TURN_MAX, Turn
from tests.zoo.mutants import mutant


@mutant("_fire_timers", breaks="a timer that beats a finished pod", caught_by="tests/core/test_timeouts.py")
def timers_fire_before_what_is_known_is_settled(turn: Turn) -> None:
    """A run whose last step has just succeeded times out."""
    for _ in range(TIMERS_PER_TURN_MAX):
        timer = next_timer(turn.state)
        if timer is None or timer.due > turn.now:
            return
        _fire(turn, timer)


@mutant(
    "_observe_outcome", breaks="I4, I6, first terminal outcome overwritten", caught_by="tests/core/test_observations.py"
)
def a_later_outcome_overwrites_the_first(turn: Turn, command: ObserveOutcome) -> None:
    """Whether the attempt is over already is not asked."""
    place = turn.state.place_of(command.ref.step)
    if place is None or not turn.is_newest(place, command.ref):
        return
    if command.reason is not None:
        _fail(turn, place, reason=command.reason, message=command.message, seen=command)
        return
    ref = command.ref
    turn.record(StepSucceeded(run=ref.run, step=ref.step, attempt=ref.attempt, job_uid=command.job_uid))


@mutant("_observe_outcome", breaks="partial failure called success", caught_by="tests/core/test_failing.py")
def the_reason_of_an_outcome_is_not_read(turn: Turn, command: ObserveOutcome) -> None:
    """A pod that has ended is taken for one that has done its work, unless it told an exit code."""
    place = turn.current(command.ref)
    if place is None:
        return
    if command.reason is not None and command.exit_code not in (None, 0, 1):
        _fail(turn, place, reason=command.reason, message=command.message, seen=command)
        return
    ref = command.ref
    turn.record(StepSucceeded(run=ref.run, step=ref.step, attempt=ref.attempt, job_uid=command.job_uid))


@mutant("_observe_gone", breaks="I5, I8", caught_by="tests/core/test_observations.py")
def any_attempt_may_be_gone(turn: Turn, command: ObserveGone) -> None:
    """News that an attempt is gone is believed though nobody has given it up."""
    place = turn.state.place_of(command.ref.step)
    if place is None or turn.state.steps[place].attempt is None or not turn.is_newest(place, command.ref):
        return
    if turn.attempt(place).abandoned is Reason.CANCELLED:
        turn.record(StepsCancelled(run=turn.state.run, steps=(command.ref.step,)))
    else:
        _fail(turn, place, reason=turn.attempt(place).abandoned or Reason.LOST, message=command.message)
