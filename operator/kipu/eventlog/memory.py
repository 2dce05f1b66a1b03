"""The reference backend: streams in this process, as encoded as any other backend keeps them.

Promises: exactly the port, with a real compare-and-append; several logs over one store are several writers.
Must never keep an event object: what a reader gets went through bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kipu.core.events import Event

from .chain import Tip, beginning, extend, replay
from .ports import ConcurrencyConflict, Head, History, LogMissing, Recorded, StreamId


@dataclass(slots=True)
class _Stream:
    start: Tip
    tip: Tip
    lines: list[bytes] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)


class MemoryStore:
    """What outlives a log."""

    def __init__(self) -> None:
        self.streams: dict[str, _Stream] = {}  # by the Workflow's uid


class MemoryLog:
    """One writer on a store."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = store or MemoryStore()

    async def load(self, stream: StreamId) -> History | None:
        """The whole verified history; None when the stream was never begun. Raises CorruptionError."""
        kept = self._store.streams.get(stream.uid)
        if kept is None:
            return None
        tip, records = replay(kept.start, kept.lines, kept.blobs)
        return History(head=_head(tip), records=records)

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[Head, tuple[Recorded, ...]]:
        """Commit `events` after `expected`; see the port."""
        kept = self._store.streams.get(stream.uid)
        if kept is None:
            if expected is not None:
                raise LogMissing(f"the log of {stream.name} is gone")
            start = beginning(stream.uid, spec_hash)
            kept = _Stream(start, start)
        elif expected != _head(kept.tip):
            raise ConcurrencyConflict(f"the log of {stream.name} has moved to position {kept.tip.position}")
        batch = extend(kept.tip, events, ts=ts)
        kept.lines += batch.lines[:-1].split(b"\n")
        kept.blobs.update(batch.blobs)
        kept.tip = batch.tip
        self._store.streams[stream.uid] = kept
        return _head(batch.tip), batch.records

    async def archive(self, stream: StreamId, head: Head) -> Head:  # noqa: ARG002 (lines in a list are one object)
        """Nothing to do."""
        return head

    async def sweep(self, stream: StreamId, head: Head) -> int:  # noqa: ARG002 (a failed append leaves nothing)
        """Nothing to do."""
        return 0


def _head(tip: Tip) -> Head:
    return Head(position=tip.position, hash=tip.hash.hex(), epoch=tip.epoch)
