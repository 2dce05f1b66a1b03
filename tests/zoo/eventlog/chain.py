"""Mutants of kipu/eventlog/chain.py: how a stream grows and is read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kipu.eventlog.chain import Tip, replay
from kipu.eventlog.codec import NO_BLOBS, decode, link
from kipu.eventlog.ports import Recorded
from tests.zoo.mutants import mutant

_sound = replay


@mutant("replay", breaks="I2, I19", caught_by=("tests/eventlog/test_codec.py", "tests/eventlog/test_opening.py"))
def epochs_and_times_may_fall(
    tip: Tip, lines: Iterable[bytes], blobs: Mapping[str, bytes] = NO_BLOBS
) -> tuple[Tip, tuple[Recorded, ...]]:
    """What is read back is hashed, and not compared with what came before it."""
    digest, records = tip.hash, list[Recorded]()
    end = tip
    for position, record in enumerate(lines, start=tip.position + 1):
        digest = link(digest, record)
        read = decode(record, position=position, blobs=blobs)
        records.append(Recorded(position=position, epoch=read.epoch, ts=read.ts, hash=digest.hex(), event=read.event))
        writer = getattr(read.event, "writer", end.writer)
        end = Tip(position=position, hash=digest, epoch=read.epoch, ts=read.ts, writer=writer)
    return end, tuple(records)


@mutant("replay", breaks="I1, I3", caught_by=("tests/eventlog/test_contract.py", "tests/eventlog/test_golden.py"))
def the_last_record_is_left_out(
    tip: Tip, lines: Iterable[bytes], blobs: Mapping[str, bytes] = NO_BLOBS
) -> tuple[Tip, tuple[Recorded, ...]]:
    """A reader is given all records but the newest."""
    end, records = _sound(tip, lines, blobs)
    return replace(end), records[:-1]
