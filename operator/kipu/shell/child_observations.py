"""What the Workflow of a sub-workflow step (the child), as seen, says about its attempt. Pure.

Promises: a child speaks by the phase of its own status, which is a projection of its own log; it has ended only where
no other run of it is asked for. One that is there has started: its uid is known from then on, and whatever its template
says then runs or waits by its own rules. Must never conclude an absence: only a consistent GET may.
"""

from __future__ import annotations

from kipu.core.commands import ObserveOutcome, ObserveStarted
from kipu.core.events import Reason, ShutdownMode
from kipu.core.lifecycle import TERMINAL_WORKFLOW_PHASES, WorkflowPhase

from .kube_owned import RunView
from .kube_views import epoch_ms
from .observations import Observation, attempt_of, is_placeholder

MODES = list(ShutdownMode)  # in the order of escalation


def observe(child: RunView) -> Observation | None:
    """The most that can be said of the attempt now, or None."""
    ref = attempt_of(child)
    if ref is None or is_placeholder(child):
        return None
    metadata, status = child.metadata, child.status
    started_at = epoch_ms(metadata.creation_timestamp)
    assert started_at is not None, "every stored object has a creationTimestamp"
    if not has_ended(child):
        return ObserveStarted(ref=ref, job_uid=metadata.uid, started_at=started_at, is_awaited=True)
    has_succeeded = status.phase == WorkflowPhase.SUCCEEDED
    return ObserveOutcome(
        ref=ref,
        job_uid=metadata.uid,
        reason=None if has_succeeded else Reason.CHILD_FAILED,
        message="" if has_succeeded else how_it_ended(child),
        started_at=started_at,
        finished_at=epoch_ms(status.completion_time),
    )


def has_ended(child: RunView) -> bool:
    """Whether its newest run has ended, and no other one is asked for."""
    return child.status.phase in TERMINAL_WORKFLOW_PHASES and not _runs_again(child)


def how_it_ended(child: RunView) -> str:
    """In words, with its own."""
    said = f": {child.status.message}" if child.status.message else ""
    return f"Workflow '{child.metadata.name}' has ended as {child.status.phase}{said}"


def run_to_end(child: RunView) -> int:
    """Which run of it is under way, or is to come."""
    return max(1, child.status.run + _runs_again(child))


def is_told_to_end(child: RunView, mode: ShutdownMode) -> bool:
    """Whether this run was asked to end in this mode, or in a faster one."""
    asked = child.spec.shutdown
    if asked is None or asked.mode not in MODES or asked.run < run_to_end(child):
        return False
    return MODES.index(ShutdownMode(asked.mode)) >= MODES.index(mode)


def _runs_again(child: RunView) -> bool:
    again, status = child.spec.rerun, child.status
    has_run = status.phase in TERMINAL_WORKFLOW_PHASES and status.phase != WorkflowPhase.REJECTED
    return again is not None and has_run and again.number == status.run + 1
