"""Company: what an actor decides next; ends from which nothing follows yet wait a moment for more of them (ADR 0023).

Promises: nothing waits longer than COMPANY_SECONDS, nor while anybody waits for a place; what waits stands in the
mailbox, and comes out with whatever comes next. Must never change a state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kipu.core.commands import Command
from kipu.core.decide import COMMANDS_PER_TURN_MAX
from kipu.core.patience import may_wait
from kipu.core.state import State

from .mailbox import Mailbox
from .slots import Slots

COMPANY_SECONDS = 0.1  # an end stands in the log with the time of its commit
COMPANY_MAX = 50  # ends that wait: each new one has them looked at again
LOOP_ROUNDS_SECONDS = 0.001  # its timers come so much too early at most


class Company:
    """Of one session. `now` is the time of the loop, in seconds."""

    def __init__(self, mailbox: Mailbox, slots: Slots, now: Callable[[], float]) -> None:
        self._mailbox = mailbox
        self._slots = slots
        self._now = now
        self._until: float | None = None  # when what was put back is to be decided

    async def next(self, state: State) -> tuple[list[Command], float | None]:
        """The commands of the next turn, and when the oldest urgent one was heard of. `state` is that between turns."""
        while True:
            await self._mailbox.wait()
            heard_at = self._mailbox.heard_at
            commands = self._mailbox.take(COMMANDS_PER_TURN_MAX)
            if not self._put_back(state, commands):
                return commands, heard_at

    def _put_back(self, state: State, commands: Sequence[Command]) -> bool:
        """Whether they wait: nothing follows from them yet, and they have not waited long."""
        if not commands:
            return False  # a nudge: what was put back goes on waiting
        is_worth_it = len(commands) < COMPANY_MAX and not len(self._mailbox) and not self._slots.is_asked_for
        if not is_worth_it or not may_wait(state, commands):
            self._until = None
            return False
        now = self._now()
        if self._until is None:
            self._until = now + COMPANY_SECONDS
        if now > self._until - LOOP_ROUNDS_SECONDS:
            self._until = None
            return False
        self._mailbox.put_back(commands, self._until)
        return True
