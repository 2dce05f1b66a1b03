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

from .definition import RunWhen
from .errors import CorruptionError
from .events import (
    AttemptAbandoned,
    AttemptFailed,
    Event,
    Reason,
    ShutdownRequested,
    SkipReason,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    WorkflowAccepted,
    WorkflowFinished,
    WorkflowRejected,
)
from .graph import build
from .lifecycle import StepPhase, WorkflowPhase, next_phase
from .state import Attempt, State, StepState, Stopping, Timer


def evolve(state: State, event: Event, *, ts: int) -> State:
    """Fold one event; `state` is given away, the result is to be used instead."""
    if state.is_terminal and not isinstance(event, StreamClaimed):
        raise CorruptionError(f"the run has ended and cannot take the event {type(event).__name__}")
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


def _apply(state: State, event: Event) -> None:
    match event:
        case StreamClaimed():
            _claim(state, event)
        case WorkflowAccepted():
            _accept(state, event)
        case WorkflowRejected():
            state.phase = WorkflowPhase.REJECTED
            state.spec_hash, state.problems = event.spec_hash, event.problems
            state.finished_at = state.ts
        case ShutdownRequested():
            state.stopping, state.shutdown = state.stopping or Stopping.SHUTDOWN, event.mode
            state.phase = WorkflowPhase.CANCELLING
        case StepScheduled():
            _schedule(state, event)
        case StepStarted():
            _start(state, event)
        case StepSucceeded():
            _succeed(state, event)
        case AttemptAbandoned():
            _abandon(state, event)
        case AttemptFailed():
            _fail_attempt(state, event)
        case StepFailed():
            _fail_step(state, event)
        case StepsSkipped():
            for place in _places(state, event.steps):
                _finish(state, place, event, reason=event.reason, culprit=event.culprit)
        case StepsCancelled():
            for place in _places(state, event.steps):
                _finish(state, place, event, reason=Reason.CANCELLED)
        case TimerFired():
            _fire(state, event)
        case WorkflowFinished():
            state.phase = WorkflowPhase(event.end.value)
            state.end_reason, state.end_message = event.reason, event.message
            state.finished_at = state.ts
        case _:
            assert_never(event)


def _claim(state: State, event: StreamClaimed) -> None:
    if event.epoch <= state.epoch:
        raise CorruptionError(f"epoch {event.epoch} does not rise above {state.epoch}")
    state.epoch, state.writer = event.epoch, event.writer


def _accept(state: State, event: WorkflowAccepted) -> None:
    if state.definition is not None:
        raise CorruptionError("the workflow was accepted twice")
    definition = event.definition
    state.run, state.spec_hash, state.definition = event.run, event.spec_hash, definition
    state.accepted_at, state.deadline = state.ts, event.deadline
    state.graph = build(definition)
    state.steps = [StepState() for _ in definition.steps]
    state.counts[StepPhase.PENDING] = len(state.steps)
    state.unmet = [len(needs) for needs in state.graph.needs]
    for place, step in enumerate(definition.steps):
        (state.plain if step.run_when is RunWhen.ALL_SUCCEEDED else state.guarded)[place] = None
        if not step.depends_on:
            _release(state, place)
    if event.deadline is not None:
        _arm(state, TimerKind.WORKFLOW_TIMEOUT, event.deadline)


def _schedule(state: State, event: StepScheduled) -> None:
    place = _place(state, event.step)
    old = state.steps[place]
    if event.attempt != old.attempts + 1:
        raise CorruptionError(f"step '{event.step}': attempt {event.attempt} follows attempt {old.attempts}")
    attempt = Attempt(
        number=event.attempt,
        job=event.job,
        position=state.position,
        scheduled_at=state.ts,
        start_deadline=event.start_deadline,
    )
    deadline = event.step_deadline if event.step_deadline is not None else old.deadline
    _move(state, place, event, replace(old, attempt=attempt, retry_at=None, deadline=deadline))
    state.live[place] = None
    if event.start_deadline is not None:
        _arm(state, TimerKind.START_TIMEOUT, event.start_deadline, place, event.attempt)
    if event.step_deadline is not None:
        _arm(state, TimerKind.STEP_TIMEOUT, event.step_deadline, place)
    if state.started_at is None:
        state.started_at = state.ts
    if state.stopping is None:  # a clean-up step may start after onFailure CancelRunning took others down
        state.phase = WorkflowPhase.RUNNING


def _start(state: State, event: StepStarted) -> None:
    place, old, attempt = _current(state, event.step, event.attempt)
    attempt = replace(
        attempt,
        job_uid=event.job_uid,
        pod=event.pod,
        node=event.node,
        started_at=event.started_at,
        deadline=event.attempt_deadline,
    )
    started_at = old.started_at if old.started_at is not None else event.started_at
    _move(state, place, event, replace(old, attempt=attempt, started_at=started_at))
    if event.attempt_deadline is not None:
        _arm(state, TimerKind.ATTEMPT_TIMEOUT, event.attempt_deadline, place, event.attempt)


def _succeed(state: State, event: StepSucceeded) -> None:
    place, old, attempt = _current(state, event.step, event.attempt)
    if attempt.abandoned:
        raise CorruptionError(f"step '{event.step}': attempt {event.attempt} was given up and cannot succeed")
    seen = replace(attempt, job_uid=event.job_uid, pod=event.pod or attempt.pod, node=event.node or attempt.node)
    started_at = old.started_at if old.started_at is not None else event.started_at
    state.steps[place] = replace(old, attempt=seen, started_at=started_at, exit_code=0, message="", reason=None)
    _finish(state, place, event)


