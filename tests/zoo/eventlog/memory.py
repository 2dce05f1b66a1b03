"""Mutants of kipu/eventlog/memory.py: the reference."""

from __future__ import annotations

from collections.abc import Sequence

from kipu.core.events import Event
from kipu.eventlog.memory import MemoryLog, _head
from kipu.eventlog.ports import Head, Recorded, StreamId
from tests.zoo.mutants import mutant

_append = MemoryLog.append


@mutant("MemoryLog.append", breaks="I1, I2", caught_by="tests/eventlog/test_contract.py")
async def nobody_is_late(
    self: MemoryLog, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
) -> tuple[Head, tuple[Recorded, ...]]:
    """What the writer has read is not compared with what there is."""
    kept = self._store.streams.get(stream.uid)
    return await _append(self, stream, None if kept is None else _head(kept.tip), events, ts=ts, spec_hash=spec_hash)
