"""Mutants of kipu/core/texts.py: words in records."""

from __future__ import annotations

from kipu.core.texts import TAIL_BYTES_MAX, shorten
from tests.zoo.mutants import mutant

BOUNDS = "tests/core/test_bounds.py"
ENDING = f"{BOUNDS}::test_a_tail_keeps_the_end_and_nothing_that_a_terminal_would_obey"
CHARGED = f"{BOUNDS}::test_a_failure_with_a_tail_is_charged_for_both"


@mutant("log_tail", breaks="a failure that explains nothing", caught_by=ENDING)
def the_beginning_of_a_log_is_kept(text: str) -> str:
    """What a program has said last, and died of, is cut away."""
    return shorten(text.strip(), TAIL_BYTES_MAX)


@mutant("TAIL_BYTES_MAX", breaks="I16, retry on too-large", caught_by=CHARGED, is_constant=True)
def a_tail_is_as_long_as_its_log() -> int:
    """A hundred failures at once may exceed what one commit can hold."""
    return 1_000_000
