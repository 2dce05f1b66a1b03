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

from .errors import CorruptionError
from .events import (
    AttemptAbandoned,
    AttemptFailed,
    Event,
    EventLimitReached,
    Reason,
    ShutdownRequested,
    SkipReason,
    StepAdopted,
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
from .policies import is_plain, never_reacts
from .state import Attempt, State, StepState, Stopping, Timer, next_timer

# What can come before every adoption is recorded.
_BEFORE_STEPS = (StepAdopted, ShutdownRequested, EventLimitReached, TimerFired)


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
    if state.is_terminal:
        fault = "the run has ended"
    elif opens is (state.definition is not None):
        fault = "the workflow was accepted already" if opens else "the workflow was never accepted"
    elif run != state.run + isinstance(event, WorkflowAccepted):
        fault = f"this is run {state.run}, not {run}"
    elif state.unadopted and not isinstance(event, _BEFORE_STEPS):
        fault = "some steps are still to be adopted"
    elif isinstance(event, WorkflowFinished) and not state.is_exhausted:
        fault = "some steps have not ended"
    else:
        return
    raise CorruptionError(f"{fault}: cannot take the event {type(event).__name__}")


def _apply(state: State, event: Event) -> None:
    match event:
        case StreamClaimed():
            _claim(state, event)
        case WorkflowAccepted():
            _accept(state, event)
        case WorkflowRejected():
            _reject(state, event)
        case ShutdownRequested():
            state.shutdown = event.mode
            _take_down(state, state.stopping or Stopping.SHUTDOWN)
        case StepScheduled():
            _schedule(state, event)
        case StepStarted():
            _start(state, event)
        case StepSucceeded():
            _succeed(state, event)
        case StepAdopted():
            _adopt(state, event)
        case AttemptAbandoned():
            _abandon(state, event)
        case AttemptFailed():
            _fail_attempt(state, event)
        case StepFailed():
            _fail_step(state, event)
        case StepsSkipped():
            for step in event.steps:
                _finish(state, _place(state, step), event, reason=event.reason, culprit=event.culprit)
        case StepsCancelled():
            for step in event.steps:
                _cancel(state, step, event)
        case TimerFired():
            _fire(state, event)
        case EventLimitReached():
            _take_down(state, Stopping.EVENT_LIMIT)
        case WorkflowFinished():
            state.phase, state.finished_at = WorkflowPhase(event.end.value), state.ts
            state.end_reason, state.end_message = event.reason, event.message
        case _:
            assert_never(event)


def _take_down(state: State, why: Stopping) -> None:
    state.stopping, state.phase = why, WorkflowPhase.CANCELLING


def _claim(state: State, event: StreamClaimed) -> None:
    if event.epoch <= state.epoch:
        raise CorruptionError(f"epoch {event.epoch} does not rise above {state.epoch}")
    state.epoch, state.writer = event.epoch, event.writer


def _accept(state: State, event: WorkflowAccepted) -> None:
    definition = event.definition
    state.run, state.spec_hash, state.definition = event.run, event.spec_hash, definition
    state.accepted_at, state.deadline = state.ts, event.deadline
    state.graph = build(definition)
    state.steps = [StepState() for _ in definition.steps]
    state.counts[StepPhase.PENDING] = len(state.steps)
    state.unmet = [len(needs) for needs in state.graph.needs]
    for place, step in enumerate(definition.steps):
        (state.plain if is_plain(state, place) else state.guarded)[place] = None
        if not step.depends_on:
            _release(state, place, culprit=step.name)
    if definition.adopt is not None:
        state.unadopted = {state.graph.index[step.name]: step for step in definition.adopt.steps}
    if event.deadline is not None:
        _arm(state, TimerKind.WORKFLOW_TIMEOUT, event.deadline)


def _adopt(state: State, event: StepAdopted) -> None:
    place = _place(state, event.step)
    asked = state.unadopted.pop(place, None)
    if asked is None or (asked.position, asked.hash) != (event.source_position, event.source_hash):
        raise CorruptionError(f"step '{event.step}': the definition does not ask for this adoption")
    _finish(state, place, event)


def _reject(state: State, event: WorkflowRejected) -> None:
    state.phase = WorkflowPhase.REJECTED
    state.spec_hash, state.problems = event.spec_hash, event.problems
    state.finished_at = state.ts


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
        epoch=state.epoch,
        start_deadline=event.start_deadline,
    )
    deadline = event.step_deadline if event.step_deadline is not None else old.deadline
    _move(state, place, event, replace(old, attempt=attempt, retry_at=None, deadline=deadline))
    state.live[place] = None
    if is_plain(state, place):
        state.cancellable[place] = None
    if event.start_deadline is not None:
        _arm(state, TimerKind.START_TIMEOUT, event.start_deadline, place, event.attempt)
    if event.step_deadline is not None:
        _arm(state, TimerKind.STEP_TIMEOUT, event.step_deadline, place)
    if state.started_at is None:
        state.started_at = state.ts
    _show_phase(state)


