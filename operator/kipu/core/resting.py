"""The fold of facts about steps without a Job: approvals and waits.

Promises: those of `evolve`, which alone calls it. Must never decide anything.
"""

from __future__ import annotations

from dataclasses import replace

from .definition import Kind
from .errors import CorruptionError
from .events import ApprovalGiven, ApprovalRequested, TimerKind, WaitStarted
from .folding import arm, move, place_named, show_phase
from .policies import is_plain
from .state import State


def ask(state: State, event: ApprovalRequested) -> None:
    """Somebody is asked."""
    place = _rest(state, event, Kind.APPROVAL, event.deadline)
    if event.deadline is not None:
        arm(state, TimerKind.STEP_TIMEOUT, event.deadline, place)


def wait(state: State, event: WaitStarted) -> None:
    """Time has to pass."""
    arm(state, TimerKind.WAIT, event.due, _rest(state, event, Kind.WAIT, event.due))


def hear(state: State, event: ApprovalGiven) -> None:
    """Somebody has answered; what follows is another fact."""
    place = place_named(state, event.step)
    if place not in state.resting:
        raise CorruptionError(f"step '{event.step}' asks for nothing")
    state.steps[place] = replace(state.steps[place], message=f"{event.decision.value} by {event.by}")


def _rest(state: State, event: ApprovalRequested | WaitStarted, kind: Kind, deadline: int | None) -> int:
    place = place_named(state, event.step)
    if state.step(place).kind is not kind:
        raise CorruptionError(f"step '{event.step}' is of the kind {state.step(place).kind}, not {kind}")
    move(state, place, event, replace(state.steps[place], deadline=deadline, started_at=state.ts))
    state.resting[place] = None
    if is_plain(state, place):
        state.cancellable[place] = None
    if state.started_at is None:
        state.started_at = state.ts
    show_phase(state)
    return place
