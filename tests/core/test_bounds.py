"""The bounds of one turn in bytes, at their worst: long names, long messages, every budget used up."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st

from kipu.core.commands import FAILURE_BYTES_MAX, Accept, Claim, Command, FireTimers, ObserveOutcome, weight
from kipu.core.definition import ITEMS_MAX, ITEMS_UNDER_WAY_MAX, AdoptedStep, Definition, OnFailure, RunWhen
from kipu.core.events import (
    STEPS_PER_RECORD_MAX,
    AttemptFailed,
    Event,
    Reason,
    StepAdopted,
    StepFailed,
    StepsCancelled,
    StepScheduled,
)
from kipu.core.fanout import ATTEMPTS_PER_END
from kipu.core.texts import (
    MESSAGE_BYTES_MAX,
    TAIL_BYTES_MAX,
    TAIL_SHOWN_BYTES_MAX,
    TAIL_SHOWN_LINES,
    last_lines,
    log_tail,
    shorten,
)
from kipu.core.turn import (
    ADOPTIONS_PER_TURN_MAX,
    ATTEMPTS_PER_TURN_MAX,
    COMMANDS_PER_TURN_MAX,
    NAMES_PER_FRAME,
    NAMES_PER_TURN_MAX,
    TIMERS_PER_TURN_MAX,
)
from kipu.eventlog.chain import BATCH_BYTES_MAX, Tip, extend
from kipu.eventlog.codec import RECORD_BYTES_MAX, encode
from tests.core.given import MINUTE, START, Flow, adoption, fan, flow, kinds, step
from tests.core.laws import LAW

pytestmark = pytest.mark.proof


def record_bytes(event: Event) -> int:
    """As the log writes it, late in a long life."""
    return len(encode(event, position=999_999, epoch=9_999, ts=START).record) + len("\n")


def long_name(prefix: str, number: int) -> str:
    return f"{prefix}{number:05d}".ljust(63, "x")


def worst_failure(given: Flow, name: str) -> ObserveOutcome:
    """Everything that a pod's record may say, at its greatest length."""
    return ObserveOutcome(
        ref=given.ref(name),
        job_uid="u" * 36,
        reason=Reason.START_TIMED_OUT,
        message="\x01" * 10_000,
        exit_code=255,
        started_at=given.now,
        finished_at=given.now,
        pod="p" * 69,
        node="n" * 253,
    )


def wide(prefix: str, count: int) -> list[str]:
    return [long_name(prefix, number) for number in range(count)]


@pytest.mark.parametrize("mode", list(OnFailure))
def test_the_worst_turn_fits_one_batch(mode: OnFailure) -> None:
    """All commands fail a step, all timers fire, all skips have a culprit of their own, a window is started."""
    failing, late, ready = wide("f", COMMANDS_PER_TURN_MAX - 1), wide("l", TIMERS_PER_TURN_MAX), wide("r", 500)
    given = flow(
        *[step(name, timeout=MINUTE) for name in failing],
        *[step(name, start_timeout=MINUTE) for name in late],
        *[step(long_name("s", number), name) for number, name in enumerate(failing)],
        *[step(name) for name in ready],
        *[step(long_name("d", number), failing[0]) for number in range(NAMES_PER_TURN_MAX)],
        parallelism=COMMANDS_PER_TURN_MAX - 1 + TIMERS_PER_TURN_MAX,
        on_failure=mode,
    )
    given.settle()
    commands: list[Command] = [worst_failure(given, name) for name in failing]
    events = given.tell(*commands, FireTimers(), after=MINUTE)
    assert kinds(events).count("StepFailed") == len(failing)
    assert kinds(events).count("AttemptAbandoned") >= len(late)
    assert max(record_bytes(event) for event in events) <= RECORD_BYTES_MAX
    extend(Tip(position=999_999, hash=b"", epoch=9_999, ts=0, writer="w"), events, ts=given.now)  # raises LogFull


