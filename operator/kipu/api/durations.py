"""Durations and times as people write and read them: `90s`, `1h30m`, `500ms` (GEP-2257), RFC 3339.

Must never meet a float: durations and times are whole milliseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import overload

DURATION_MAX_MS = 365 * 24 * 3_600_000
UNITS_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PART = re.compile(r"([0-9]+)(ms|[hms])")


def to_ms(text: str) -> int:
    """Whole milliseconds of a text that matches the pattern of a duration."""
    return sum(int(number) * UNITS_MS[unit] for number, unit in _PART.findall(text))


def for_people(milliseconds: int) -> str:
    """The two largest units, rounded down: `2d3h`, `1h5m`, `2m13s`, `42s`, and `0s` for less than a second."""
    seconds = max(0, milliseconds) // 1_000
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return "".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number) or "0s"


@overload
def timestamp(milliseconds: int) -> str: ...
@overload
def timestamp(milliseconds: None) -> None: ...
@overload
def timestamp(milliseconds: int | None) -> str | None: ...
def timestamp(milliseconds: int | None) -> str | None:
    """An epoch time as metav1.Time, in whole seconds, rounded down."""
    if milliseconds is None:
        return None
    return f"{_EPOCH + timedelta(seconds=milliseconds // 1_000):%Y-%m-%dT%H:%M:%SZ}"