def _start(state: State, event: StepStarted) -> None:
    place, old, attempt = _live(state, event.step, event.attempt)
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
    place, old, attempt = _live(state, event.step, event.attempt)
    seen = replace(attempt, job_uid=event.job_uid, pod=event.pod or attempt.pod, node=event.node or attempt.node)
    started_at = old.started_at if old.started_at is not None else event.started_at
    state.steps[place] = replace(old, attempt=seen, started_at=started_at, exit_code=0, message="", reason=None)
    _finish(state, place, event)


def _abandon(state: State, event: AttemptAbandoned) -> None:
    place, old, attempt = _live(state, event.step, event.attempt)
    attempt = replace(attempt, abandoned=event.reason, abandoned_message=event.message)
    _move(state, place, event, replace(old, attempt=attempt))
    del state.live[place]
    state.cancellable.pop(place, None)
    state.leaving[place] = None
    if event.reason is Reason.CANCELLED:
        state.cancelling += 1
        _show_phase(state)


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
    _release_place(state, place)
    state.retrying[place] = None
    if is_plain(state, place):
        state.cancellable[place] = None
    if event.retry_at is not None:
        _arm(state, TimerKind.BACKOFF, event.retry_at, place)


def _fail_step(state: State, event: StepFailed) -> None:
    place = _place(state, event.step)
    state.steps[place] = replace(state.steps[place], message=event.message)
    _finish(state, place, event, reason=event.reason)
    if not state.step(place).allow_failure and state.failing is None:
        state.failing = event.step


def _cancel(state: State, step: str, event: StepsCancelled) -> None:
    place = _place(state, step)
    if place in state.live:
        raise CorruptionError(f"step '{step}' was cancelled while its attempt may run")
    _finish(state, place, event, reason=Reason.CANCELLED)


def _fire(state: State, event: TimerFired) -> None:
    place = None if event.step is None else _place(state, event.step)
    timer = next_timer(state)
    if timer is not None and (timer.due, timer.kind, timer.place) == (event.due, event.kind, place):
        heapq.heappop(state.timers)
    if event.kind is TimerKind.WORKFLOW_TIMEOUT:
        _take_down(state, Stopping.TIMED_OUT)
    elif event.kind is TimerKind.BACKOFF:
        if place is None or state.steps[place].retry_at != event.due:
            raise CorruptionError(f"step '{event.step}' waits for no backoff that is due at {event.due}")
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
    _release_place(state, place)
    assert state.graph is not None
    for dependent in state.graph.dependents[place]:
        _tell(state, dependent, place)


def _release_place(state: State, place: int) -> None:
    """The step's attempt, if it had one, is over."""
    state.live.pop(place, None)
    state.cancellable.pop(place, None)
    if place in state.leaving:
        del state.leaving[place]
        attempt = state.steps[place].attempt
        state.cancelling -= attempt is not None and attempt.abandoned is Reason.CANCELLED
        _show_phase(state)


def _show_phase(state: State) -> None:
    """While a failure takes others down, too, and no longer: a clean-up step may run on."""
    taking_down = state.stopping is not None or state.cancelling > 0
    state.phase = WorkflowPhase.CANCELLING if taking_down else WorkflowPhase.RUNNING


def _tell(state: State, dependent: int, finished: int) -> None:
    """One of the step's dependencies is finished: it may now start, or never."""
    phase = state.steps[finished].phase
    state.unmet[dependent] -= 1
    if phase is StepPhase.FAILED:
        state.any_failed.add(dependent)
    if state.steps[dependent].phase is not StepPhase.PENDING:
        return
    holds = phase is StepPhase.SUCCEEDED or (phase is StepPhase.FAILED and state.step(finished).allow_failure)
    culprit = state.steps[finished].culprit or state.step(finished).name
    if is_plain(state, dependent) and not holds:
        state.doomed.setdefault(dependent, culprit)
    elif state.unmet[dependent] == 0 and dependent not in state.doomed:
        _release(state, dependent, culprit=culprit)


def _release(state: State, place: int, *, culprit: str) -> None:
    """All dependencies are finished and none stands against it: ready, unless it has nothing to react to."""
    if never_reacts(state, place):
        state.doomed[place] = culprit
    else:
        state.ready[place] = None


def _arm(state: State, kind: TimerKind, due: int, place: int | None = None, attempt: int | None = None) -> None:
    heapq.heappush(state.timers, Timer(due=due, position=state.position, kind=kind, place=place, attempt=attempt))


def _place(state: State, step: str) -> int:
    place = state.place_of(step)
    if place is None:
        raise CorruptionError(f"there is no step '{step}' in the accepted definition")
    return place


def _current(state: State, step: str, attempt: int) -> tuple[int, StepState, Attempt]:
    """The step whose newest attempt this is."""
    place = _place(state, step)
    old = state.steps[place]
    if old.attempt is None or old.attempt.number != attempt:
        raise CorruptionError(f"step '{step}': attempt {attempt} is not its newest, {old.attempts}")
    return place, old, old.attempt


def _live(state: State, step: str, attempt: int) -> tuple[int, StepState, Attempt]:
    """The same, and it was not given up."""
    found = _current(state, step, attempt)
    if found[2].abandoned:
        raise CorruptionError(f"step '{step}': attempt {attempt} was given up")
    return found
