"""The decisions about fan-outs: when one begins, which item starts next, when it is over and how.

A fan-out that has begun is one step that runs: what lets running steps end lets it start the items it still has, what
takes running steps down takes them down. Promises: as far as the turn's bounds allow, and never a walk over all items.
Must never hear a command: `answers` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from . import policies
from .definition import ForEach
from .events import Items, Reason, StepCompleted, StepExpanded
from .lifecycle import StepPhase
from .state import Fanout, State
from .texts import seconds, shorten
from .turn import Turn

ATTEMPTS_PER_END = 5  # a StepFailed of at most 1.2 KiB takes the room of so many StepScheduled, of 0.24 KiB at least
FAILURES_NAMED_MAX = 5


def expand(turn: Turn, place: int, items: Items | None) -> None:
    """The fan-out at this place begins; `items`: what its expression has yielded, if it has one."""
    step = turn.state.step(place)
    assert step.for_each is not None
    deadline = None if step.timeout_ms is None else turn.now + step.timeout_ms
    count = _count(step.for_each) if items is None else len(items)
    turn.record(StepExpanded(run=turn.state.run, step=step.name, count=count, items=items, deadline=deadline))


def _count(for_each: ForEach) -> int:
    return len(for_each.items) if for_each.items is not None else for_each.count or 0


def start_items(turn: Turn, start: Callable[[Turn, int], bool | None]) -> bool:
    """As many items as there are places, of each fan-out in turn: the fold puts the one that was served last.

    Whether one has ended instead of starting: then what follows from that comes first.
    """
    return _start_each(
        turn, start, lambda: startable(turn.state) if policies.places_free(turn.state, turn.slots) > 0 else iter(())
    )


def spawn_items(turn: Turn, start: Callable[[Turn, int], bool | None]) -> bool:
    """The same of the fan-outs whose items are Workflows: these need no places."""
    return _start_each(turn, start, lambda: spawnable(turn.state))


def _start_each(turn: Turn, start: Callable[[Turn, int], bool | None], serving: Callable[[], Iterator[Fanout]]) -> bool:
    while turn.attempts_left > 0 and (fanout := next(serving(), None)) is not None:
        # What has begun goes on before another one begins.
        started = start(turn, next(iter(fanout.due), fanout.base + fanout.begun))
        if not started:
            return started is not None
    return False


def startable(state: State) -> Iterator[Fanout]:
    """The fan-outs of which an item may start now, if there is a place for its Job."""
    return _going_on(state, state.startable)


def spawnable(state: State) -> Iterator[Fanout]:
    """The fan-outs of which an item may start now, whatever places there are: it is a Workflow."""
    return _going_on(state, state.spawnable)


def _going_on(state: State, places: Iterable[int]) -> Iterator[Fanout]:
    # Those that are being taken down soon leave the index.
    return (state.fanouts[place] for place in places if not policies.stops_attempts(state, place))


def take_down_late(turn: Turn) -> None:
    """Nothing of a fan-out goes on after its timeout."""
    for place in list(turn.state.overdue):
        fanout, message = turn.state.fanouts[place], _late(turn.state, place)
        for item in list(fanout.under_way):
            if turn.attempts_left <= 0:
                return
            if item in turn.state.live:
                turn.abandon(item, Reason.TIMED_OUT, message)
            elif item in turn.state.retrying:
                turn.fail_step(item, Reason.TIMED_OUT, message)
            else:
                continue  # its attempt is leaving already, and once it is gone a retry would come too late
            turn.attempts_left -= 1


def conclude(turn: Turn) -> None:
    """A fan-out is over once nothing of it is under way and nothing more will be."""
    for place in list(islice(turn.state.spent, max(0, turn.attempts_left // ATTEMPTS_PER_END))):
        turn.attempts_left -= ATTEMPTS_PER_END
        state, fanout = turn.state, turn.state.fanouts[place]
        for_each = state.step(place).for_each
        assert for_each is not None
        if fanout.over[StepPhase.CANCELLED]:
            turn.cancel([place])
        elif fanout.is_late:
            turn.fail_step(place, Reason.TIMED_OUT, _late(state, place))
        elif fanout.over[StepPhase.FAILED] > for_each.max_failures:
            turn.fail_step(place, Reason.ITEMS_FAILED, _blame(state, fanout, for_each.max_failures))
        else:
            turn.record(StepCompleted(run=state.run, step=state.name(place)))


def _late(state: State, place: int) -> str:
    return f"step not finished within {seconds(state.step(place).timeout_ms or 0)}"


def _blame(state: State, fanout: Fanout, allowed: int) -> str:
    """How many, and the first by name and reason."""
    failed = fanout.over[StepPhase.FAILED]
    named = [f"{state.name(place)} ({state.steps[place].reason})" for place in fanout.failures[:FAILURES_NAMED_MAX]]
    more = f" and {failed - len(named)} more" if failed > len(named) else ""
    first = f": {state.steps[fanout.failures[0]].message}" if state.steps[fanout.failures[0]].message else ""
    tolerated = f", {allowed} may" if allowed else ""
    return shorten(f"{failed} of {fanout.total} items failed{tolerated}: {', '.join(named)}{more}{first}")
