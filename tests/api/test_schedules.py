"""Cron expressions as times: what is accepted, and what happens when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kipu.api.schedules import (
    MACROS,
    SCHEDULE_LENGTH_MAX,
    expression_problems,
    has_shape,
    schedule,
    shape_hint,
    zone_problems,
)

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def at(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def times(expression: str, zone: str | None, begin: str, end: str) -> list[str]:
    """In the zone's own words, with the offset."""
    found, time, last = [], at(begin), at(end)
    while (following := schedule(expression, zone).next(time)) is not None and following <= last:
        time = following
        local = datetime.fromtimestamp(time / 1_000, UTC).astimezone(ZoneInfo(zone) if zone else UTC)
        found.append(local.isoformat(timespec="minutes"))
    return found


def faults(expression: str) -> list[str]:
    return [problem.reason for problem in expression_problems(expression, "spec.schedule")]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("*/15 * * * *", "2026-01-01T00:15"),
        ("30 3 * * 1-5", "2026-01-01T03:30"),
        ("0 0 1 JAN,JUL *", "2026-07-01T00:00"),
        ("0 12 13 * FRI", "2026-01-02T12:00"),  # of two restricted days one is enough
        ("0 12 */1 * FRI", "2026-01-02T12:00"),  # one that begins with * restricts nothing
        ("0 0 L * *", "2026-01-31T00:00"),
        ("0 0 * * MON#2", "2026-01-12T00:00"),
        ("0 0 * * 5L", "2026-01-30T00:00"),
        ("0 0 * * 7", "2026-01-04T00:00"),
        ("0 0 ? * *", "2026-01-02T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("@hourly", "2026-01-01T01:00"),
        ("@daily", "2026-01-02T00:00"),
        ("@weekly", "2026-01-04T00:00"),
        ("@monthly", "2026-02-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
    ],
)
def test_an_expression_means_what_cron_says(expression: str, first: str) -> None:
    assert has_shape(expression)
    assert faults(expression) == []
    assert schedule(expression, None).next(at("2026-01-01T00:00")) == at(first)


@pytest.mark.parametrize("expression", list(MACROS))
def test_every_macro_is_sound(expression: str) -> None:
    assert has_shape(expression)
    assert faults(expression) == []


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("61 * * * *", "'61 * * * *': the minute is wrong, or never comes"),
        ("* 24 * * *", "'* 24 * * *': the hour is wrong, or never comes"),
        ("0 0 30 2 *", "'0 0 30 2 *': the day of month is wrong, or never comes"),
        ("0 0 31 4,6 *", "'0 0 31 4,6 *': the day of month is wrong, or never comes"),
        ("0 0 * * 8", "'0 0 * * 8': the day of week is wrong, or never comes"),
        ("0 0 * FOO *", "'0 0 * FOO *': the month is wrong, or never comes"),
        ("*/0 * * * *", "'*/0 * * * *': the minute is wrong, or never comes"),
        ("@every", "'@every' is not known"),
        ("@reboot", "'@reboot' is not known"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_reason(expression: str, reason: str) -> None:
    assert has_shape(expression)
    assert faults(expression) == [reason]


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("* * * *", "minute, hour"),
        ("0 * * * * *", "without seconds"),
        ("@every 5m", "*/N"),
        ("TZ=UTC 0 0 * * *", "timeZone"),
        ("", "minute, hour"),
        (" 0 0 * * *", "minute, hour"),
        ("0\t0 * * *", "minute, hour"),
        ("٣ * * * *", "minute, hour"),
    ],
)
def test_what_is_not_five_fields_has_no_shape_and_a_hint(expression: str, hint: str) -> None:
    assert not has_shape(expression)
    assert hint in shape_hint(expression)


def test_an_expression_may_have_so_many_characters_and_not_one_more() -> None:
    rest = " * * * *"
    longest = "1" + ",1" * ((SCHEDULE_LENGTH_MAX - len(rest) - 1) // 2)
    longest += "0" * (SCHEDULE_LENGTH_MAX - len(rest) - len(longest)) + rest
    assert len(longest) == SCHEDULE_LENGTH_MAX
    assert has_shape(longest)
    assert not has_shape("0" + longest)


# -- zones ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Etc/GMT+5"])
def test_an_iana_zone_is_accepted(zone: str) -> None:
    assert list(zone_problems(zone, "spec.timeZone")) == []


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Europe/Brelin", "did you mean Europe/Berlin?"),
        ("Local", "IANA"),
        ("../../etc/passwd", "IANA"),
        ("/etc/localtime", "IANA"),
        ("+02:00", "IANA"),
        ("\x00", "IANA"),
    ],
)
def test_anything_else_is_refused_with_a_hint(zone: str, hint: str) -> None:
    (problem,) = zone_problems(zone, "spec.timeZone")
    assert "is not a time zone" in problem.reason
    assert hint in problem.hint or "did you mean" in problem.hint


