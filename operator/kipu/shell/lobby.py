"""Where Workflows wait for their turn to be opened, and say so.

Promises: whoever has waited for a while, as most do where thousands come at once, has a status that says what it waits
for; first of all whoever will wait longest, since the next in the row need no explanation any more. What was shown
before stays as it was, and a status that was written meanwhile is not replaced.
Must never decide who is next: `openings` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from kipu.api import status as projections
from kipu.core.errors import TransientError

from .census import Waiting
from .kube import Kube
from .kube_views import WorkflowView
from .openings import Openings, Rank, rank_of

PATIENCE_SECONDS = 2.0  # so long nobody asks why nothing happens


@dataclass(slots=True, kw_only=True)
class _Guest:
    view: Callable[[], WorkflowView]  # as it is now
    rank: Rank
    came_at: float  # in the loop's time
    ask_at: float | None  # from then on it is to be explained; None once it is


class Lobby:
    """Before the openings. `run` explains, until cancelled, as seldom as statuses are written of all that run."""

    def __init__(self, kube: Kube, openings: Openings, *, statuses_per_second: float) -> None:
        self._kube = kube
        self._openings = openings
        self._gap_seconds = 1 / statuses_per_second
        self._guests: dict[str, _Guest] = {}  # by uid
        self._came = asyncio.Event()  # some that are to be looked at

    async def turn(self, view: Callable[[], WorkflowView]) -> ExitStack:
        """As of the openings, for the Workflow that this gives."""
        now, uid, rank = asyncio.get_running_loop().time(), view().metadata.uid, rank_of(view())
        self._guests[uid] = _Guest(view=view, rank=rank, came_at=now, ask_at=now + PATIENCE_SECONDS)
        self._came.set()
        try:
            return await self._openings.turn(rank)
        finally:
            del self._guests[uid]

    def waiting(self) -> Waiting:
        """How many wait here, and for how long."""
        found, now = Waiting(), asyncio.get_running_loop().time()
        for guest in self._guests.values():
            found.add(now - guest.came_at)
        return found

    async def run(self) -> None:
        """See above."""
        while True:
            await self._came.wait()
            self._came.clear()
            await asyncio.sleep(PATIENCE_SECONDS)
            while (guest := self._last_of_the_silent()) is not None:
                guest.ask_at = asyncio.get_running_loop().time() + PATIENCE_SECONDS  # if it fails now others come first
                if await self._is_explained(guest):
                    guest.ask_at = None
                await asyncio.sleep(self._gap_seconds)
            if any(guest.ask_at is not None for guest in self._guests.values()):
                self._came.set()

    def _last_of_the_silent(self) -> _Guest | None:
        now = asyncio.get_running_loop().time()
        silent = (guest for guest in self._guests.values() if guest.ask_at is not None and guest.ask_at <= now)
        return max(silent, key=lambda guest: guest.rank, default=None)

    async def _is_explained(self, guest: _Guest) -> bool:
        """Whether its status says that it waits for its turn, or it is gone."""
        view = guest.view()
        metadata = view.metadata
        status = projections.queued(view.status, others=len(self._guests) - 1)
        try:
            answer = await self._kube.patch_workflow_status(
                metadata.namespace, metadata.name, metadata.uid, status, resource_version=metadata.resource_version
            )
        except TransientError:
            return False
        return answer.status in (200, 404)
