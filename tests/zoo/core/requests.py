"""Mutants of kipu/core/requests.py: what people ask of a run."""

from __future__ import annotations

from kipu.core.commands import GiveApproval, RequestRerun, RequestShutdown
from kipu.core.events import ApprovalGiven, ShutdownRequested
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.state import State
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant


@mutant("_shut_down", breaks="I17, state changed from a second place", caught_by="tests/core/test_shutdown.py")
def a_shutdown_is_written_into_the_state(turn: Turn, request: RequestShutdown) -> None:
    """Besides the event, the phase is set by hand."""
    state = turn.state
    if state.definition is None or request.run != state.run:
        return
    if state.shutdown is None:
        turn.record(ShutdownRequested(run=request.run, mode=request.mode))
    turn.state.end_message = "shutting down"
    turn.state.phase = WorkflowPhase.CANCELLING


@mutant("_give_approval", breaks="I9", caught_by="tests/core/test_approval.py")
def no_is_yes(turn: Turn, request: GiveApproval) -> None:
    """Whatever is answered, the step is done."""
    state, place = turn.state, turn.state.place_of(request.step)
    if place is not None and place in state.resting:
        given = ApprovalGiven(run=state.run, step=request.step, decision=request.decision, by=request.by)
        turn.record(given)
        turn.complete(place)


@mutant("rerun_fault", breaks="I6", caught_by="tests/core/test_rerun.py")
def a_run_may_be_left_out(state: State, request: RequestRerun) -> str:
    """Only that the number rises is asked."""
    return ""
