"""What each command means, given the state: the facts that follow from it at once.

Promises: a command that is late, doubled or about something else yields nothing; the first terminal outcome
of an attempt stands. Must never look beyond the step it is about: what follows for others is `advance`'s.
"""

from __future__ import annotations

from typing import assert_never

from . import policies, requests, unknowns
from .advance import settle
from .commands import (
    Accept,
    Claim,
    Command,
    FireTimers,
    GiveApproval,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveRefused,
    ObserveStarted,
    Reject,
    RequestRerun,
    RequestShutdown,
    ResolveUnknown,
    SetSuspended,
)
from .definition import Kind, Step
from .events import (
    AttemptFailed,
    LateResultIgnored,
    Reason,
    StepsCancelled,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    WorkflowAccepted,
    WorkflowRejected,
)
from .lifecycle import StepPhase
from .state import Timer, next_timer
from .texts import fitting, log_tail, seconds, shorten
from .turn import TIMERS_PER_TURN_MAX, Turn


def answer(turn: Turn, command: Command) -> None:
    """Record what the command is news of."""
    if isinstance(command, Claim):
        turn.record(StreamClaimed(epoch=turn.state.epoch + 1, writer=command.writer))
        return
    if isinstance(command, RequestShutdown | SetSuspended | GiveApproval | RequestRerun):
        requests.answer(turn, command)
        return
    if turn.state.is_terminal:
        return
    match command:
        case Accept() | Reject():
            _admit(turn, command)
        case ObserveStarted():
            _observe_started(turn, command)
        case ObserveOutcome():
            _observe_outcome(turn, command)
        case ObserveMissing():
            _observe_missing(turn, command)
        case ObserveRefused():
            _observe_refused(turn, command)
        case ObserveGone():
            _observe_gone(turn, command)
        case ResolveUnknown():
            unknowns.resolve(turn, command)
        case FireTimers():
            _fire_timers(turn)
        case _:
            assert_never(command)


# -- the workflow ------------------------------------------------------------------------------------


def _admit(turn: Turn, command: Accept | Reject) -> None:
    if turn.state.definition is not None:
        return
    if isinstance(command, Reject):
        turn.record(WorkflowRejected(spec_hash=command.spec_hash, problems=fitting(command.problems)))
        return
    timeout = command.definition.timeout_ms
    turn.record(
        WorkflowAccepted(
            run=1,
            spec_hash=command.spec_hash,
            definition=command.definition,
            deadline=None if timeout is None else turn.now + timeout,
        )
    )


# -- observations ------------------------------------------------------------------------------------


def _observe_started(turn: Turn, command: ObserveStarted) -> None:
    place = turn.current(command.ref)
    if place is None or turn.state.steps[place].phase is not StepPhase.SCHEDULED:
        return
    timeout = turn.state.step(place).attempt_timeout_ms
    turn.record(
        StepStarted(
            run=command.ref.run,
            step=command.ref.step,
            attempt=command.ref.attempt,
            job_uid=command.job_uid,
            started_at=command.started_at,
            pod=command.pod,
            node=command.node,
            attempt_deadline=None if timeout is None else command.started_at + timeout,
        )
    )


def _observe_outcome(turn: Turn, command: ObserveOutcome) -> None:
    place = turn.current(command.ref)
    if place is None:
        _note_late(turn, command)  # the first terminal outcome stands
        return
    if command.reason is not None:
        _fail(turn, place, reason=command.reason, message=command.message, seen=command)
        return
    turn.record(
        StepSucceeded(
            run=command.ref.run,
            step=command.ref.step,
            attempt=command.ref.attempt,
            job_uid=command.job_uid,
            started_at=command.started_at,
            finished_at=command.finished_at,
            pod=command.pod,
            node=command.node,
            pod_uid=command.pod_uid,
            outputs=command.outputs,
        )
    )


def _note_late(turn: Turn, command: ObserveOutcome) -> None:
    """Once for each attempt that was given up and is not gone yet; of older ones nothing is said."""
    place = turn.state.place_of(command.ref.step)
    if place not in turn.state.leaving or not turn.is_newest(place, command.ref) or turn.attempt(place).is_late:
        return
    if turn.state.step(place).kind is Kind.WORKFLOW:
        return  # it was asked to end, and does: how it ended is said once it is gone
    turn.record(
        LateResultIgnored(
            run=command.ref.run,
            step=command.ref.step,
            attempt=command.ref.attempt,
            job_uid=command.job_uid,
            reason=command.reason,
        )
    )


