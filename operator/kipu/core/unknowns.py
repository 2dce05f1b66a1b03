"""External attempts of which nobody knows whether they have done their work, and what people say of them.

The rule (design 03): a program that changes the world outside is never run again in silence. It may have done its
work unless it never began, or has said by an exit code that it has failed. Promises: what is not known is recorded as
that; a word that comes late, twice or about another attempt yields nothing. Must never guess.
"""

from __future__ import annotations

from . import policies
from .commands import ObserveOutcome, ResolveUnknown
from .definition import ATTEMPTS_MAX, Effects, OnUnknown
from .events import AttemptFailed, AttemptUnknown, Reason, Resolution, StepCompleted, UnknownResolved
from .lifecycle import StepPhase
from .state import Attempt, State
from .texts import NOBODY_KNOWS
from .turn import Turn

# How an attempt can end without its program having said how. An exit code is the program's own word.
UNCLEAR = frozenset({Reason.LOST, Reason.DISRUPTED, Reason.TIMED_OUT, Reason.POD_FAILED}) | {
    Reason.OUTPUT_TOO_LARGE,  # it has done its work, and only what it said of it is lost
    Reason.OUTPUT_INVALID,
}


def is_unclear(state: State, place: int, reason: Reason) -> bool:
    """Whether the program may have done its work although its attempt ends for this reason.

    Never where the policy is Retry: its author has said that another try does no harm.
    """
    step = state.step(place)
    may_ask = step.effects is Effects.EXTERNAL and step.on_unknown is not OnUnknown.RETRY
    began = state.steps[place].phase is StepPhase.RUNNING  # before that its Job is suspended
    return may_ask and began and reason in UNCLEAR


def lose_track(turn: Turn, place: int, reason: Reason, message: str, found: ObserveOutcome | Attempt) -> None:
    """Instead of a failure: wait for a person's word, or fail for good."""
    if turn.state.step(place).on_unknown is OnUnknown.FAIL:
        fail(turn, place, message=f"{NOBODY_KNOWS}: {message}")
        return
    turn.record(
        AttemptUnknown(
            run=turn.state.run,
            step=turn.state.name(place),
            attempt=turn.attempt(place).number,
            reason=reason,
            message=message,
            job_uid=found.job_uid,
            pod=found.pod,
            node=found.node,
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
    elif decision is Resolution.RETRY and _may_retry(turn, place):
        fail(turn, place, message="to be tried again", retry_at=turn.now)
    else:
        said = decision is Resolution.FAIL
        fail(turn, place, message="somebody has said that it failed" if said else "no further try is allowed")


def _may_retry(turn: Turn, place: int) -> bool:
    """A person's word is not bound by maxAttempts, but by the step's own time and the bound of its records."""
    state, step = turn.state, turn.state.steps[place]
    too_late = step.deadline is not None and turn.now >= step.deadline
    return step.attempts < ATTEMPTS_MAX and not too_late and not policies.stops_attempts(state, place)


def fail(turn: Turn, place: int, *, message: str, retry_at: int | None = None) -> None:
    """It has failed, and with it the step unless it is to be tried again: somebody said so, or nobody in time."""
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
