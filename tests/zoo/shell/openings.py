"""Mutants of kipu/shell/openings.py: who reads and claims its log next."""

from __future__ import annotations

from contextlib import ExitStack

from kipu.shell.openings import Openings, Rank
from tests.zoo.mutants import mutant


@mutant("Openings.turn", breaks="no backpressure", caught_by="tests/shell/test_engine.py")
async def a_turn_ends_where_it_begins(self: Openings, rank: Rank) -> ExitStack:
    """All that are new ask for everything at once."""
    await self._wait(rank)
    self._next()
    return ExitStack()
