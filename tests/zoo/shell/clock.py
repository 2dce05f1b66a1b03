"""Mutants of kipu/shell/clock.py: where time comes from."""

from __future__ import annotations

from kipu.shell.clock import SessionClock
from tests.zoo.mutants import mutant


@mutant("SessionClock.now", breaks="I10, ordering by time", caught_by="tests/shell/test_clock.py")
def a_session_believes_its_machine(self: SessionClock) -> int:
    """A clock that was set back makes every deadline wait as long again."""
    return self._clock.now()
