"""The fold of fan-outs: which items are under way, what is over, and what follows for the fan-out as a whole.

Promises: those of `folding`; the cost of a fact about an item does not know how many items there are, and what is
over keeps no memory of its own. Called by the fold alone. Must never decide anything.
"""

from __future__ import annotations

from . import files
from .definition import ITEMS_UNDER_WAY_MAX, ForEach, Kind
from .errors import CorruptionError
from .events import Items
from .lifecycle import TERMINAL_STEP_PHASES, StepPhase
from .state import Fanout, State, StepState

FAILURES_KEPT_MAX = 20  # as many as the status shows: x 1 KiB for a fan-out
_LIKE_ALL: dict[StepPhase, StepState] = {phase: StepState(phase=phase) for phase in StepPhase}


def expand(state: State, parent: int, *, total: int, items: Items | None) -> None:
    """The step has its items from now on, none of them begun."""
    for_each = state.step(parent).for_each
    if for_each is None or parent in state.fanouts:
        raise CorruptionError(f"step '{state.name(parent)}' is no fan-out that could begin")
    fanout = Fanout(parent=parent, base=len(state.steps), total=total, items=items)
    state.fanouts[parent] = fanout
    state.steps.extend([_LIKE_ALL[StepPhase.PENDING]] * total)
    state.owners.extend([fanout] * total)
    refresh(state, fanout)


def schedule(state: State, fanout: Fanout, place: int) -> None:
    """An attempt of an item is decided. It is the next fan-out's turn to start one."""
    if place not in fanout.under_way:
        if place != fanout.base + fanout.begun:
            raise CorruptionError(f"item '{state.name(place)}' begins before another one")
        fanout.begun += 1
        fanout.under_way[place] = None
    fanout.due.pop(place, None)
    fanout.active += 1
    state.startable.pop(fanout.parent, None)
    state.spawnable.pop(fanout.parent, None)
    refresh(state, fanout)


def leave(state: State, fanout: Fanout) -> None:
    """An attempt of an item is given up."""
    fanout.leaving += 1
    refresh(state, fanout)


def release(state: State, fanout: Fanout, *, left: bool) -> None:
    """An attempt of an item is over; `left`: it had been given up."""
    fanout.active -= 1
    fanout.leaving -= left
    refresh(state, fanout)


def come_due(state: State, fanout: Fanout, place: int) -> None:
    """An item may be tried again."""
    fanout.due[place] = None
    refresh(state, fanout)


def finish(state: State, fanout: Fanout, place: int) -> None:
    """An item is over: keep what is still asked of it."""
    phase, outputs = state.steps[place].phase, state.steps[place].outputs
    pod_uid = files.winner(state, place)
    if place == fanout.base + fanout.begun:
        fanout.begun += 1  # it has ended instead of beginning: an expression of it has no value
    fanout.under_way.pop(place, None)
    fanout.due.pop(place, None)
    fanout.over[phase] += 1
    if phase is StepPhase.FAILED and len(fanout.failures) < FAILURES_KEPT_MAX:
        fanout.failures.append(place)
    else:
        state.steps[place] = _LIKE_ALL[phase]
    if outputs is not None:
        fanout.outputs[place - fanout.base] = outputs
    if phase is StepPhase.SUCCEEDED and pod_uid is not None:
        fanout.pods[place - fanout.base] = pod_uid
    refresh(state, fanout)


def refresh(state: State, fanout: Fanout) -> None:
    """Keep the indexes of fan-outs true."""
    place, for_each = fanout.parent, state.step(fanout.parent).for_each
    assert for_each is not None
    is_open = state.steps[place].phase not in TERMINAL_STEP_PHASES
    idle = is_open and not fanout.under_way
    may_begin = is_open and has_more(fanout, for_each)
    room = fanout.active < for_each.parallelism and not fanout.is_late
    window = len(fanout.under_way) < ITEMS_UNDER_WAY_MAX
    _put(state.expanded, place, is_open)
    _put(state.idle, place, idle)
    _put(state.spent, place, idle and not may_begin)
    may_start = is_open and room and bool(fanout.due or (may_begin and window))
    is_nested = state.step(place).kind is Kind.WORKFLOW
    _put(state.startable, place, may_start and not is_nested)
    _put(state.spawnable, place, may_start and is_nested)
    _put(state.overdue, place, is_open and fanout.is_late and len(fanout.under_way) > fanout.leaving)


def has_more(fanout: Fanout, for_each: ForEach) -> bool:
    """Whether another item is still to begin."""
    allowed = fanout.over[StepPhase.FAILED] <= for_each.max_failures and not fanout.over[StepPhase.CANCELLED]
    return allowed and not fanout.is_late and fanout.begun < fanout.total


def _put(index: dict[int, None], place: int, belongs: bool) -> None:
    if belongs:
        index.setdefault(place)
    else:
        index.pop(place, None)
