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
from .commands import Command, FireTimers, RequestShutdown, ResolveUnknown
from .events import Event, EventLimitReached
from .state import State
from .turn import COMMANDS_PER_TURN_MAX, Identity, Turn

__all__ = ["COMMANDS_PER_TURN_MAX", "Identity", "decide", "wants_turn"]


def decide(
    state: State, commands: Sequence[Command], *, identity: Identity, now: int, slots: int
) -> tuple[State, list[Event]]:
    """Answer the commands, then go as far as the state allows.

    `now` is epoch milliseconds, not before `state.ts`; `slots` is how many Jobs the operator would still take.
    """
    assert len(commands) <= COMMANDS_PER_TURN_MAX
    assert now >= state.ts
    turn = Turn(state=state, identity=identity, now=now, slots=slots)
    for command in sorted(commands, key=_precedence):
        answer(turn, command)
    _end_a_full_log(turn)
    advance(turn)
    return turn.state, turn.events


def _end_a_full_log(turn: Turn) -> None:
    if turn.state.position < policies.EVENTS_MAX or turn.state.stopping is not None:
        return
    settle(turn)  # a run that is over by what is already known has not met the limit
    if turn.is_open:
        turn.record(EventLimitReached(run=turn.state.run, limit=policies.EVENTS_MAX))


def _precedence(command: Command) -> int:
    """What has happened is heard first: an end that was seen beats a request and an uncommitted deadline."""
    return 2 if isinstance(command, FireTimers) else 1 if isinstance(command, RequestShutdown | ResolveUnknown) else 0


def wants_turn(state: State, slots: int) -> bool:
    """Whether `decide` without any command would yield events: a bound of the last turn was met."""
    if state.definition is None or state.is_terminal:
        return False
    if state.unadopted:
        return True
    if state.stopping is not None:
        idle = state.plain or state.guarded or state.retrying or state.unknown or state.idle
        return bool(idle or state.live)
    if state.spent or state.overdue:
        return True
    if state.doomed or (state.plain and policies.starts_nothing_new(state)):
        return True
    if policies.cancels_running(state) and (state.cancellable or any(policies.is_plain(state, p) for p in state.idle)):
        return True
    may_start = state.ready or next(fanout.startable(state), None) is not None
    return bool(may_start) and policies.places_free(state, slots) > 0
