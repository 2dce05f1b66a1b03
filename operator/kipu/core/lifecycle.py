"""The phases, and every way from one to another, as data. docs/lifecycle.md is generated from this table.

Theory: a step moves only by a recorded event. `Succeeded`, `Failed`, `Skipped` and `Cancelled` are final in their
run: no row leaves them, only `WorkflowRerun` has steps begin anew. An attempt that was given up (`AttemptAbandoned`)
keeps its step's phase until its Job is proven gone; only then does `AttemptFailed` or `StepsCancelled` move it.
"""

from __future__ import annotations

from enum import StrEnum

from .errors import CorruptionError
from .events import (
    ApprovalRequested,
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    LateResultIgnored,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)


class StepPhase(StrEnum):
    """Where a step stands."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"  # decided, not yet seen running
    RUNNING = "Running"
    RETRYING = "Retrying"  # waiting for its backoff, or for a free place after it
    UNKNOWN = "Unknown"  # an External attempt is over, and a person must say what became of it
    SUSPENDED = "Suspended"  # waiting for an approval, or for time to pass
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"


class WorkflowPhase(StrEnum):
    """Where a workflow stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"  # nothing new starts until it is resumed
    FINALIZING = "Finalizing"  # the steps are over, those of `finally` run
    CANCELLING = "Cancelling"  # Jobs are being taken down; lasts until none of their pods is left
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"


TERMINAL_STEP_PHASES = frozenset(
    {StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED, StepPhase.CANCELLED},
)
TERMINAL_WORKFLOW_PHASES = frozenset(
    {WorkflowPhase.SUCCEEDED, WorkflowPhase.FAILED, WorkflowPhase.CANCELLED, WorkflowPhase.REJECTED},
)

_P = StepPhase
STEP_TRANSITIONS: dict[tuple[StepPhase, type], StepPhase] = {
    (_P.PENDING, StepScheduled): _P.SCHEDULED,
    (_P.PENDING, StepAdopted): _P.SUCCEEDED,
    (_P.PENDING, StepEvaluated): _P.PENDING,
    (_P.PENDING, StepFailed): _P.FAILED,
    (_P.PENDING, StepExpanded): _P.RUNNING,
    (_P.PENDING, StepsSkipped): _P.SKIPPED,
    (_P.PENDING, StepsCancelled): _P.CANCELLED,
    (_P.SCHEDULED, StepStarted): _P.RUNNING,
    (_P.SCHEDULED, StepSucceeded): _P.SUCCEEDED,
    (_P.SCHEDULED, AttemptAbandoned): _P.SCHEDULED,
    (_P.SCHEDULED, LateResultIgnored): _P.SCHEDULED,
    (_P.SCHEDULED, AttemptFailed): _P.RETRYING,
    (_P.SCHEDULED, StepsCancelled): _P.CANCELLED,
    (_P.RUNNING, StepSucceeded): _P.SUCCEEDED,
    (_P.RUNNING, AttemptAbandoned): _P.RUNNING,
    (_P.RUNNING, LateResultIgnored): _P.RUNNING,
    (_P.RUNNING, AttemptFailed): _P.RETRYING,
    (_P.RUNNING, AttemptUnknown): _P.UNKNOWN,
    (_P.RUNNING, StepsCancelled): _P.CANCELLED,
    (_P.UNKNOWN, AttemptFailed): _P.RETRYING,
    (_P.UNKNOWN, StepCompleted): _P.SUCCEEDED,
    (_P.UNKNOWN, StepsCancelled): _P.CANCELLED,
    (_P.RUNNING, StepCompleted): _P.SUCCEEDED,
    (_P.RUNNING, StepFailed): _P.FAILED,  # a fan-out: it has no attempt that could fail before
    (_P.RETRYING, StepScheduled): _P.SCHEDULED,
    (_P.RETRYING, StepFailed): _P.FAILED,
    (_P.RETRYING, StepsCancelled): _P.CANCELLED,
    (_P.PENDING, ApprovalRequested): _P.SUSPENDED,
    (_P.PENDING, WaitStarted): _P.SUSPENDED,
    (_P.SUSPENDED, StepCompleted): _P.SUCCEEDED,
    (_P.SUSPENDED, StepFailed): _P.FAILED,
    (_P.SUSPENDED, StepsCancelled): _P.CANCELLED,
}


def next_phase(phase: StepPhase, event_type: type, step: str) -> StepPhase:
    """The phase after this event. Raises CorruptionError where the table has no row."""
    following = STEP_TRANSITIONS.get((phase, event_type))
    if following is None:
        raise CorruptionError(f"step '{step}' is {phase} and cannot take the event {event_type.__name__}")
    return following
