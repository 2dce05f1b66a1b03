"""The table of ends: what a run has come to once no step can move any more, and the turn to `finally` before that.

    taken down by a shutdown                    Cancelled  Shutdown
    drained, and nothing was cut or has failed  as if nobody had asked
    its timeout passed                          Failed     TimedOut
    its log is full                             Failed     EventLimit
    a step failed that may not                  Failed     StepFailed
    else                                        Succeeded  Completed

The steps of `finally` run once those before them have come to such an end, whatever it is, unless the run was
terminated or its log is full. They change it only for the worse: one that fails, or a timeout, makes it Failed.
Must never take anything down or start anything.
"""

from __future__ import annotations

from . import policies
from .events import FinallyStarted, WorkflowEnd, WorkflowFinished
from .lifecycle import StepPhase
from .state import State, Stopping
from .texts import shorten
from .turn import Turn

End = tuple[WorkflowEnd, str, str]


def begin_finally(turn: Turn) -> bool:
    """Whether the steps are over now and those of `finally` begin."""
    state = turn.state
    if not state.held or not state.is_exhausted or not policies.runs_finally(state):
        return False
    assert state.definition is not None
    end, reason, message = _end_of(state)
    timeout = state.definition.finally_timeout_ms
    deadline = None if timeout is None else turn.now + timeout
    turn.record(FinallyStarted(run=state.run, end=end, reason=reason, message=message, deadline=deadline))
    return True


def finish(turn: Turn) -> None:
    """The run is over, if nothing is left of it."""
    state = turn.state
    if state.is_exhausted and not state.held:
        end, reason, message = _end_of(state)
        turn.record(WorkflowFinished(run=state.run, end=end, reason=reason, message=message))


def _end_of(state: State) -> End:
    match state.stopping:
        case Stopping.SHUTDOWN if not _drained_in_vain(state) and state.outcome is not WorkflowEnd.FAILED:
            return WorkflowEnd.CANCELLED, "Shutdown", "cancelled on request"
        case Stopping.TIMED_OUT:
            which = "timeout" if state.outcome is None else "finallyTimeout"
            return WorkflowEnd.FAILED, "TimedOut", f"the workflow's {which} passed"
        case Stopping.EVENT_LIMIT:
            message = f"the log has come to {policies.EVENTS_MAX} events: split this workflow in several"
            return WorkflowEnd.FAILED, "EventLimit", message
    if state.failing is not None and state.outcome is not WorkflowEnd.FAILED:
        return WorkflowEnd.FAILED, "StepFailed", _blame(state, state.failing)
    if state.outcome is not None:
        return state.outcome, state.end_reason, state.end_message
    return WorkflowEnd.SUCCEEDED, "Completed", ""


def _drained_in_vain(state: State) -> bool:
    """Whether a drain has kept nothing from happening: every step has ended by itself, and well."""
    return state.is_draining and not state.counts[StepPhase.CANCELLED] and state.failing is None


def _blame(state: State, name: str) -> str:
    place = state.place_of(name)
    assert place is not None
    step = state.steps[place]
    detail = f": {step.message}" if step.message else ""
    return shorten(f"step '{name}' failed ({step.reason}){detail}")
