"""Virtual wall time: the event loop's own time, counted from a fixed moment. Under looptime, nothing real passes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import lru_cache

BEGINNING_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class LoopClock:
    """The `kipu.shell.clock.Clock` of the tests and of the fake cluster."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.skew_ms = 0  # a test may make the clock jump

    def now(self) -> int:
        """Whole milliseconds since 1970 UTC."""
        return BEGINNING_MS + round(self._loop.time() * 1000) + self.skew_ms


def timestamp(ms: int) -> str:
    """RFC 3339 in whole seconds, as the API server writes it."""
    return _in_seconds(ms // 1000)


@lru_cache(maxsize=4_096)  # the seconds of one world, which are those of the next one, too
def _in_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
