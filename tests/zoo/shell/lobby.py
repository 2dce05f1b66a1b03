"""Mutants of kipu/shell/lobby.py: who waits to be opened."""

from __future__ import annotations

from kipu.shell.lobby import Lobby
from tests.zoo.mutants import mutant


@mutant("Lobby.run", breaks="a wait that nobody explains", caught_by="tests/shell/test_engine.py")
async def those_that_wait_to_be_opened_wait_in_silence(self: Lobby) -> None:
    """Of thousands that come at once most show nothing at all."""
