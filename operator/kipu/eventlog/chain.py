"""A stream in memory: how it grows by a batch, and how it is read back and verified.

Promises: positions are dense, the epoch rises only by a `StreamClaimed` and never falls, `ts` never falls, the
hash of each record covers all before it; `replay` refuses whatever `extend` could not have made.
Must never do I/O, and never look at old records to add new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kipu.core.errors import CorruptionError
from kipu.core.events import Event, StreamClaimed

from .codec import NO_BLOBS, RECORD_BYTES_MAX, decode, encode, link, seed
from .ports import LogFull, Recorded

BATCH_BYTES_MAX = 512 * 1024  # with a grown tail of 256 KiB still one ConfigMap of at most 1 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where a stream ends: all that the next record depends on."""

    position: int
    hash: bytes
    epoch: int
    ts: int
    writer: str  # of the last claim, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The records of one append, encoded."""

    lines: bytes  # each record followed by a newline
    records: tuple[Recorded, ...]
    blobs: Mapping[str, bytes]  # by SHA-256 in hex; to be stored before the commit
    tip: Tip  # once they are committed


def beginning(workflow_uid: str, spec_hash: str) -> Tip:
    """Before the first record."""
    return Tip(position=0, hash=seed(workflow_uid, spec_hash), epoch=0, ts=0, writer="")


def extend(tip: Tip, events: Sequence[Event], *, ts: int) -> Batch:
    """`events` as the records after `tip`.

    Raises LogFull above RECORD_BYTES_MAX or BATCH_BYTES_MAX, NotRecordable, ValueError for a misuse.
    """
    if not events:
        raise ValueError("an append of no events")
    if ts < tip.ts:
        raise ValueError(f"ts {ts} is below the last record's {tip.ts}")
    digest, epoch, writer = tip.hash, tip.epoch, tip.writer
    lines: list[bytes] = []
    records: list[Recorded] = []
    blobs: dict[str, bytes] = {}
    for position, event in enumerate(events, start=tip.position + 1):
        if isinstance(event, StreamClaimed):
            if event.epoch <= epoch:
                raise ValueError(f"a claim of epoch {event.epoch} after epoch {epoch}")
            epoch, writer = event.epoch, event.writer
        encoded = encode(event, position=position, epoch=epoch, ts=ts)
        if encoded.blob is not None:
            blobs[encoded.blob_name] = encoded.blob
        digest = link(digest, encoded.record)
        lines.append(encoded.record)
        records.append(Recorded(position=position, epoch=epoch, ts=ts, hash=digest.hex(), event=event))
    joined = b"\n".join(lines) + b"\n"
    if len(joined) > BATCH_BYTES_MAX:
        raise LogFull(f"a batch of {len(events)} events has {len(joined)} bytes, the bound is {BATCH_BYTES_MAX}")
    end = Tip(position=tip.position + len(events), hash=digest, epoch=epoch, ts=ts, writer=writer)
    return Batch(lines=joined, records=tuple(records), blobs=blobs, tip=end)


def replay(tip: Tip, lines: Iterable[bytes], blobs: Mapping[str, bytes] = NO_BLOBS) -> tuple[Tip, tuple[Recorded, ...]]:
    """The verified records after `tip`. Their hashes are computed, for the caller to compare with the head's.

    Raises UnknownEvent, CorruptionError with the position of the first fault.
    """
    digest, epoch, ts, writer = tip.hash, tip.epoch, tip.ts, tip.writer
    records: list[Recorded] = []
    for position, record in enumerate(lines, start=tip.position + 1):
        if len(record) > RECORD_BYTES_MAX:
            raise CorruptionError(f"the record at position {position} has {len(record)} bytes")
        digest = link(digest, record)
        decoded = decode(record, position=position, blobs=blobs)
        event = decoded.event
        if decoded.ts < ts:
            raise CorruptionError(f"time falls from {ts} to {decoded.ts} at position {position}")
        if isinstance(event, StreamClaimed):
            follows, writer = decoded.epoch > epoch, event.writer
        else:
            follows = decoded.epoch == epoch
        if not follows:
            raise CorruptionError(f"epoch {decoded.epoch} after {epoch} at position {position}")
        epoch, ts = decoded.epoch, decoded.ts
        records.append(
            Recorded(position=position, epoch=epoch, ts=ts, hash=digest.hex(), event=event, verbatim=decoded.verbatim)
        )
    end = Tip(position=tip.position + len(records), hash=digest, epoch=epoch, ts=ts, writer=writer)
    return end, tuple(records)
