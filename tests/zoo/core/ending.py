"""Mutants of kipu/core/ending.py: what a run has come to."""

from __future__ import annotations

from kipu.core.ending import End
from kipu.core.events import FinallyStarted, WorkflowEnd
from kipu.core.state import State, Stopping
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant


@mutant("_end_of", breaks="I15, partial failure called success", caught_by="tests/core/test_ends.py")
def some_success_is_success(state: State) -> End:
    """A run in which a step has failed, and others went on, ends Succeeded."""
    if state.stopping is Stopping.SHUTDOWN:
        return WorkflowEnd.CANCELLED, "Shutdown", ""
    return WorkflowEnd.SUCCEEDED, "Completed", ""


@mutant("begin_finally", breaks="I15", caught_by="tests/core/test_finally.py")
def finally_runs_after_success_alone(turn: Turn) -> bool:
    """Whatever was to be cleaned up after a failure is left."""
    from kipu.core.ending import _end_of

    state = turn.state
    if not state.held or not state.is_exhausted:
        return False
    end, reason, message = _end_of(state)
    if end is not WorkflowEnd.SUCCEEDED:
        turn.cancel(state.held)
        return False
    turn.record(FinallyStarted(run=state.run, end=end, reason=reason, message=message))
    return True