def _abandon(state: State, event: AttemptAbandoned) -> None:
    place, old, attempt = _current(state, event.step, event.attempt)
    if attempt.abandoned:
        raise CorruptionError(f"step '{event.step}': attempt {event.attempt} was given up twice")
    attempt = replace(attempt, abandoned=event.reason, abandoned_message=event.message)
    _move(state, place, event, replace(old, attempt=attempt))
    del state.live[place]
    state.leaving[place] = None
    if event.reason is Reason.CANCELLED:
        state.phase = WorkflowPhase.CANCELLING


def _fail_attempt(state: State, event: AttemptFailed) -> None:
    place, old, attempt = _current(state, event.step, event.attempt)
    disrupted = event.reason is Reason.DISRUPTED
    seen = replace(
        attempt,
        job_uid=event.job_uid or attempt.job_uid,
        pod=event.pod or attempt.pod,
        node=event.node or attempt.node,
        started_at=attempt.started_at if event.started_at is None else event.started_at,
    )
    new = replace(
        old,
        attempt=seen,
        failures=old.failures + (not disrupted),
        disruptions=old.disruptions + disrupted,
        retry_at=event.retry_at,
        started_at=old.started_at if old.started_at is not None else seen.started_at,
        reason=event.reason,
        message=event.message,
        exit_code=event.exit_code,
    )
    _move(state, place, event, new)
    state.live.pop(place, None)
    state.leaving.pop(place, None)
    state.retrying[place] = None
    if event.retry_at is not None:
        _arm(state, TimerKind.BACKOFF, event.retry_at, place)


def _fail_step(state: State, event: StepFailed) -> None:
    place = _place(state, event.step)
    state.steps[place] = replace(state.steps[place], message=event.message)
    _finish(state, place, event, reason=event.reason)
    if not state.step(place).allow_failure and state.failing is None:
        state.failing = event.step


def _fire(state: State, event: TimerFired) -> None:
    if event.kind is TimerKind.WORKFLOW_TIMEOUT:
        state.stopping = state.stopping or Stopping.TIMED_OUT
        state.phase = WorkflowPhase.CANCELLING
    elif event.kind is TimerKind.BACKOFF:
        assert event.step is not None
        place = _place(state, event.step)
        state.steps[place] = replace(state.steps[place], retry_at=None)
        state.ready[place] = None


def _move(state: State, place: int, event: Event, new: StepState) -> None:
    """Give the step its new phase, by the table, and keep the indexes of phases true."""
    old = state.steps[place]
    phase = next_phase(old.phase, type(event), state.step(place).name)
    state.steps[place] = replace(new, phase=phase)
    state.counts[old.phase] -= 1
    state.counts[phase] += 1
    if phase is not old.phase:
        for index in (state.plain, state.guarded, state.retrying, state.ready, state.doomed):
            index.pop(place, None)


def _finish(
    state: State, place: int, event: Event, *, reason: Reason | SkipReason | None = None, culprit: str | None = None
) -> None:
    """The step is over: let its dependents know."""
    new = replace(state.steps[place], finished_at=state.ts, retry_at=None, culprit=culprit)
    if reason is not None:
        new = replace(new, reason=reason)
    _move(state, place, event, new)
    state.live.pop(place, None)
    state.leaving.pop(place, None)
    assert state.graph is not None
    for dependent in state.graph.dependents[place]:
        _tell(state, dependent, place)


def _tell(state: State, dependent: int, finished: int) -> None:
    """One of the step's dependencies is finished: it may now start, or never."""
    phase = state.steps[finished].phase
    state.unmet[dependent] -= 1
    if phase is StepPhase.FAILED:
        state.any_failed.add(dependent)
    if state.steps[dependent].phase is not StepPhase.PENDING:
        return
    holds = phase is StepPhase.SUCCEEDED or (phase is StepPhase.FAILED and state.step(finished).allow_failure)
    if state.step(dependent).run_when is RunWhen.ALL_SUCCEEDED and not holds:
        state.doomed.setdefault(dependent, state.steps[finished].culprit or state.step(finished).name)
    elif state.unmet[dependent] == 0 and dependent not in state.doomed:
        _release(state, dependent)


def _release(state: State, place: int) -> None:
    """All dependencies are finished and none stands against it: ready, unless its own rule says no."""
    step = state.step(place)
    if step.run_when is RunWhen.ANY_FAILED and place not in state.any_failed:
        state.doomed[place] = step.depends_on[-1] if step.depends_on else step.name
    else:
        state.ready[place] = None


def _arm(state: State, kind: TimerKind, due: int, place: int | None = None, attempt: int | None = None) -> None:
    heapq.heappush(state.timers, Timer(due=due, position=state.position, kind=kind, place=place, attempt=attempt))


def _place(state: State, step: str) -> int:
    place = state.place_of(step)
    if place is None:
        raise CorruptionError(f"there is no step '{step}' in the accepted definition")
    return place


def _places(state: State, steps: Iterable[str]) -> list[int]:
    return [_place(state, step) for step in steps]


def _current(state: State, step: str, attempt: int) -> tuple[int, StepState, Attempt]:
    """The step whose newest attempt this is."""
    place = _place(state, step)
    old = state.steps[place]
    if old.attempt is None or old.attempt.number != attempt:
        raise CorruptionError(f"step '{step}': attempt {attempt} is not its newest, {old.attempts}")
    return place, old, old.attempt
