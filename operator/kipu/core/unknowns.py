"""External attempts of which nobody knows whether they have done their work, and what people say of them.

The rule (design 03): a program that changes the world outside is never run again in silence. It may have done its
work unless it never began, or has said by an exit code that it has failed. Promises: what is not known is recorded as
that; a word that comes late, twice or about another attempt yields nothing. Must never guess.
"""

from __future__ import annotations

from . import policies
from .commands import ResolveUnknown
from .definition import ATTEMPTS_MAX, Effects, OnUnknown
from .events import AttemptFailed, AttemptUnknown, Reason, Resolution, StepCompleted, UnknownResolved
from .lifecycle import StepPhase
from .state import State
from .turn import Turn

# How an attempt can end without its program having said how. An exit code is the program's own word.
UNCLEAR = frozenset({Reason.LOST, Reason.DISRUPTED, Reason.TIMED_OUT, Reason.POD_FAILED}) | {
    Reason.OUTPUT_TOO_LARGE,  # it has done its work, and only what it said of it is lost
    Reason.OUTPUT_INVALID,
}


def is_unclear(state: State, place: int, reason: Reason) -> bool:
    """Whether the program may have done its work although its attempt ends for this reason."""
    began = state.steps[place].phase is StepPhase.RUNNING  # before that its Job is suspended
    return state.step(place).effects is Effects.EXTERNAL and began and reason in UNCLEAR


def lose_track(turn: Turn, place: int, event: AttemptFailed) -> None:
    """Instead of this failure: wait for a person's word, or fail for good. Not asked where the policy is Retry."""
    if turn.state.step(place).on_unknown is OnUnknown.FAIL:
        _fail(turn, place, message=f"nobody knows whether it has done its work: {event.message}")
        return
    turn.record(
        AttemptUnknown(
            run=event.run,
            step=event.step,
            attempt=event.attempt,
            reason=event.reason,
            message=event.message,
            job_uid=event.job_uid,
            pod=event.pod,
            node=event.node,
        )
    )


def resolve(turn: Turn, command: ResolveUnknown) -> None:
    """Somebody has said what became of an attempt."""
    ref, decision = command.ref, command.decision
    place = turn.state.place_of(ref.step)
    if place not in turn.state.unknown or not turn.is_newest(place, ref):
        return
    turn.record(UnknownResolved(run=ref.run, step=ref.step, attempt=ref.attempt, decision=decision, by=command.by))
    if decision is Resolution.SUCCEED:
        turn.record(StepCompleted(run=ref.run, step=ref.step))
    elif decision is Resolution.RETRY and _may_retry(turn.state, place):
        _fail(turn, place, message="to be tried again", retry_at=turn.now)
    else:
        said = decision is Resolution.FAIL
        _fail(turn, place, message="somebody has said that it failed" if said else "no further try is allowed")


def time_out(turn: Turn, place: int, message: str) -> None:
    """The step's time is over before anybody has said a word."""
    _fail(turn, place, message=message)


def _may_retry(state: State, place: int) -> bool:
    """A person's word is not bound by maxAttempts, but by the bound of a step's records."""
    return state.steps[place].attempts < ATTEMPTS_MAX and not policies.stops_attempts(state, place)


def _fail(turn: Turn, place: int, *, message: str, retry_at: int | None = None) -> None:
    name, number = turn.state.name(place), turn.attempt(place).number
    turn.record(
        AttemptFailed(
            run=turn.state.run,
            step=name,
            attempt=number,
            reason=Reason.UNKNOWN,
            message=message,
            job_uid=turn.attempt(place).job_uid,
            retry_at=retry_at,
        )
    )
    if retry_at is None:
        turn.fail_step(place, Reason.UNKNOWN, message)