# -- when the clocks change ----------------------------------------------------------------------------


def test_a_time_of_day_that_the_clocks_skip_comes_right_after_the_gap() -> None:
    assert times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00", "2026-03-30T12:00") == [
        "2026-03-28T02:30+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
    ]


def test_several_that_are_skipped_are_one() -> None:
    assert times("0,30 2-3 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T12:00") == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:30+02:00",
    ]


def test_a_time_of_day_that_the_clocks_repeat_comes_once() -> None:
    assert times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-26T12:00") == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]


def test_what_runs_every_hour_or_every_few_minutes_follows_the_time_that_has_really_passed() -> None:
    assert times("0 * * * *", "Europe/Berlin", "2026-03-29T00:30+01:00", "2026-03-29T04:30+02:00") == [
        "2026-03-29T01:00+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T04:00+02:00",
    ]
    assert times("*/30 * * * *", "Europe/Berlin", "2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00") == [
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
        "2026-10-25T03:00+01:00",
    ]


def test_the_first_passage_of_a_repeated_hour_is_found_from_within_the_second() -> None:
    berlin, second = schedule("30 2 * * *", "Europe/Berlin"), at("2026-10-25T02:15+01:00")
    assert berlin.latest(at("2026-10-24T12:00"), second) == at("2026-10-25T02:30+02:00")
    assert berlin.next(second) == at("2026-10-26T02:30+01:00")


ZONES = ["Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Tehran"]
FIELDS = st.tuples(
    st.sampled_from(["0", "30", "*/20", "5,50", "*"]),
    st.sampled_from(["*", "0", "1", "2", "*/2", "0-3", "23"]),
    st.sampled_from(["*", "1", "29", "L"]),
    st.sampled_from(["*", "3,4,9,10"]),
    st.sampled_from(["*", "SUN", "SAT,MON"]),
)


@settings(max_examples=150, deadline=None)
@given(FIELDS, st.sampled_from(ZONES), st.integers(0, 500 * DAY_MS), st.integers(0, 3 * DAY_MS))
def test_next_and_latest_agree_and_never_go_back(fields: tuple[str, ...], zone: str, begin: int, span: int) -> None:
    found = schedule(" ".join(fields), zone)
    after = at("2025-01-01T00:00") + begin
    walked: list[int] = []
    time = found.next(after)
    while time is not None and time <= after + span and len(walked) < 300:
        assert time > (walked[-1] if walked else after)
        walked.append(time)
        time = found.next(time)
    if time is None or time > after + span:
        assert found.latest(after, after + span) == (walked[-1] if walked else None)
        assert found.count(after, after + span, 1_000) == len(walked)
    else:
        assert found.count(after, after + span, 100) == 100


@pytest.mark.proof
@example("*", "*/3", "Australia/Lord_Howe", 275)  # half an hour is skipped that night
@example("7", "*/3", "Australia/Lord_Howe", 93)  # and one comes twice
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["*", "*/15", "7"]), st.sampled_from(["*", "*/3"]), st.sampled_from(ZONES), st.integers(0, 364))
def test_with_a_star_each_time_is_one_whose_clock_shows_it(minute: str, hour: str, zone: str, day: int) -> None:
    """An oracle: every minute that really passes, looked at on the wall."""
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    minutes = {"*": range(60), "*/15": range(0, 60, 15), "7": [7]}[minute]
    hours = range(24) if hour == "*" else range(0, 24, 3)
    expected = []
    for passed in range(1, 26 * 60):
        moment = begin + timedelta(minutes=passed)
        local = moment.astimezone(ZoneInfo(zone))
        if local.minute in minutes and local.hour in hours:
            expected.append(round(moment.timestamp() * 1_000))
    found, time = [], round(begin.timestamp() * 1_000)
    while (following := schedule(f"{minute} {hour} * * *", zone).next(time)) and following <= expected[-1]:
        found.append(following)
        time = following
    assert found == expected


@settings(max_examples=400, deadline=None)
@given(st.text("0123456789*,/-?#LWMONJAFESU@", min_size=1, max_size=8), st.integers(0, 4))
def test_no_expression_raises_or_hangs(field: str, place: int) -> None:
    fields = ["0"] * 2 + ["*"] * 3
    fields[place] = field
    expression = " ".join(fields)
    if has_shape(expression) and not list(expression_problems(expression, "x")):
        found = schedule(expression, "Africa/Cairo")
        first = found.next(at("2026-01-01T00:00"))
        assert first is None or first > at("2026-01-01T00:00")


def test_far_away_there_is_no_time_and_no_error() -> None:
    assert schedule("@daily", None).next(at("9500-01-01T00:00")) is None
    assert schedule("@daily", None).latest(at("9500-01-01T00:00"), at("9600-01-01T00:00")) is None
    assert schedule("@daily", "Europe/Berlin").next(-1) is not None
