"""A cron expression and a time zone as times: cronsim's answers, made safe to ask anything (ADR 0015).

Promises: `next` and `latest` agree with each other and never go back, whatever the zone does that day: a fixed time of
day that the clocks skip comes at the first moment after the gap, one that they repeat comes once, and a schedule with
`*` in its minutes or hours follows the time that has really passed. An expression whose day never comes is refused
when it is read, and no search is longer than 50 years. Nothing is read but the zones of the machine or of tzdata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from kipu.core.errors import Problem

from .passthrough import TEXT_LENGTH_MAX, printable

SCHEDULE_LENGTH_MAX = 200
_FIELD = r"[0-9A-Za-z*,/?#-]+"
SCHEDULE_PATTERN = rf"^(@[a-z]+|{_FIELD}( +{_FIELD}){{4}})$"
ZONE_LENGTH_MAX = 64
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIVE_FIELDS = "minute, hour, day of the month, month, day of the week, such as '30 3 * * 1-5'; or @daily and the like"
YEAR_MAX = 9_000  # a search of 50 years stays within what datetime knows
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR, _NONE = timedelta(hours=1), timedelta(0)
_DAY_SECONDS = 86_400


class CronSchedule:
    """The times of one expression in one zone. Implements kipu.core.cron.Schedule."""

    def __init__(self, fields: str, zone: tzinfo) -> None:
        self._fields = fields
        self._zone = zone

    def next(self, after: int) -> int | None:
        """The first time after this one."""
        second = self._next(after // 1_000)
        return None if second is None else second * 1_000

    def latest(self, after: int, until: int) -> int | None:
        """The last time after the one and not after the other.

        By halving: cronsim's own search backwards does not know the first passage of an hour that comes twice.
        """
        end = until // 1_000
        first = self._next(after // 1_000)
        if first is None or first > end:
            return None
        low, high = first, end  # a time in (low, end] pushes low up; none in (high, end]
        found = first
        while low < high:
            middle = (low + high) // 2
            later = self._next(middle)
            if later is not None and later <= end:
                found = low = later
            else:
                high = middle
        return found * 1_000

    def count(self, after: int, until: int, most: int) -> int:
        """How many times there are in between, counted up to `most`."""
        counted, time = 0, self.next(after)
        while time is not None and time <= until and counted < most:
            counted, time = counted + 1, self.next(time)
        return counted

    def _next(self, after: int) -> int | None:
        """In seconds.

        cronsim looks for an hour in steps of one, and where the clocks change by half an hour (Lord Howe Island) it
        passes the first half of the hours after that. So no search goes on from before such a change: the next one
        begins with the first full hour on the wall.
        """
        while (found := self._search(after)) is not None and _changes_by_parts_of_hours(self._zone):
            full = _full_hour_after_change(after, self._zone)
            if full is None or found < full:
                return found
            after = full - 1
        return found

    def _search(self, after: int) -> int | None:
        """The search begins at the wall clock's time, which may have been there before: go on from it."""
        moment = _EPOCH + timedelta(seconds=after)
        if moment.year > YEAR_MAX:
            return None
        for found in CronSim(self._fields, moment.astimezone(self._zone)):
            second = int((found - _EPOCH).total_seconds())
            if second > after:
                return second
        return None


@lru_cache(maxsize=1_024)  # x about 1 KB; a CronWorkflow asks anew at each of its times
def schedule(expression: str, time_zone: str | None) -> CronSchedule:
    """Of an expression and a zone that have no problems."""
    return CronSchedule(_fields(expression), UTC if time_zone is None else ZoneInfo(time_zone))


def has_shape(expression: str) -> bool:
    """Whether it may be an expression: what the CRD asks, too."""
    return len(expression) <= SCHEDULE_LENGTH_MAX and re.fullmatch(SCHEDULE_PATTERN, expression) is not None


def expression_problems(expression: str, path: str) -> Iterator[Problem]:
    """What is wrong with an expression whose shape is right."""
    if expression.startswith("@") and expression not in MACROS:
        yield Problem(path=path, reason=f"'{printable(expression)}' is not known", hint=f"one of {', '.join(MACROS)}")
        return
    try:
        comes = CronSchedule(_fields(expression), UTC).next(0) is not None
    except CronSimError as error:
        what = str(error).removeprefix("Bad ").replace("-", " ")
        yield Problem(path=path, reason=f"'{printable(expression)}': the {what} is wrong, or never comes")
        return
    if not comes:
        yield Problem(path=path, reason=f"'{printable(expression)}' never comes")


def zone_problems(time_zone: str, path: str) -> Iterator[Problem]:
    """What is wrong with a zone."""
    if time_zone in _zones():
        return
    by_lower_case = {zone.lower(): zone for zone in _zones()}
    near = get_close_matches(time_zone[:TEXT_LENGTH_MAX].lower(), by_lower_case, n=1)
    hint = f"did you mean {by_lower_case[near[0]]}?" if near else "a name of the IANA database, such as Europe/Berlin"
    yield Problem(path=path, reason=f"'{printable(time_zone)}' is not a time zone", hint=hint)


def shape_hint(expression: str) -> str:
    """What to do about an expression that is not of five fields."""
    if "TZ=" in expression:
        return "write the zone into timeZone"
    if len(expression.split()) == 6:
        return "without seconds: " + FIVE_FIELDS
    return "every N minutes is '*/N * * * *'" if expression.startswith("@every") else FIVE_FIELDS


def _fields(expression: str) -> str:
    """Five fields. `?` means `*`, as in CronJob."""
    return " ".join("*" if field == "?" else field for field in MACROS.get(expression, expression).split())


@lru_cache(maxsize=1_024)
def _changes_by_parts_of_hours(zone: tzinfo) -> bool:
    """Whether winter and summer are not whole hours apart. Of a year, since zones seldom change their ways."""
    offsets = {(datetime(2026, month, 1, tzinfo=UTC).astimezone(zone).utcoffset() or _NONE) for month in range(1, 13)}
    return len({offset % _HOUR for offset in offsets}) > 1


def _full_hour_after_change(after: int, zone: tzinfo) -> int | None:
    """When the wall clock shows a full hour for the first time after its next change; None: none within a year."""

    def wall(second: int) -> datetime:
        return (_EPOCH + timedelta(seconds=second)).astimezone(zone)

    before = wall(after).utcoffset()
    days = range(after + _DAY_SECONDS, after + 366 * _DAY_SECONDS, _DAY_SECONDS)
    changed = next((second for second in days if wall(second).utcoffset() != before), None)
    if changed is None:
        return None
    same = changed - _DAY_SECONDS
    while changed - same > 1:
        middle = (same + changed) // 2
        if wall(middle).utcoffset() == before:
            same = middle
        else:
            changed = middle
    shown = wall(changed)
    return changed + -(shown.minute * 60 + shown.second) % 3_600


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
