"""Where time comes from: the only place that reads the machine's clock.

Waiting is the event loop's business (its monotonic clock); this is only for times that are recorded.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time."""

    def now(self) -> int:
        """Whole milliseconds since 1970 UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Whole milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000
