"""Mutants of kipu/shell/slots.py: the operator's bound on Jobs at once."""

from __future__ import annotations

from kipu.shell.slots import Slots
from tests.zoo.mutants import mutant


@mutant("Slots.serve", breaks="I16", caught_by="tests/shell/test_slots.py")
def who_waits_is_forgotten(self: Slots) -> None:
    """A place that comes free wakes nobody."""
    self._waiting.clear()


@mutant("Slots.free_for", breaks="I9", caught_by="tests/shell/test_slots.py")
def a_place_is_taken_from_whoever_was_woken_for_it(self: Slots, uid: str, namespace: str) -> int:
    """Who comes first gets it, whatever the priority."""
    return self.free + len(self._kept)
