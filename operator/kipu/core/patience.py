"""Which ends may wait for company: nothing follows from them yet, so a commit of their own would only hold up the next.

Promises: pure; it looks at the steps that have ended and at who waits for them, never at all steps. What is decided
does not depend on it: where it errs a fact is committed a moment sooner or later (ADR 0023). Must never decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from .commands import Command, ObserveOutcome, ObserveStarted
from .decide import needs_place
from .lifecycle import TERMINAL_STEP_PHASES, WorkflowPhase
from .state import State

EDGES_MAX = 500  # looked at; to know more would cost more than the commit


def may_wait(state: State, commands: Sequence[Command]) -> bool:
    """Whether these are ends alone, of which none lets a step or an item start, or a fan-out or the run end."""
    if state.phase is not WorkflowPhase.RUNNING or state.failing is not None:
        return False
    ended = _ended(state, commands)
    if not ended or len(ended) == len(state.live):  # one that runs on will have its own end to tell
        return False
    return not needs_place(state) and not _lets_something_go_on(state, ended)


def _ended(state: State, commands: Sequence[Command]) -> dict[int, None]:
    """The places of those that have ended well; empty if something else is told, too."""
    ended: dict[int, None] = {}
    for command in commands:
        if isinstance(command, ObserveStarted) and not command.is_awaited:
            continue
        if not isinstance(command, ObserveOutcome) or command.reason is not None:
            return {}
        place, ref = state.place_of(command.ref.step), command.ref
        if place is None or ref.run != state.run:
            return {}
        if place in state.live and ref.attempt == state.steps[place].attempts:
            ended[place] = None
        elif state.steps[place].phase not in TERMINAL_STEP_PHASES:
            return {}
    return ended


def _lets_something_go_on(state: State, ended: Collection[int]) -> bool:
    assert state.graph is not None
    told: Counter[int] = Counter()
    edges = 0
    for place in ended:
        if (fanout := state.fanout_of(place)) is not None:
            told[fanout.parent] += 1
            if fanout.due or fanout.begun < fanout.total or told[fanout.parent] == len(fanout.under_way):
                return True
            continue
        edges += len(state.graph.dependents[place])
        if edges > EDGES_MAX:
            return True
        for dependent in state.graph.dependents[place]:
            told[dependent] += 1
            if told[dependent] == state.unmet[dependent]:
                return True
    return False
