"""Virtual wall time: the event loop's own time, counted from a fixed moment. Under looptime, nothing real passes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

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
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
