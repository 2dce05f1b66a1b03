"""The fold: one event onto the state. The only code that writes a `State`, live and in replay alike.

Promises: total over recorded histories, deterministic, and of a cost that depends on the event (and the
edges of its step), never on the number of steps. Decides nothing: what follows from a fact is `decide`'s.
Raises CorruptionError for a history that no `decide` can have written.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from . import attempts, items, opening, resting
from .errors import CorruptionError
from .events import (
    ApprovalGiven,
    ApprovalRequested,
    AttemptAbandoned,
    AttemptEvent,
    AttemptFailed,
    AttemptUnknown,
    Event,
    EventLimitReached,
    FinallyStarted,
    LateResultIgnored,
    ShutdownRequested,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    UnknownResolved,
    WaitStarted,
    WorkflowAccepted,
    WorkflowFinished,
    WorkflowRejected,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from .folding import finish, offer, place_named
from .lifecycle import WorkflowPhase
from .state import State, Stopping, next_timer

# What can come before every adoption is recorded.
_BEFORE_STEPS = (
    StepAdopted,
    ShutdownRequested,
    WorkflowSuspended,
    WorkflowResumed,
    EventLimitReached,
    TimerFired,
)


def evolve(state: State, event: Event, *, ts: int) -> State:
    """Fold one event; `state` is given away, the result is to be used instead."""
    if not isinstance(event, StreamClaimed):
        _check(state, event)
    state.position += 1
    state.ts = ts
    _apply(state, event)
    return state


def fold(events: Iterable[tuple[Event, int]], state: State | None = None) -> State:
    """Fold (event, ts) pairs in order, from the empty state unless one is given."""
    result = state or State()
    for event, ts in events:
        result = evolve(result, event, ts=ts)
    return result


def _check(state: State, event: Event) -> None:
    """Whether the workflow as a whole can take the event; each step is checked by the table."""
    opens = isinstance(event, WorkflowAccepted | WorkflowRejected)
    run = getattr(event, "run", state.run)
    if state.is_terminal is not isinstance(event, WorkflowRerun):
        fault = "the run has ended" if state.is_terminal else "the run has not ended"
    elif opens is (state.definition is not None):
        fault = "the workflow was accepted already" if opens else "the workflow was never accepted"
    elif run != state.run + isinstance(event, WorkflowAccepted | WorkflowRerun):
        fault = f"this is run {state.run}, not {run}"
    elif state.unadopted and not isinstance(event, _BEFORE_STEPS):
        fault = "some steps are still to be adopted"
    elif isinstance(event, WorkflowFinished) and (state.held or not state.is_exhausted):
        fault = "some steps have not ended"
    else:
        return
    raise CorruptionError(f"{fault}: cannot take the event {type(event).__name__}")


def _apply(state: State, event: Event) -> None:
    match event:
        case StreamClaimed():
            _claim(state, event)
        case WorkflowAccepted():
            opening.accept(state, event)
        case WorkflowRejected():
            _reject(state, event)
        case ShutdownRequested():
            state.shutdown = event.mode
            _take_down(state, state.stopping or Stopping.SHUTDOWN)
        case WorkflowSuspended():
            opening.suspend(state, suspended=True)
        case WorkflowResumed():
            opening.suspend(state, suspended=False)
        case EventLimitReached():
            _take_down(state, Stopping.EVENT_LIMIT)
        case TimerFired():
            _fire(state, event)
        case FinallyStarted():
            opening.begin_finally(state, event)
        case WorkflowFinished():
            state.phase, state.finished_at = WorkflowPhase(event.end.value), state.ts
            state.end_reason, state.end_message = event.reason, event.message
        case WorkflowRerun():
            opening.rerun(state, event)
        case _:
            _apply_to_steps(state, event)


def _apply_to_steps(state: State, event: StepEvent) -> None:
    match event:
        case StepEvaluated():
            attempts.evaluate(state, event)
        case StepAdopted():
            attempts.adopt(state, event)
        case ApprovalRequested():
            resting.ask(state, event)
        case ApprovalGiven():
            resting.hear(state, event)
        case WaitStarted():
            resting.wait(state, event)
        case StepExpanded():
            attempts.expand(state, event)
        case StepCompleted():
            attempts.complete(state, event)
        case StepFailed():
            attempts.fail_step(state, event)
        case StepsSkipped():
            for step in event.steps:
                finish(state, place_named(state, step), event, reason=event.reason, culprit=event.culprit)
        case StepsCancelled():
            for step in event.steps:
                attempts.cancel(state, step, event)
        case _:
            _apply_to_attempts(state, event)


def _apply_to_attempts(state: State, event: AttemptEvent) -> None:
    match event:
        case StepScheduled():
            attempts.schedule(state, event)
        case StepStarted():
            attempts.start(state, event)
        case StepSucceeded():
            attempts.succeed(state, event)
        case AttemptAbandoned():
            attempts.abandon(state, event)
        case AttemptFailed():
            attempts.fail_attempt(state, event)
        case AttemptUnknown():
            attempts.lose_track(state, event)
        case UnknownResolved():
            attempts.resolve(state, event)
        case LateResultIgnored():
            attempts.note_late(state, event)
        case _:
            assert_never(event)


def _take_down(state: State, why: Stopping) -> None:
    state.stopping, state.phase = why, WorkflowPhase.CANCELLING


def _claim(state: State, event: StreamClaimed) -> None:
    if event.epoch <= state.epoch:
        raise CorruptionError(f"epoch {event.epoch} does not rise above {state.epoch}")
    state.epoch, state.writer = event.epoch, event.writer


def _reject(state: State, event: WorkflowRejected) -> None:
    state.phase = WorkflowPhase.REJECTED
    state.spec_hash, state.problems = event.spec_hash, event.problems
    state.finished_at = state.ts


def _fire(state: State, event: TimerFired) -> None:
    place = None if event.step is None else place_named(state, event.step)
    timer = next_timer(state)
    if timer is not None and (timer.due, timer.kind, timer.place) == (event.due, event.kind, place):
        heapq.heappop(state.timers)
    if event.kind in (TimerKind.WORKFLOW_TIMEOUT, TimerKind.FINALLY_TIMEOUT):
        _take_down(state, Stopping.TIMED_OUT)
    elif event.kind is TimerKind.BACKOFF:
        if place is None or state.steps[place].retry_at != event.due:
            raise CorruptionError(f"step '{event.step}' waits for no backoff that is due at {event.due}")
        state.steps[place] = replace(state.steps[place], retry_at=None)
        if (fanout := state.fanout_of(place)) is None:
            offer(state, place)
        else:
            items.come_due(state, fanout, place)
    elif event.kind is TimerKind.STEP_TIMEOUT and (late := state.fanouts.get(-1 if place is None else place)):
        late.is_late = True
        items.refresh(state, late)