def test_the_worst_turn_that_adopts_fits_one_batch() -> None:
    """All replicas claim at once, the last of a window is adopted, all that follows is skipped or begun."""
    adopted = wide("a", ADOPTIONS_PER_TURN_MAX)
    given = Flow(None)
    definition = Definition(
        steps=(
            *[step(name) for name in adopted],
            *[step(long_name("s", n), adopted[n], run_when=RunWhen.ANY_FAILED) for n in range(len(adopted))],
            *[step(long_name("d", n), long_name("s", n)) for n in range(len(adopted))],
            *[step(name) for name in wide("r", 2 * ATTEMPTS_PER_TURN_MAX)],
        ),
        adopt=replace(
            adoption(*adopted),
            run=1_000_000,
            steps=tuple(AdoptedStep(name=name, position=10**9, hash="f" * 64) for name in adopted),
        ),
    )
    claims: list[Command] = [Claim(writer="w" * 64)] * (COMMANDS_PER_TURN_MAX - 1)
    events = given.tell(*claims, Accept(spec_hash="f" * 64, definition=definition))
    assert kinds(events).count("StepAdopted") == ADOPTIONS_PER_TURN_MAX
    assert kinds(events).count("StepsSkipped") >= NAMES_PER_TURN_MAX // (2 + NAMES_PER_FRAME)
    assert max(record_bytes(event) for event in events if isinstance(event, StepAdopted)) <= 400
    # The claims raise the epoch, which a record late in a long life has.
    extend(Tip(position=999_999, hash=b"", epoch=0, ts=0, writer="w"), events, ts=given.now)  # raises LogFull


def test_every_budget_used_up_at_once_fits_one_batch() -> None:
    """Whatever mix a turn makes of them: each bound times the greatest record of its kind. Items have longer names."""
    given = flow(*[step(name, start_timeout=MINUTE, timeout=MINUTE) for name in wide("a", 200)])
    fired, abandoned = flow(step(long_name("a", 0), start_timeout=MINUTE)).pass_time(MINUTE)[:2]
    failed = given.tell(worst_failure(given, long_name("a", 0)))[:2]
    skips = flow(step(long_name("a", 0)), *[step(name, long_name("a", 0)) for name in wide("s", 200)])
    skipped = skips.tell(skips.outcome(long_name("a", 0), reason=Reason.EXIT_CODE))[2]
    single = flow(step(long_name("a", 0)), step(long_name("s", 0), long_name("a", 0)))
    skipped_alone = single.tell(single.outcome(long_name("a", 0), reason=Reason.EXIT_CODE))[2]
    name = max(record_bytes(skipped) / (200 + NAMES_PER_FRAME), record_bytes(skipped_alone) / (1 + NAMES_PER_FRAME))
    item = len(f"[{ITEMS_MAX - 1}]")
    name += item
    total = (
        COMMANDS_PER_TURN_MAX * sum(record_bytes(event) + item for event in failed)
        + TIMERS_PER_TURN_MAX * (record_bytes(fired) + record_bytes(abandoned) + 2 * item)
        + ATTEMPTS_PER_TURN_MAX * (record_bytes(given.log[1][0]) + item)
        + (NAMES_PER_TURN_MAX + NAMES_PER_FRAME) * name
    )
    assert kinds([*failed, fired, abandoned, skipped, skipped_alone, given.log[1][0]]) == [
        "AttemptFailed",
        "StepFailed",
        "TimerFired",
        "AttemptAbandoned",
        "StepsSkipped",
        "StepsSkipped",
        "StepScheduled",
    ]
    assert total <= BATCH_BYTES_MAX


def test_the_end_of_a_fan_out_takes_the_room_of_as_many_attempts_as_it_is_charged_for() -> None:
    shard = "s" * 63
    given = flow(fan(shard, count=ITEMS_UNDER_WAY_MAX, parallelism=100))
    items = [f"{shard}[{index}]" for index in range(100)]
    given.tell(*(worst_failure(given, name) for name in items))
    (failed,) = [event for event in given.last if isinstance(event, StepFailed) and event.step == shard]
    attempt = record_bytes(given.events_of(StepScheduled)[0])
    assert len(json.dumps(failed.message, ensure_ascii=False)) > MESSAGE_BYTES_MAX - 10, "it is at its bound"
    assert record_bytes(failed) <= ATTEMPTS_PER_END * attempt


def test_the_names_of_items_fit_a_record() -> None:
    shard = "s" * 63
    given = flow(fan(shard, count=ITEMS_MAX, attempts=2))
    given.settle()
    given.tell(*(given.outcome(f"{shard}[{index}]", reason=Reason.EXIT_CODE) for index in range(100)))
    given.shut_down()
    given.settle()
    cancelled = given.events_of(StepsCancelled)
    assert max(len(event.steps) for event in cancelled) == 100
    longest = StepsCancelled(run=1, steps=tuple(f"{shard}[{ITEMS_MAX - 1}]" for _ in range(STEPS_PER_RECORD_MAX)))
    assert record_bytes(longest) <= RECORD_BYTES_MAX


