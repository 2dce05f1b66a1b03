"""What a fact about one step does to the state as a whole: its phase, the indexes, its dependents, its deadlines.

Promises: every index of `state` stays true whichever event moves a step; the cost depends on the edges of the step,
never on the number of steps. Called by `evolve` and its rooms (`attempts`) alone. Must never decide anything.
"""

from __future__ import annotations

import heapq
from dataclasses import replace

from . import items
from .definition import Kind
from .errors import CorruptionError
from .events import Event, Reason, SkipReason, TimerKind
from .lifecycle import StepPhase, WorkflowPhase, next_phase
from .policies import is_plain, never_reacts
from .state import Attempt, State, StepState, Timer


def move(state: State, place: int, event: Event, new: StepState) -> None:
    """Give the step its new phase, by the table, and keep the indexes of phases true."""
    old = state.steps[place]
    phase = next_phase(old.phase, type(event), state.name(place))
    state.steps[place] = replace(new, phase=phase)
    if state.fanout_of(place) is None:
        state.counts[old.phase] -= 1
        state.counts[phase] += 1
    if phase is not old.phase:
        waiting = (state.plain, state.guarded, state.held, state.retrying, state.unknown)
        for index in (*waiting, state.ready, state.jobless, state.doomed):
            index.pop(place, None)


def finish(
    state: State, place: int, event: Event, *, reason: Reason | SkipReason | None = None, culprit: str | None = None
) -> None:
    """The step is over: let its dependents know, or its fan-out if it is an item."""
    new = replace(state.steps[place], finished_at=state.ts, retry_at=None, culprit=culprit)
    if reason is not None:
        new = replace(new, reason=reason)
    move(state, place, event, new)
    release_place(state, place)
    if (fanout := state.fanout_of(place)) is not None:
        items.finish(state, fanout, place)
        return
    if (own := state.fanouts.get(place)) is not None:
        items.refresh(state, own)
    assert state.graph is not None
    for dependent in state.graph.dependents[place]:
        _tell(state, dependent, place)


def release_place(state: State, place: int) -> None:
    """The step's attempt, if it had one, is over."""
    was_live, was_leaving = place in state.live, place in state.leaving
    state.live.pop(place, None)
    state.resting.pop(place, None)
    state.cancellable.pop(place, None)
    if (fanout := state.fanout_of(place)) is not None and (was_live or was_leaving):
        items.release(state, fanout, left=was_leaving)
    if was_live or was_leaving:
        state.nested -= state.step(place).kind is Kind.WORKFLOW
    if was_leaving:
        del state.leaving[place]
        attempt = state.steps[place].attempt
        state.cancelling -= attempt is not None and attempt.abandoned is Reason.CANCELLED
        show_phase(state)


def show_phase(state: State) -> None:
    """Cancelling also while a failure takes others down, and no longer: a clean-up step may run on."""
    if state.stopping is not None or state.cancelling > 0:
        state.phase = WorkflowPhase.CANCELLING
    elif state.suspended:
        state.phase = WorkflowPhase.SUSPENDED
    elif state.outcome is not None:
        state.phase = WorkflowPhase.FINALIZING
    else:
        state.phase = WorkflowPhase.PENDING if state.started_at is None else WorkflowPhase.RUNNING


def enter(state: State, place: int) -> None:
    """The step counts among those that are to run: by its rule, and at once if it waits for nobody."""
    (state.plain if is_plain(state, place) else state.guarded)[place] = None
    if state.unmet[place] == 0:
        needs = state.step(place).depends_on  # all done in an earlier run, if there are any
        release(state, place, culprit=needs[-1] if needs else state.step(place).name)


def _tell(state: State, dependent: int, finished: int) -> None:
    """One of the step's dependencies is finished: it may now start, or never."""
    phase, reason = state.steps[finished].phase, state.steps[finished].reason
    state.unmet[dependent] -= 1
    if phase is StepPhase.FAILED:
        state.any_failed.add(dependent)
    if state.steps[dependent].phase is not StepPhase.PENDING:
        return
    forgiven = phase is StepPhase.FAILED and state.step(finished).allow_failure
    holds = phase is StepPhase.SUCCEEDED or forgiven or reason is SkipReason.CONDITION_FALSE
    culprit = state.steps[finished].culprit or state.step(finished).name
    if is_plain(state, dependent) and not holds:
        state.doomed.setdefault(dependent, culprit)
    elif state.unmet[dependent] == 0 and dependent not in state.doomed:
        release(state, dependent, culprit=culprit)


def release(state: State, place: int, *, culprit: str) -> None:
    """All dependencies are finished and none stands against it: ready, unless it has nothing to react to."""
    if never_reacts(state, place):
        state.doomed[place] = culprit
    else:
        offer(state, place)


def offer(state: State, place: int) -> None:
    """It may start: as soon as there is a place for its Job, or at once if it has none."""
    (state.ready if state.step(place).kind is Kind.RUN else state.jobless)[place] = None


def arm(state: State, kind: TimerKind, due: int, place: int | None = None, attempt: int | None = None) -> None:
    """A deadline that this very event has recorded."""
    heapq.heappush(state.timers, Timer(due=due, position=state.position, kind=kind, place=place, attempt=attempt))


def place_named(state: State, step: str) -> int:
    """Where the step stands. Raises CorruptionError if the definition has none of this name."""
    place = state.place_of(step)
    if place is None:
        raise CorruptionError(f"there is no step '{step}' in the accepted definition, nor an item of this name")
    return place


def current(state: State, step: str, attempt: int) -> tuple[int, StepState, Attempt]:
    """The step whose newest attempt this is."""
    place = place_named(state, step)
    old = state.steps[place]
    if old.attempt is None or old.attempt.number != attempt:
        raise CorruptionError(f"step '{step}': attempt {attempt} is not its newest, {old.attempts}")
    return place, old, old.attempt


def live(state: State, step: str, attempt: int) -> tuple[int, StepState, Attempt]:
    """The same, and it was not given up."""
    found = current(state, step, attempt)
    if found[2].abandoned:
        raise CorruptionError(f"step '{step}': attempt {attempt} was given up")
    return found
