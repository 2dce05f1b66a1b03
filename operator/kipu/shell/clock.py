"""Where time comes from: the only place that reads the machine's clock (but for the wardens of `kipu run`).

Waiting is the event loop's business (its monotonic clock); this is only for times that are recorded. Promises:
within one process time never jumps, whoever sets the machine's clock; a process reads that clock once, at its start.
"""

from __future__ import annotations

import time
from typing import Protocol

CLOCK_SKEW_MS_MAX = 300_000  # design 03: a head that is further ahead of now means that a clock is wrong
CLOCK_SKEW_SECONDS = 60.0  # between two looks at such a clock
CLOCK_SKEW = (
    "the log's newest record is more than 5 minutes ahead of the operator's clock: "
    "no deadline fires until the clock that is wrong is mended"
)


class Clock(Protocol):
    """Wall time."""

    def now(self) -> int:
        """Whole milliseconds since 1970 UTC."""


class SystemClock:
    """The machine's wall clock as it was at the start, and what has passed since by one that nobody can set."""

    def __init__(self) -> None:
        self._start_ns = time.time_ns() - _passed_ns()

    def now(self) -> int:
        """Whole milliseconds since 1970 UTC."""
        return (self._start_ns + _passed_ns()) // 1_000_000


def _passed_ns() -> int:
    # CLOCK_BOOTTIME also counts while a machine is suspended, CLOCK_MONOTONIC does not; only Linux has it.
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)


class SessionClock:
    """A clock that goes on from the newest record of a log, if that is ahead of the machine's.

    So no deadline is waited for longer than was recorded, although a clock was set back since. `opened_ts`: when
    that record was written, in milliseconds since 1970 UTC; 0 for a log that is yet to begin.
    """

    def __init__(self, clock: Clock, *, opened_ts: int) -> None:
        self._clock = clock
        self._opened_ts = opened_ts
        self._ahead_ms = max(0, opened_ts - clock.now())

    def now(self) -> int:
        """Whole milliseconds since 1970 UTC."""
        return self._clock.now() + self._ahead_ms

    @property
    def is_skewed(self) -> bool:
        """Whether the record is so far ahead that one of two clocks is wrong: then no deadline fires."""
        return self._opened_ts - self._clock.now() > CLOCK_SKEW_MS_MAX
