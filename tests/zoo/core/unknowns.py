"""Mutants of kipu/core/unknowns.py: what nobody knows."""

from __future__ import annotations

from kipu.core.events import Reason
from kipu.core.state import State
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant


@mutant("is_unclear", breaks="I5", caught_by="tests/core/test_unknowns.py")
def what_nobody_knows_is_a_failure(state: State, place: int, reason: Reason) -> bool:
    """An External attempt whose Job vanished is tried again like any other."""
    return False


@mutant("_may_retry", breaks="I16", caught_by="tests/core/test_unknowns.py")
def a_word_goes_beyond_every_bound(turn: Turn, place: int) -> bool:
    """Whoever asks for another try gets one, without end and after the step's own time."""
    return True
