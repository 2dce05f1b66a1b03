"""Lines of pods' logs with the times that the kubelet gives them: parsed, merged, and each given once.

Promises: pure; what a program wrote is bytes and stays as it is. A line without a time counts as of the one before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from kipu.api.durations import timestamp

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `time_ns`: since 1970 UTC; None where it has none."""

    time_ns: int | None
    stamp: bytes
    text: bytes


def parse(raw: bytes) -> Line:
    """A line as the API server gives it with `timestamps=true`."""
    stamp, _, text = raw.partition(b" ")
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return Line(None, b"", raw)
    second = datetime.fromisoformat((found[1] + found[3]).decode())
    return Line(int(second.timestamp()) * 1_000_000_000 + int((found[2] or b"").ljust(9, b"0")), stamp, text)


class Given:
    """Which lines of one log were given, so that who asks for it again from the last time on gives none twice.

    Times are those of single reads: of several lines with the same time, so many as were given are passed over.
    """

    def __init__(self) -> None:
        self._last_ns = 0
        self._count = 0  # lines given with that time
        self._to_skip = 0

    def again(self) -> str | None:
        """The time to ask from, in whole seconds as the API takes it; None: from the beginning."""
        self._to_skip = self._count
        if not self._last_ns:
            return None
        return timestamp(self._last_ns // 1_000_000)

    def is_new(self, line: Line) -> bool:
        """Whether it was not given yet; it is from now on."""
        time_ns = self._last_ns if line.time_ns is None else line.time_ns
        if time_ns < self._last_ns:
            return False
        if time_ns == self._last_ns and self._to_skip:
            self._to_skip -= 1
            return False
        self._count = self._count + 1 if time_ns == self._last_ns else 1
        self._last_ns, self._to_skip = time_ns, 0
        return True
