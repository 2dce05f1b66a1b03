"""Which chunks of an index are merged, so that the index of a long log stays short. Pure: sizes in, places out.

A tail that rolls is a chunk of level 0. Once 8 of them stand at the end of the index, they and the merged chunk
before them, as far as one chunk can hold them, become one of level 1. So one merged chunk grows until it is full and
is then left for ever; the next one begins behind it (docs/adr/0011 says why not a tree of levels).

Promises: a merge takes at least two neighbours and yields at most CHUNK_BYTES_MAX, so that every release that reads
a chunk reads a merged one; no record changes its place. Must never do I/O, and never ask what is in a chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .chunks import CHUNK_BYTES_MAX, ChunkRef

# Each commit rewrites the index, 0.2 KB an entry, and each merge the chunk that grows, about 30 KB packed. For n chunks
# a merge that is (n - 1) / 2 x 205 B a commit and 38 KB / 13 n an event, alone: 1,720 B for 16, 1,083 B for 8, 1,037 B
# for 4; in batches of three 695, 605 and 832 B. e2e/measure_log.py measures what is left of theory.
# An index has at most 7 chunks of level 0, one that grows, and those that are full. What is full could not take 8
# tails of 4 KiB more: 736 KiB or more, so 50,000 events of 300 bytes are 20 + 8 entries and 250,000 are 100 + 8.
# Large batches lie worse: but two neighbours never fit one chunk, so a chunk holds 384 KiB in the mean.
MERGE_WIDTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk of the index, with what a merge must know and the index need not say."""

    ref: ChunkRef
    size_bytes: int  # unpacked


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk as far as planning goes."""

    level: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbours in an index, from `start` up to and without `stop`."""

    start: int
    stop: int


def piece(chunk: Chunk) -> Piece:
    """Of a chunk that stands."""
    return Piece(chunk.ref.level, chunk.size_bytes)


def due(pieces: Sequence[Piece]) -> Run | None:
    """The neighbours that are to become one chunk now, if any are."""
    start = len(pieces)
    while start > 0 and pieces[start - 1].level == 0:
        start -= 1
    if len(pieces) - start < MERGE_WIDTH:
        return None
    runs = tightest(pieces, max(0, start - 1))
    return Run(runs[0].start, min(runs[0].stop, runs[0].start + 1 + MERGE_WIDTH)) if runs else None


def tightest(pieces: Sequence[Piece], start: int = 0) -> list[Run]:
    """The merges after which all from `start` on lie in as few chunks as neighbours fit into."""
    runs = []
    while start < len(pieces):
        stop, size_bytes = start + 1, pieces[start].size_bytes
        while stop < len(pieces) and size_bytes + pieces[stop].size_bytes <= CHUNK_BYTES_MAX:
            size_bytes += pieces[stop].size_bytes
            stop += 1
        if stop - start > 1:
            runs.append(Run(start, stop))
        start = stop
    return runs
