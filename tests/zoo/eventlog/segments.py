"""Mutants of kipu/eventlog/segments.py: frames, and what is a torn one."""

from __future__ import annotations

from tests.zoo.mutants import mutant

TESTS = "tests/eventlog/test_file.py"


@mutant("_was_never_written", breaks="I19, I1", caught_by=TESTS)
def damage_is_taken_for_a_torn_end(rest: bytes, length: int | None) -> bool:
    """A changed byte ends the log there: all after it is forgotten without a word."""
    return True


@mutant("_was_never_written", breaks="torn tail not cut", caught_by=TESTS)
def pages_that_were_never_written_are_damage(rest: bytes, length: int | None) -> bool:
    """After a loss of power the workflow stops for good."""
    return False
