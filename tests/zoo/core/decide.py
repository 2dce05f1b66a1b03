"""Mutants of kipu/core/decide.py: the order in which commands are heard, and whether more is due."""

from __future__ import annotations

from kipu.core.commands import Command, FireTimers
from kipu.core.state import State
from tests.zoo.mutants import mutant


@mutant("_precedence", breaks="a timer that beats a finished pod", caught_by="tests/core/test_timeouts.py")
def timers_are_heard_first(command: Command) -> int:
    """A deadline that nobody has committed comes before an end that was seen."""
    return 0 if isinstance(command, FireTimers) else 1


@mutant("wants_turn", breaks="I16", caught_by=("tests/core/test_failing.py", "tests/core/test_shutdown.py"))
def a_full_turn_is_the_last(state: State, slots: int) -> bool:
    """What a turn had no room for is never taken up again."""
    return False
