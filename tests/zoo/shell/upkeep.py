"""Mutants of kipu/shell/upkeep.py: what keeps a log small."""

from __future__ import annotations

from kipu.eventlog.ports import Head
from kipu.shell.upkeep import Upkeep
from tests.zoo.mutants import mutant


@mutant("Upkeep.committed", breaks="I18", caught_by="tests/shell/test_upkeep.py")
def what_a_merge_leaves_is_never_swept(self: Upkeep, head: Head) -> None:
    """The chunks that a merge has superseded stay for ever."""
    self._head = head


@mutant("Upkeep.archive", breaks="I16", caught_by="tests/shell/test_upkeep.py")
async def a_run_whose_archive_fails_fails(self: Upkeep, head: Head) -> Head:
    """That the log of a run that has ended cannot be archived ends its session in an error."""
    self.committed(await self._log.archive(self._stream, head))
    await self.sweep()
    return head
