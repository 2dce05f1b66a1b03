"""What people ask of a run, given its state: to end, to wait, to go on, to be run again; and what they answer.

Promises: a request that is late, doubled or about another run yields nothing; every one is read from the spec again
and again, so that each must be harmless the second time. Must never look at the cluster's news: those are `answers`.
"""

from __future__ import annotations

from typing import assert_never

from . import policies
from .advance import settle
from .commands import GiveApproval, RequestRerun, RequestShutdown, SetSuspended
from .definition import Kind
from .events import (
    ApprovalGiven,
    Decision,
    Reason,
    ShutdownMode,
    ShutdownRequested,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from .state import State
from .texts import nearest, shorten
from .turn import Turn

Request = RequestShutdown | SetSuspended | GiveApproval | RequestRerun
ESCALATION = list(ShutdownMode)


def answer(turn: Turn, request: Request) -> None:
    """Record what the request is news of."""
    match request:
        case RequestRerun():
            _rerun(turn, request)
        case RequestShutdown():
            _shut_down(turn, request)
        case SetSuspended():
            _suspend(turn, request)
        case GiveApproval():
            _give_approval(turn, request)
        case _:
            assert_never(request)


def _shut_down(turn: Turn, request: RequestShutdown) -> None:
    settle(turn)  # a run that is over by what is already known has not been cancelled
    state, known = turn.state, turn.state.shutdown
    if not turn.is_open or request.run != state.run:
        return
    if state.outcome is not None and request.mode is not ShutdownMode.TERMINATE:
        return  # the steps are over, and `finally` is to run
    if known is None or ESCALATION.index(request.mode) > ESCALATION.index(known):
        turn.record(ShutdownRequested(run=request.run, mode=request.mode))


def _suspend(turn: Turn, request: SetSuspended) -> None:
    state = turn.state
    if turn.is_open and request.suspended is not state.suspended:
        turn.record(WorkflowSuspended(run=state.run) if request.suspended else WorkflowResumed(run=state.run))


def _give_approval(turn: Turn, request: GiveApproval) -> None:
    state, place = turn.state, turn.state.place_of(request.step)
    if not turn.is_open or request.run != state.run or place is None or place not in state.resting:
        return
    if state.step(place).kind is not Kind.APPROVAL:
        return
    by, message = shorten(request.by), shorten(request.message)
    turn.record(ApprovalGiven(run=state.run, step=request.step, decision=request.decision, by=by, message=message))
    if request.decision is Decision.APPROVE:
        turn.complete(place)
    else:
        said = f": {message}" if message else ""
        turn.fail_step(place, Reason.REFUSED, shorten(f"rejected by {by}{said}"))


# -- another run -------------------------------------------------------------------------------------


def _rerun(turn: Turn, request: RequestRerun) -> None:
    settle(turn)  # the run before it may be over by what is already known
    state = turn.state
    if not is_due(state, request):
        return
    assert state.definition is not None
    timeout = state.definition.timeout_ms
    turn.record(
        WorkflowRerun(
            run=request.number,
            from_=request.from_,
            spec_hash=state.spec_hash,
            deadline=None if timeout is None else turn.now + timeout,
        )
    )
    _suspend(turn, SetSuspended(suspended=request.suspended))


def is_due(state: State, request: RequestRerun) -> bool:
    """Whether this run is to be opened now."""
    return state.is_terminal and request.number > state.run and not rerun_fault(state, request)


def rerun_fault(state: State, request: RequestRerun) -> str:
    """Why this run will not be opened as it is asked for; empty if it was, or will be once this one is over."""
    if request.number <= state.run and state.definition is not None:
        return ""
    if state.definition is None:
        return "the Workflow was rejected: there is nothing to run again" if state.is_terminal else ""
    if request.number != state.run + 1:
        return f"spec.rerun.number is {request.number}, but run {state.run} is the newest: the next is {state.run + 1}"
    if state.position >= policies.EVENTS_MAX:
        return f"the log holds {policies.EVENTS_MAX} events, as many as it may: create the Workflow anew"
    for number, name in enumerate(request.from_):
        place = state.place_of(name)
        if place is None:
            return unknown_step(state, name, f"spec.rerun.from[{number}]")
        if state.step(place).name != name:
            return f"spec.rerun.from[{number}]: '{name}' is an item: name its step, '{state.step(place).name}'"
        if state.step(place).in_finally:
            return f"spec.rerun.from[{number}]: step '{name}' is one of finally, which runs again in any case"
    return ""


def unknown_step(state: State, name: str, path: str) -> str:
    """That this name, at this path of the spec, is no step's, in words."""
    assert state.graph is not None
    hint = nearest(name, state.graph.index)
    return f"{path}: there is no step '{name}'" + (f": {hint}" if hint else "")