@LAW
@hypothesis.given(st.text(st.characters(), max_size=50), st.integers(1, 60))
def test_a_message_is_cut_to_its_bound_as_the_record_holds_it(text: str, times: int) -> None:
    short = shorten(text * times)
    assert len(json.dumps(short, ensure_ascii=False).encode()) <= MESSAGE_BYTES_MAX
    assert shorten(short) == short == unicodedata.normalize("NFC", short)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("x" * 998, 998),
        ("x" * 999, 998),
        ("é" * 600, 499),
        ('"' * 600, 499),
        ("\x00" * 600, 166),
        ("\U0001f4a5" * 600, 249),
        ("", 0),
    ],
)
def test_a_message_is_as_long_as_the_bound_allows_and_no_character_is_cut(text: str, length: int) -> None:
    assert shorten(text) == text[:length]


def test_a_message_is_kept_in_the_form_that_records_are_in() -> None:
    assert shorten("e\u0301") == "\u00e9"


def test_half_a_character_becomes_a_question_mark() -> None:
    assert shorten("a\ud800b") == "a?b"


def test_the_message_of_an_attempt_is_cut_before_it_is_recorded() -> None:
    given = flow(step("a", attempts=2))
    given.tell(given.outcome("a", reason=Reason.EXIT_CODE, message="é" * 10_000))
    assert given.step("a").message == "é" * 499


# -- the tail of a log ---------------------------------------------------------------------------------------


def json_length(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())


@LAW
@hypothesis.given(st.text(st.characters(), max_size=50), st.integers(1, 200))
def test_a_tail_is_the_end_of_what_was_written_cut_to_its_bound_as_the_record_holds_it(text: str, times: int) -> None:
    tail = log_tail(text * times)
    assert json_length(tail) <= TAIL_BYTES_MAX
    assert log_tail(tail) == tail == unicodedata.normalize("NFC", tail)
    assert {char for char in tail if unicodedata.category(char) == "Cc"} <= {"\t", "\n"}
    shown = last_lines(tail)
    assert tail.endswith(shown)
    assert json_length(shown) <= TAIL_SHOWN_BYTES_MAX
    assert shown.count("\n") < TAIL_SHOWN_LINES


@pytest.mark.parametrize(
    ("written", "tail"),
    [
        ("first\nlast\n", "first\nlast"),
        ("x" * 5_000, "x" * 2_498),
        ('"' * 5_000, '"' * 1_249),
        ("old\n" * 2_000 + "é" * 1_249, "é" * 1_249),
        ("\x1b[1;31mError\x1b[0m: no\tfile\r\n", "Error: no\tfile"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("\x1b]0;a title\x07kept\x00\x7f\x9b", "kept"),
        ("\x1b]0;not ended\nkept", "\nkept".strip()),
        ("\n\nx\n  y\n\n", "x\n  y"),
        ("a\ud800b", "a?b"),
        ("e\u0301", "\u00e9"),
        ("", ""),
    ],
)
def test_a_tail_keeps_the_end_and_nothing_that_a_terminal_would_obey(written: str, tail: str) -> None:
    assert log_tail(written) == tail


def test_of_a_tail_the_last_lines_are_shown_and_of_a_long_line_its_end() -> None:
    assert last_lines("a\nb\nc\nd") == "b\nc\nd"
    assert last_lines("a\nb\n" + "c" * 600) == "c" * 510


def test_a_failure_with_a_tail_is_charged_for_both() -> None:
    given = flow(step(long_name("a", 0)))
    worst = replace(worst_failure(given, long_name("a", 0)), log_tail="\\" * 10_000)
    events = given.tell(worst)[:2]
    assert kinds(events) == ["AttemptFailed", "StepFailed"]
    assert isinstance(events[0], AttemptFailed)
    assert json_length(events[0].log_tail or "") == TAIL_BYTES_MAX
    assert (weight(worst), weight(worst_failure(given, long_name("a", 0)))) == (2, 1)
    assert sum(map(record_bytes, events)) <= 2 * FAILURE_BYTES_MAX
