"""Hold points: the n-th write of one client is held before or after it is carried out, until somebody lets go.

Promises: while a trap holds, every later write of that client is held too, so that the client can be killed at just
this write; a held write that is let go is answered to nobody. One trap a client. Must never be touched from another
thread than the proxy's, but for `caught`.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from enum import StrEnum

from .calls import Call


class Moment(StrEnum):
    """On which side of its effect the write is held."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(eq=False, slots=True)
class Trap:
    """Set for the n-th write from now (1 is the next one) of the client at this address."""

    peer: str
    countdown: int
    moment: Moment
    caught: threading.Event = field(default_factory=threading.Event)  # waited for by the killer's thread
    call: Call | None = None  # the write that was caught
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Traps:
    """The traps that are set, by the client's address."""

    def __init__(self) -> None:
        self._set: dict[str, Trap] = {}

    def arm(self, trap: Trap) -> None:
        """Set it; one that was there for this client is let go."""
        if trap.peer in self._set:
            self.release(self._set[trap.peer])
        self._set[trap.peer] = trap

    def release(self, trap: Trap) -> None:
        """Let go of whatever it holds, and take it away."""
        trap.released.set()
        if self._set.get(trap.peer) is trap:
            del self._set[trap.peer]

    def release_all(self) -> None:
        """For the end."""
        for trap in list(self._set.values()):
            self.release(trap)

    async def step(self, peer: str, call: Call) -> Trap | None:
        """Count this write. Its trap if it is the one; where one has been caught already, wait until it is let go."""
        trap = self._set.get(peer)
        if trap is None:
            return None
        if trap.call is not None:
            await trap.released.wait()
            return None
        trap.countdown -= 1
        if trap.countdown > 0:
            return None
        trap.call = call
        return trap

    async def hold(self, trap: Trap) -> None:
        """Say that the write has come to its moment, and wait."""
        trap.caught.set()
        await trap.released.wait()
