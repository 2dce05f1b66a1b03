"""Mutants of kipu/shell/openings.py: who reads and claims its log next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.zoo.mutants import mutant


@mutant("Turn.__init__", breaks="no backpressure", caught_by="tests/shell/test_engine.py")
def a_turn_ends_where_it_begins(self: Any, over: Callable[[], None]) -> None:
    """All that are new ask for everything at once."""
    over()
    self._over = None
