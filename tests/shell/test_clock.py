"""Times that are recorded, whatever is done to the machine's clock."""

from __future__ import annotations

from kipu.shell.clock import CLOCK_SKEW_MS_MAX, SessionClock, SystemClock


class Hand:
    """A clock that is set by hand."""

    def __init__(self, now: int) -> None:
        self.time = now

    def now(self) -> int:
        return self.time


def test_the_machines_clock_does_not_run_back() -> None:
    clock = SystemClock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000_000


def test_a_session_goes_on_from_the_newest_record() -> None:
    """The clock was set back by a second: a deadline one second after the record is one second away."""
    hand = Hand(10_000)
    session = SessionClock(hand, opened_ts=11_000)
    assert session.now() == 11_000
    hand.time += 1_000
    assert session.now() == 12_000


def test_a_session_with_nothing_ahead_has_the_clocks_time() -> None:
    assert SessionClock(Hand(10_000), opened_ts=9_000).now() == 10_000


def test_a_record_far_ahead_is_a_skew_until_the_clock_has_come_near() -> None:
    hand = Hand(0)
    session = SessionClock(hand, opened_ts=CLOCK_SKEW_MS_MAX + 1)
    assert session.is_skewed
    hand.time = 1
    assert not session.is_skewed
