"""What goes on beside a session's turns: one task a key, and one timer.

Promises: work that is under way is not begun again; what was dropped makes room at once, and the timer that is set
is the only one. Whatever a task raises ends the session, by its group. Must never decide.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from .clock import CLOCK_SKEW_SECONDS, SessionClock

# Of one session: more than the API server is asked at once, so that its row never runs dry. Who waits costs a tenth of
# a task; and the Jobs of a wide workflow do not all stand before those of another.
TRIES_AT_ONCE_MAX = 64

Work = Callable[[], Coroutine[Any, Any, None]]


class Tasks:
    """By key, from `with` to its end, where they are cancelled; `group` may take others too, whose end is awaited."""

    def __init__(self) -> None:
        self.group = asyncio.TaskGroup()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._row: OrderedDict[str, Work] = OrderedDict()  # what is to begin in turn
        self._trying: set[str] = set()  # what has begun so, and has not tried yet

    async def __aenter__(self) -> None:
        await self.group.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._row.clear()
        for task in list(self._running.values()):
            task.cancel()
        await self.group.__aexit__(kind, error, trace)

    def __contains__(self, key: str) -> bool:
        return key in self._running or key in self._row

    def once(self, key: str, work: Work) -> None:
        """Begin this work unless it is under way."""
        if key not in self:
            self._begin(key, work)

    def in_turn(self, key: str, work: Work) -> None:
        """The same, while no more than TRIES_AT_ONCE_MAX are at their first try: until then it waits in a row."""
        if key not in self:
            self._row[key] = work
            self._serve()

    def tried(self, key: str) -> None:
        """Work that was begun in turn has tried once, and is to wait: it holds nobody up."""
        self._trying.discard(key)
        self._serve()

    def drop(self, key: str) -> None:
        """Cancel it, if it is under way."""
        self._row.pop(key, None)
        if (task := self._running.pop(key, None)) is not None:
            task.cancel()
            self.tried(key)

    def _begin(self, key: str, work: Work) -> None:
        task = self._running[key] = self.group.create_task(work(), name=key)
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        if self._running.get(key) is not task:
            return  # it was dropped
        del self._running[key]
        if task.cancelled() or task.exception() is not None:
            self._row.clear()  # the session ends: its group takes no more
        self.tried(key)

    def _serve(self) -> None:
        while self._row and len(self._trying) < TRIES_AT_ONCE_MAX:
            key, work = self._row.popitem(last=False)
            self._trying.add(key)
            self._begin(key, work)
        if not self._row:
            self._row.clear()  # its table, of the size that it once had


class Alarm:
    """For the next deadline of a session. While a clock is wrong none fires, and it is looked at now and then."""

    def __init__(self, *, ring: Callable[[], None], look: Callable[[], None]) -> None:
        self._ring = ring
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due: int | None, clock: SessionClock) -> None:
        """In place of the one before; None for none. In milliseconds since 1970 UTC."""
        self.cancel()
        if due is None:
            return
        loop = asyncio.get_running_loop()
        if clock.is_skewed:
            self._timer = loop.call_later(CLOCK_SKEW_SECONDS, self._look)
        else:
            self._timer = loop.call_later(max(0, due - clock.now()) / 1000, self._ring)

    def cancel(self) -> None:
        """Let it not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
