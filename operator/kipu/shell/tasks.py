"""What goes on beside a session's turns: one task a key, and one timer.

Promises: work that is under way is not begun again; what was dropped makes room at once, and the timer that is set
is the only one. Whatever a task raises ends the session, by its group. Must never decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from .clock import CLOCK_SKEW_SECONDS, SessionClock


class Tasks:
    """By key; `group` is to be given before the first one begins."""

    group: asyncio.TaskGroup

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._running

    def once(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin this work unless it is under way."""
        if key in self._running:
            return
        task = self._running[key] = self.group.create_task(work(), name=key)
        task.add_done_callback(lambda done: self._running.pop(key) if self._running.get(key) is done else None)

    def drop(self, key: str) -> None:
        """Cancel it, if it is under way."""
        if (task := self._running.pop(key, None)) is not None:
            task.cancel()

    def cancel(self) -> None:
        """Cancel all of them."""
        for task in list(self._running.values()):
            task.cancel()


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
