"""Who reads and claims its log next: so many sessions at once, of the others the highest priority, then the oldest.

Promises: whoever comes while others wait is served in the order of ranks and not of arrival, so that after a takeover
with thousands of workflows an urgent one does not wait for all of them; a place is given back however its turn ends.
Touched from the engine's loop only.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import ExitStack

from .kube_views import WorkflowView, epoch_ms

Rank = tuple[int, int]  # the lowest first


def rank(priority: int, view: WorkflowView) -> Rank:
    """The highest priority first, of the same one the oldest Workflow."""
    return -priority, epoch_ms(view.metadata.creation_timestamp) or 0


def rank_of(view: WorkflowView) -> Rank:
    """Its rank before its log is read: by what its own spec says."""
    priority = view.spec.get("priority")
    return rank(priority if isinstance(priority, int) else 0, view)


class Openings:
    """At most `limit` at once."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._row: list[tuple[Rank, int, asyncio.Future[None]]] = []  # a heap; who has given up is passed over
        self._numbers = itertools.count()

    async def turn(self, rank: Rank) -> ExitStack:
        """When it is one's turn, to be used in a `with`; it may be closed before that ends."""
        await self._wait(rank)
        turn = ExitStack()
        turn.callback(self._next)
        return turn

    async def _wait(self, rank: Rank) -> None:
        if self._free:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._row, (rank, next(self._numbers), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it was given in the same moment
                self._next()
            raise

    def _next(self) -> None:
        while self._row:
            *_, first = heapq.heappop(self._row)
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
