"""What the world should hold now, computed from the state and nothing else.

Promises: performing an effect twice is harmless, so nothing is remembered about whether it was done; after a
restart the same effects come out of the replayed state. `effects` looks only at the given steps: a turn asks
for those that its events touched, a start asks for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .commands import AttemptRef
from .definition import Effects, Kind
from .events import (
    ApprovalRequested,
    AttemptFailed,
    AttemptUnknown,
    Event,
    ShutdownRequested,
    StepFailed,
    StepStarted,
    WorkflowAccepted,
    WorkflowFinished,
    WorkflowRejected,
    WorkflowRerun,
)
from .lifecycle import StepPhase
from .naming import split_item
from .state import State, next_timer
from .texts import NOBODY_KNOWS


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureJob:
    """A Job with this name and intent should exist; of a sub-workflow step, a Workflow."""

    ref: AttemptRef
    job: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureNoJob:
    """No pod of this attempt should be left, and its Job's name should be held by a placeholder; of a sub-workflow
    step, its Workflow should have ended."""

    ref: AttemptRef
    job: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureReleased:
    """The suspended Job of this uid, and no other, should run now: its start is recorded (design 02, External)."""

    ref: AttemptRef
    job: str
    position: int
    job_uid: str


Effect = EnsureJob | EnsureNoJob | EnsureReleased


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """A notice for people (a Kubernetes Event object), best effort; named by its position in the log."""

    position: int
    warning: bool
    reason: str
    message: str


def touched(events: Iterable[Event]) -> list[str]:
    """The steps that these events name singly, each once, in order."""
    return list(dict.fromkeys(step for event in events if (step := getattr(event, "step", None)) is not None))


def effects(state: State, steps: Iterable[str] | None = None) -> list[Effect]:
    """The effects due for these steps; None means for all with an attempt that is not over."""
    if steps is None:
        steps = [state.name(place) for place in (*state.live, *state.leaving)]
    return [effect for step in steps if (effect := _effect(state, step)) is not None]


def escalated(state: State, events: Iterable[Event]) -> list[Effect]:
    """Those of children that are ending already, where these events say that the whole run is to end faster."""
    if not any(isinstance(event, ShutdownRequested) for event in events):
        return []
    steps = [state.name(place) for place in state.leaving if state.step(place).kind is Kind.WORKFLOW]
    return [effect for step in steps if (effect := _effect(state, step)) is not None]


def _effect(state: State, name: str) -> Effect | None:
    place = state.place_of(name)
    if place is None or (attempt := (step := state.steps[place]).attempt) is None:
        return None
    ref = AttemptRef(run=state.run, step=name, attempt=attempt.number)
    if place in state.leaving:
        return EnsureNoJob(ref=ref, job=attempt.job, position=attempt.position)
    if place in state.live and step.phase is StepPhase.SCHEDULED:
        return EnsureJob(ref=ref, job=attempt.job, position=attempt.position)
    if place in state.live and state.step(place).effects is Effects.EXTERNAL and attempt.job_uid is not None:
        return EnsureReleased(ref=ref, job=attempt.job, position=attempt.position, job_uid=attempt.job_uid)
    return None


def wake_at(state: State) -> int | None:
    """The earliest deadline that still guards something, in epoch milliseconds."""
    timer = next_timer(state)
    return timer.due if timer else None


def notices(events: Sequence[Event], first_position: int) -> list[Notify]:
    """Start, retry, failure and end only: an apiserver keeps Event objects for an hour, people read few."""
    found = ((first_position + number, event) for number, event in enumerate(events))
    return [notice for position, event in found if (notice := _notice(position, event)) is not None]


def _notice(position: int, event: Event) -> Notify | None:
    match event:
        case WorkflowAccepted():
            count = len(event.definition.steps)
            message = f"{count} step accepted" if count == 1 else f"{count} steps accepted"
            return Notify(position=position, warning=False, reason="WorkflowAccepted", message=message)
        case WorkflowRejected():
            message = "; ".join(str(problem) for problem in event.problems)
            return Notify(position=position, warning=True, reason="WorkflowRejected", message=message)
        case ApprovalRequested():
            message = f"step '{event.step}' waits for an answer in spec.approvals"
            return Notify(position=position, warning=False, reason="ApprovalRequested", message=message)
        case WorkflowRerun():
            return Notify(position=position, warning=False, reason="WorkflowRerun", message=f"run {event.run} begins")
        case StepStarted() if split_item(event.step) is None:  # of thousands of items nobody reads
            where = f" in pod {event.pod}" if event.pod else ""
            message = f"step '{event.step}' attempt {event.attempt} runs{where}"
            return Notify(position=position, warning=False, reason="StepStarted", message=message)
        case AttemptFailed() if event.retry_at is not None:
            message = f"step '{event.step}' attempt {event.attempt} failed ({event.reason}): {event.message}"
            return Notify(position=position, warning=True, reason="StepRetrying", message=message)
        case AttemptUnknown():
            message = f"step '{event.step}' attempt {event.attempt}: {NOBODY_KNOWS} ({event.reason}): {event.message}"
            return Notify(position=position, warning=True, reason="StepUnknown", message=message)
        case StepFailed():
            message = f"step '{event.step}' failed ({event.reason}): {event.message}"
            return Notify(position=position, warning=True, reason="StepFailed", message=message)
        case WorkflowFinished():
            message = f"{event.end}: {event.message}" if event.message else str(event.end)
            warning = event.end.value == "Failed"
            return Notify(position=position, warning=warning, reason=f"Workflow{event.end}", message=message)
    return None
