"""How soon a session that failed is followed by the next."""

from __future__ import annotations

from kipu.shell.engine import RESTART_SECONDS_MAX, failures_in_a_row


def test_sessions_that_fail_at_once_are_counted() -> None:
    assert failures_in_a_row(8, lived_seconds=1.0) == 9
    assert failures_in_a_row(8, lived_seconds=RESTART_SECONDS_MAX) == 9


def test_a_session_that_lived_well_is_followed_soon_whatever_was_before() -> None:
    """A workflow of days loses a race for its log now and then: its tenth conflict is no reason to wait for 30 s."""
    assert failures_in_a_row(8, lived_seconds=RESTART_SECONDS_MAX + 1) == 1
