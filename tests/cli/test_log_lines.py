"""Lines of logs: their times, and that none is given twice."""

from __future__ import annotations

import pytest

from kipu.cli.log_lines import Given, Line, parse
from kipu.cli.log_sources import SOURCES_MAX, Asked, Source, fate, newest, next_attempt, places, sources
from kipu.core.state import State
from kipu.eventlog.ports import Recorded
from tests.cli import histories
from tests.cli.errors_expected import told
from tests.core.given import SECOND, Flow, approval, fan, flow, nested, step, wait

T = b"2023-11-14T22:13:20"
BEGAN_NS = 1_700_000_000 * 1_000_000_000


@pytest.mark.parametrize(
    ("raw", "time_ns", "text"),
    [
        (T + b".000000007Z hello", BEGAN_NS + 7, b"hello"),
        (T + b"Z  two spaces", BEGAN_NS, b" two spaces"),
        (b"2023-11-14T23:13:20.5+01:00 elsewhere", BEGAN_NS + 500_000_000, b"elsewhere"),
        (T + b".1Z", BEGAN_NS + 100_000_000, b""),
        (b"no time at all", None, b"no time at all"),
        (b"", None, b""),
        (b"\xff\xfe not UTF-8", None, b"\xff\xfe not UTF-8"),
    ],
)
def test_a_line_is_its_time_and_what_the_program_wrote(raw: bytes, time_ns: int | None, text: bytes) -> None:
    line = parse(raw)
    assert (line.time_ns, line.text) == (time_ns, text)


def lines(*numbers: int) -> list[Line]:
    return [Line(BEGAN_NS + number, b"", b"%d" % number) for number in numbers]


def new(given: Given, *numbers: int) -> list[bytes]:
    return [line.text for line in lines(*numbers) if given.is_new(line)]


def test_what_was_given_is_not_given_again() -> None:
    given = Given()
    assert given.again() is None
    assert new(given, 1, 2, 3) == [b"1", b"2", b"3"]
    assert given.again() == "2023-11-14T22:13:20Z"
    assert new(given, 1, 2, 3, 4) == [b"4"]


def test_of_lines_with_one_time_only_those_that_were_given_are_passed_over() -> None:
    given = Given()
    assert new(given, 1, 2, 2) == [b"1", b"2", b"2"]
    given.again()
    assert new(given, 1, 2, 2, 2, 3) == [b"2", b"3"]
    given.again()
    assert new(given, 2, 2, 2, 3) == []


def test_a_line_without_a_time_is_of_the_time_before() -> None:
    given = Given()
    assert new(given, 5) == [b"5"]
    assert given.is_new(Line(None, b"", b"x"))
    given.again()
    assert new(given, 5) == []


# -- whose -------------------------------------------------------------------------------------------------


def names(given: Flow, asked: Asked) -> list[str]:
    return [given.state.name(place) for place in places(given.state, asked, "nightly")]


def records(given: Flow) -> list[Recorded]:
    return [
        Recorded(position=position, epoch=1, ts=ts, hash="", event=event)
        for position, (event, ts) in enumerate(given.log, start=1)
    ]


def test_a_step_an_item_or_everything_is_asked_for() -> None:
    given = flow(step("a"), fan("shard", count=2))
    assert names(given, Asked(step="a")) == ["a"]
    assert names(given, Asked(step="shard[1]")) == ["shard[1]"]
    assert names(given, Asked(step="shard", everything=True)) == ["shard[0]", "shard[1]"]
    assert names(given, Asked(everything=True)) == ["a", "shard", "shard[0]", "shard[1]"]
    assert names(flow(step("only")), Asked()) == ["only"]
    assert names(flow(step("a"), fan("shard", "a")), Asked(step="shard", everything=True)) == []


@pytest.mark.parametrize(
    ("given", "asked", "why"),
    [
        (flow(step("a"), step("b")), Asked(), "name one of the steps, or give --all: a, b"),
        (flow(fan("shard")), Asked(step="shard"), "step 'shard' is a fan-out: name an item, such as 'shard[0]'"),
        (flow(approval("ask")), Asked(step="ask"), "step 'ask' has no pod: it is an approval"),
        (flow(wait("pause")), Asked(step="pause"), "step 'pause' has no pod: it is a wait"),
        (flow(nested("sub")), Asked(step="sub"), "step 'sub' is a Workflow of its own, and has no pod: 'kipu logs nig"),
        (flow(step("a")), Asked(step="b"), "has no step 'b'"),
    ],
)
def test_what_has_no_log_is_refused_with_what_to_do(given: Flow, asked: Asked, why: str) -> None:
    assert why in told(lambda: names(given, asked))


def test_the_newest_attempt_is_known_of_items_that_are_over_too() -> None:
    given = flow(fan("shard", count=2, attempts=2), approval("ask"))
    given.succeed("shard[0]")
    given.fail("shard[1]")
    given.pass_time(10 * SECOND)
    found = sources(given.state, records(given), range(len(given.state.steps)))
    assert [(source.step, source.attempt) for source in found] == [("shard[0]", 1), ("shard[1]", 2)]


def test_an_attempt_of_an_earlier_run_is_none_of_this_one() -> None:
    given = flow(step("a"), step("b"))
    given.succeed("a")
    given.fail("b")
    given.rerun()
    assert [source.step for source in sources(given.state, records(given), range(2))] == ["b"]


def test_of_too_many_the_youngest_are_kept() -> None:
    some = [Source(n, f"s{n}", 1, 1_000 - n) for n in range(SOURCES_MAX + 2)]
    assert newest(some[:SOURCES_MAX]) == (some[:SOURCES_MAX][::-1], 0)
    kept, left_out = newest(some)
    assert (len(kept), left_out) == (SOURCES_MAX, 2)
    assert some[-1] not in kept


def test_the_next_attempt_is_the_newest_that_has_begun_and_then_each_after_the_last() -> None:
    given = flow(step("a", attempts=9))
    source = sources(given.state, records(given), [0])[0]
    assert next_attempt(given.state, source, 0) is None  # scheduled, and not seen running
    given.start("a")
    assert next_attempt(given.state, source, 0) == 1
    assert next_attempt(given.state, source, 1) is None
    given.fail("a")
    given.pass_time(10 * SECOND)
    given.fail("a")
    given.pass_time(10 * SECOND)
    third = sources(given.state, records(given), [0])[0]
    assert (third.attempt, next_attempt(given.state, third, 0), next_attempt(given.state, third, 1)) == (3, None, 2)


# -- what the log of events knows --------------------------------------------------------------------------


def test_of_an_attempt_the_last_event_is_told() -> None:
    given = histories.diamond()
    assert fate(records(given), 1, "left", 1).startswith(
        "AttemptFailed at 2023-11-14T22:13:23.000Z: ExitCode, exit code 3"
    )
    assert fate(records(given), 1, "left", 2).startswith("StepSucceeded at ")
    assert fate(records(given), 1, "left", 3) == ""
    assert fate(records(given), 2, "left", 1) == ""


def test_a_workflow_without_steps_has_no_logs() -> None:
    assert "was not taken up yet" in told(lambda: places(State(), Asked(step="a"), "nightly"))
