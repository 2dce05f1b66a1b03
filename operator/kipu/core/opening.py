"""The fold of how a run begins and turns to its end: accepted, begun again, suspended, given over to `finally`.

Promises: those of `evolve`, which alone calls it; what opens a run costs its steps and edges, once. Must never
decide anything.
"""

from __future__ import annotations

from collections import Counter

from .adoption import adoptable
from .errors import CorruptionError
from .events import FinallyStarted, TimerKind, WorkflowAccepted, WorkflowRerun
from .folding import arm, enter, show_phase
from .graph import build
from .lifecycle import TERMINAL_STEP_PHASES, StepPhase, WorkflowPhase
from .state import Fanout, State, StepState


def accept(state: State, event: WorkflowAccepted) -> None:
    """Run 1."""
    state.spec_hash, state.definition = event.spec_hash, event.definition
    state.graph = build(event.definition)
    state.steps = [StepState() for _ in event.definition.steps]
    _open(state, event)
    if event.definition.adopt is not None:
        state.unadopted = {state.graph.index[step.name]: step for step in event.definition.adopt.steps}


def rerun(state: State, event: WorkflowRerun) -> None:
    """One run more, in which some steps are done already."""
    kept = kept_by(state, event.from_)
    for place, step in enumerate(_of_definition(state)):
        if state.step(place).name not in kept:
            state.steps[place] = StepState(redone=step.redone + (step.phase is StepPhase.SUCCEEDED))
    _forget_items(state)
    state.started_at = state.finished_at = None
    state.stopping = state.shutdown = state.outcome = state.failing = None
    state.end_reason = state.end_message = ""
    state.retrying, state.live, state.leaving, state.cancelling = {}, {}, {}, 0
    state.cancellable, state.timers = {}, []
    _open(state, event)
    show_phase(state)


def _of_definition(state: State) -> list[StepState]:
    """The steps without the items behind them."""
    return state.steps[: len(state.steps) - len(state.owners)]


def _forget_items(state: State) -> None:
    """Of fan-outs that begin anew; the items of the others move up."""
    old, steps = state.steps, _of_definition(state)
    fanouts = {place: each for place, each in state.fanouts.items() if steps[place].phase is StepPhase.SUCCEEDED}
    owners: list[Fanout] = []
    for fanout in fanouts.values():
        moved = len(steps) - fanout.base
        steps += old[fanout.base : fanout.base + fanout.total]
        fanout.base += moved
        fanout.failures = [place + moved for place in fanout.failures]
        owners += [fanout] * fanout.total
    state.steps, state.fanouts, state.owners = steps, fanouts, owners
    state.expanded, state.startable, state.spawnable = {}, {}, {}
    state.idle, state.spent, state.overdue = {}, {}, {}


def kept_by(state: State, begins: tuple[str, ...]) -> frozenset[str]:
    """The steps whose success stays when a run begins again with these: what rests on nothing that runs again."""
    assert state.definition is not None
    again = frozenset(begins)
    names = ((state.step(place).name, step.phase) for place, step in enumerate(_of_definition(state)))
    succeeded = frozenset(name for name, phase in names if phase is StepPhase.SUCCEEDED and name not in again)
    return frozenset(adoptable(state.definition, succeeded))


def begin_finally(state: State, event: FinallyStarted) -> None:
    """The steps are over: whatever took them down is over with them."""
    if not state.held or not state.is_exhausted:
        raise CorruptionError("finally cannot begin: some steps have not ended, or it has none")
    state.outcome, state.end_reason, state.end_message = event.end, event.reason, event.message
    state.stopping = state.failing = None
    held, state.held = state.held, {}
    for place in held:
        enter(state, place)
    if event.deadline is not None:
        arm(state, TimerKind.FINALLY_TIMEOUT, event.deadline)
    show_phase(state)


def suspend(state: State, *, suspended: bool) -> None:
    """Whether anything new may start."""
    state.suspended, state.suspension_at = suspended, state.ts
    show_phase(state)


def _open(state: State, event: WorkflowAccepted | WorkflowRerun) -> None:
    assert state.graph is not None
    state.run, state.accepted_at, state.deadline = event.run, state.ts, event.deadline
    state.phase = WorkflowPhase.PENDING
    steps = _of_definition(state)
    state.counts = Counter(step.phase for step in steps)
    is_over = [step.phase in TERMINAL_STEP_PHASES for step in steps]
    state.unmet = [sum(not is_over[need] for need in needs) for needs in state.graph.needs]
    state.any_failed.clear()
    state.plain, state.guarded, state.held = {}, {}, {}
    state.ready, state.jobless, state.doomed, state.resting = {}, {}, {}, {}
    for place, over in enumerate(is_over):
        if over:
            continue
        if state.step(place).in_finally:
            state.held[place] = None
        else:
            enter(state, place)
    if event.deadline is not None:
        arm(state, TimerKind.WORKFLOW_TIMEOUT, event.deadline)
