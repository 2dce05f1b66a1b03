"""The decisions: commands onto a state yield the events to commit, all in one append.

Promises: pure; the same state and commands yield the same events; a command that is no news yields none; one
call yields at most 512 KiB of records (the bounds in `turn`), and `wants_turn` says whether more is due.
The state is given away: the events are already folded into it, so it is used only if their append commits.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import fanout, policies
from .advance import advance, settle
from .answers import answer
from .commands import Command, FireTimers, RequestRerun, RequestShutdown, ResolveUnknown, weight
from .events import Event, EventLimitReached
from .language import Evaluate, nothing_to_evaluate
from .state import State
from .turn import COMMANDS_PER_TURN_MAX, Identity, Turn

__all__ = ["COMMANDS_PER_TURN_MAX", "Identity", "decide", "needs_place", "wants_turn"]


def decide(
    state: State,
    commands: Sequence[Command],
    *,
    identity: Identity,
    now: int,
    slots: int,
    evaluate: Evaluate = nothing_to_evaluate,
) -> tuple[State, list[Event]]:
    """Answer the commands, then go as far as the state allows.

    `now` is epoch milliseconds, not before `state.ts`; `slots` is how many Jobs the operator would still take;
    `evaluate` says what a step's expressions come to.
    """
    assert sum(map(weight, commands)) <= COMMANDS_PER_TURN_MAX
    assert now >= state.ts
    turn = Turn(state=state, identity=identity, now=now, slots=slots, evaluate=evaluate)
    for command in sorted(commands, key=_precedence):
        answer(turn, command)
    _end_a_full_log(turn)
    advance(turn)
    return turn.state, turn.events


def _end_a_full_log(turn: Turn) -> None:
    if turn.state.position < policies.EVENTS_MAX or policies.takes_everything_down(turn.state):
        return
    settle(turn)  # a run that is over by what is already known has not met the limit
    if turn.is_open:
        turn.record(EventLimitReached(run=turn.state.run, limit=policies.EVENTS_MAX))


def _precedence(command: Command) -> int:
    """What has happened is heard first: an end that was seen beats a request and an uncommitted deadline. What opens
    a run comes last, since only then the one before it may be over."""
    return _LATER.get(type(command), 0)


_LATER: dict[type, int] = {RequestShutdown: 1, ResolveUnknown: 1, FireTimers: 2, RequestRerun: 3}


def wants_turn(state: State, slots: int) -> bool:
    """Whether `decide` without any command would yield events: a bound of the last turn was met."""
    if state.definition is None or state.is_terminal:
        return False
    if state.unadopted:
        return True
    if state.stopping is not None:
        waits = state.plain or state.guarded or state.retrying or state.unknown or state.resting or state.idle
        unwanted = state.held and not policies.runs_finally(state)
        if policies.takes_everything_down(state):
            return bool(waits or unwanted or state.live)
        return bool(waits or unwanted or state.overdue or _ends_running(state))
    if state.spent or state.overdue:
        return True
    if state.doomed or (state.plain and policies.starts_nothing_new(state)):
        return True
    if _ends_running(state):
        return True
    return policies.starts_anything(state) and _may_start(state, slots)


def _ends_running(state: State) -> bool:
    if not policies.cancels_running(state):
        return False
    return bool(state.cancellable) or any(policies.is_plain(state, place) for place in state.idle)


def _may_start(state: State, slots: int) -> bool:
    if state.jobless or next(fanout.spawnable(state), None) is not None:
        return True
    return needs_place(state) and policies.places_free(state, slots) > 0


def needs_place(state: State) -> bool:
    """Whether a step or an item would start if there were a place for its Job. Whoever waits without that need is
    woken for nothing, and waits again: for ever."""
    startable = bool(state.ready) or next(fanout.startable(state), None) is not None
    return startable and policies.starts_anything(state)
