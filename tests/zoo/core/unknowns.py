"""Mutants of kipu/core/unknowns.py: what nobody knows."""

from __future__ import annotations

from kipu.core.events import Reason
from kipu.core.state import State
from tests.zoo.mutants import mutant


@mutant("is_unclear", breaks="I5", caught_by="tests/core/test_unknowns.py")
def what_nobody_knows_is_a_failure(state: State, place: int, reason: Reason) -> bool:
    """An External attempt whose Job vanished is tried again like any other."""
    return False