def _observe_missing(turn: Turn, command: ObserveMissing) -> None:
    place = turn.current(command.ref)
    if place is None:
        return
    is_child = turn.state.step(place).kind is Kind.WORKFLOW
    if is_child and command.started is not None:
        _observe_started(turn, command.started)  # by its uid what it has left behind is found, and awaited
    turn.abandon(place, Reason.LOST, f"its {'Workflow' if is_child else 'Job'} was deleted before it ended")


def _observe_refused(turn: Turn, command: ObserveRefused) -> None:
    place = turn.current(command.ref)
    # An attempt that was seen running has a Job: a refusal is then old news, and its pod must not be forgotten.
    if place is not None and turn.state.steps[place].phase is StepPhase.SCHEDULED:
        _fail(turn, place, reason=command.reason, message=command.message)


def _observe_gone(turn: Turn, command: ObserveGone) -> None:
    place = turn.state.place_of(command.ref.step)
    if place not in turn.state.leaving or not turn.is_newest(place, command.ref):
        return
    attempt = turn.attempt(place)
    assert attempt.abandoned is not None
    if attempt.abandoned is Reason.CANCELLED:
        turn.record(StepsCancelled(run=turn.state.run, steps=(command.ref.step,)))
    else:
        message = "; ".join(part for part in (attempt.abandoned_message, command.message) if part)
        _fail(turn, place, reason=attempt.abandoned, message=message)


def _fail(turn: Turn, place: int, *, reason: Reason, message: str, seen: ObserveOutcome | None = None) -> None:
    """The attempt is over without success: wait for the next one, or the step has failed, or nobody knows."""
    message, attempt = shorten(message), turn.attempt(place)
    found = seen or attempt
    if unknowns.is_unclear(turn.state, place, reason):
        unknowns.lose_track(turn, place, reason, message, found)
        return
    exit_code = seen.exit_code if seen else None
    due = policies.retry_at(
        turn.state,
        place,
        workflow_uid=turn.identity.uid,
        reason=reason,
        exit_code=exit_code,
        now=turn.now,
    )
    turn.record(
        AttemptFailed(
            run=turn.state.run,
            step=turn.state.name(place),
            attempt=attempt.number,
            reason=reason,
            message=message,
            job_uid=found.job_uid,
            exit_code=exit_code,
            started_at=found.started_at,
            finished_at=seen.finished_at if seen else None,
            pod=found.pod,
            node=found.node,
            retry_at=due,
            log_tail=(log_tail(seen.log_tail) or None) if seen else None,
        )
    )
    if due is None:
        turn.fail_step(place, reason, message)


# -- deadlines ---------------------------------------------------------------------------------------


def _fire_timers(turn: Turn) -> None:
    settle(turn)  # a run that is over by what is already known has not timed out
    for _ in range(TIMERS_PER_TURN_MAX):
        timer = next_timer(turn.state)
        if timer is None or timer.due > turn.now:
            return
        _fire(turn, timer)


def _fire(turn: Turn, timer: Timer) -> None:
    state = turn.state
    name = None if timer.place is None else state.name(timer.place)
    turn.record(TimerFired(run=state.run, kind=timer.kind, due=timer.due, step=name, attempt=timer.attempt))
    if timer.place is None:
        return  # the fold has made the workflow stopping
    definition = state.step(timer.place)
    match timer.kind:
        case TimerKind.START_TIMEOUT:
            waited = definition.start_timeout_ms or definition.attempt_timeout_ms or 0
            turn.abandon(timer.place, Reason.START_TIMED_OUT, f"not started within {seconds(waited)}")
        case TimerKind.ATTEMPT_TIMEOUT:
            waited = definition.attempt_timeout_ms or 0
            turn.abandon(timer.place, Reason.TIMED_OUT, f"attempt still running after {seconds(waited)}")
        case TimerKind.STEP_TIMEOUT:
            _time_out_step(turn, timer.place, _too_late(definition))
        case TimerKind.WAIT:
            turn.complete(timer.place)


def _too_late(step: Step) -> str:
    if step.approval is not None:
        return f"nobody has answered within {seconds(step.approval.timeout_ms or 0)}"
    return f"step not finished within {seconds(step.timeout_ms or 0)}"


def _time_out_step(turn: Turn, place: int, message: str) -> None:
    if place in turn.state.live:
        turn.abandon(place, Reason.TIMED_OUT, message)
    elif place in turn.state.retrying or place in turn.state.resting:
        turn.fail_step(place, Reason.TIMED_OUT, message)
    elif place in turn.state.unknown:
        unknowns.fail(turn, place, message=message)
    # else its attempt is leaving already, and once it is gone a retry would come too late; or it is a fan-out
