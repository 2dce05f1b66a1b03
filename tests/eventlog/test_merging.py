"""Merging: which chunks become one, that a long log keeps a short index, and that no commit ever waits for it."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.core.events import Event
from kipu.eventlog.chain import beginning
from kipu.eventlog.chunks import (
    CHUNK_BYTES_MAX,
    CHUNKS_MAX,
    TAIL_BYTES_GROWN_MAX,
    TAIL_BYTES_MAX,
    ChunkRef,
    Meta,
    roll,
    seal,
    sha256,
)
from kipu.eventlog.configmaps import ConfigMapHead
from kipu.eventlog.merging import MERGE_WIDTH, Piece, Run, due, tightest
from kipu.eventlog.objects import chunk_name
from kipu.eventlog.ports import LogWriteRefused
from tests.core.laws import LAW
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, scheduled
from tests.eventlog.store import DATA_BYTES_MAX, Fault, Store
from tests.eventlog.writer import HEAD, Writer, names, object_of, rolled

SMALL = TAIL_BYTES_MAX
HALF = CHUNK_BYTES_MAX // 2
WIDE_BATCH = 30  # events: more than a tail holds, so that each append rolls


def pieces(*sizes_bytes: int, merged: int = 0) -> list[Piece]:
    """The first `merged` are of level 1."""
    return [Piece(int(place < merged), size) for place, size in enumerate(sizes_bytes)]


# -- which -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "run"),
    [
        ([], None),
        (pieces(*[SMALL] * 7), None),
        (pieces(*[SMALL] * 8), Run(0, 8)),
        (pieces(*[SMALL] * 40), Run(0, 9)),  # earlier merges were refused: in steps
        (pieces(HALF, *[SMALL] * 7, merged=1), None),
        (pieces(HALF, *[SMALL] * 8, merged=1), Run(0, 9)),  # the merged one grows
        (pieces(CHUNK_BYTES_MAX - 2 * SMALL, *[SMALL] * 8, merged=1), Run(0, 3)),
        (pieces(CHUNK_BYTES_MAX - SMALL + 1, *[SMALL] * 8, merged=1), Run(1, 9)),  # it is full
        (pieces(9, 9, *[SMALL] * 8, merged=2), Run(1, 10)),
        (pieces(*[HALF + 1] * 40), None),  # no two of them fit
        (pieces(*[HALF + 1] * 7, SMALL), Run(6, 8)),
        (pieces(*[HALF] * 8), Run(0, 2)),
    ],
)
def test_what_is_merged_when(index: list[Piece], run: Run | None) -> None:
    assert due(index) == run


@LAW
@given(st.lists(st.integers(1, CHUNK_BYTES_MAX), max_size=60), st.integers(0, 60))
def test_a_merge_takes_neighbours_that_fit_one_chunk(sizes: list[int], merged: int) -> None:
    index = pieces(*sizes, merged=merged)
    for run in [*tightest(index), *([chosen] if (chosen := due(index)) else [])]:
        assert run.stop - run.start >= 2
        assert sum(sizes[run.start : run.stop]) <= CHUNK_BYTES_MAX


@LAW
@given(st.lists(st.integers(1, CHUNK_BYTES_MAX) | st.integers(1, SMALL), max_size=200))
def test_of_what_an_archive_leaves_no_two_neighbours_fit_one_chunk(sizes: list[int]) -> None:
    index = pieces(*sizes)
    for run in reversed(tightest(index)):
        index[run.start : run.stop] = [Piece(1, sum(sizes[run.start : run.stop]))]
    assert all(a.size_bytes + b.size_bytes > CHUNK_BYTES_MAX for a, b in itertools.pairwise(index))
    assert tightest(index) == []


# -- how many --------------------------------------------------------------------------------------------------


def index_of(events: int, *, batch: int, record_bytes: int) -> tuple[list[Piece], int]:
    """The index of a log of so many equal records, and the longest that it ever was."""
    index: list[Piece] = []
    tail, longest = b"", 0
    for _ in range(0, events, batch):
        chunk, tail = roll(tail, b"x" * record_bytes * batch)
        if not chunk:
            continue
        index.append(Piece(0, len(chunk)))
        if run := due(index):
            index[run.start : run.stop] = [Piece(1, sum(each.size_bytes for each in index[run.start : run.stop]))]
        longest = max(longest, len(index))
    return index, longest


def meta_bytes(chunk_count: int) -> int:
    """Of a head with so many chunks, all numbers as long as they get."""
    name = chunk_name(STREAM, 9_999_999, "0" * 16)
    ref = ChunkRef(name=name, sha256=sha256(b""), first=999_999, last=999_999, level=1)
    tip = beginning(STREAM.uid, SPEC_HASH)
    meta = Meta(
        uid=STREAM.uid,
        spec_hash=SPEC_HASH,
        generation=9_999_999,
        commit="0" * 16,
        position=999_999,
        hash=tip.hash.hex(),
        epoch=99,
        ts=TS,
        writer="w" * 63,
        chunks=(ref,) * chunk_count,
    )
    return len(seal(meta, b"")["meta"])


@pytest.mark.parametrize("batch", [1, 3, 8, 10, 15, 40])
@pytest.mark.parametrize(("events", "entries_max", "meta_bytes_max"), [(50_000, 49, 12_000), (250_000, 120, 25_000)])
def test_a_long_log_keeps_a_short_index(events: int, batch: int, entries_max: int, meta_bytes_max: int) -> None:
    index, longest = index_of(events, batch=batch, record_bytes=300)
    assert longest <= entries_max
    assert meta_bytes(longest) <= meta_bytes_max
    assert sum(each.size_bytes for each in index) > events * 300 - 2 * SMALL


def test_a_head_with_its_most_chunks_and_its_longest_tail_fits_a_configmap() -> None:
    assert meta_bytes(CHUNKS_MAX) + TAIL_BYTES_GROWN_MAX + len(sha256(b"")) < DATA_BYTES_MAX


async def test_the_log_keeps_just_the_index_that_was_counted(writer: Writer) -> None:
    """What the counts above rest on: the real log rolls and merges as `index_of` does."""
    head = await writer.begin(*[scheduled(f"{number:06}") for number in range(100, 110)])
    before = len(head.tail) // 10
    for _ in range(1, 400):
        head = await writer.append(head, *[scheduled(f"{number:06}") for number in range(10)])
    # Positions grow from one digit to four: no record differs from the mean by more than 3 bytes.
    record_bytes = round(sum(chunk.size_bytes for chunk in head.index) / head.index[-1].ref.last)
    assert before <= record_bytes <= before + 4
    expected, _ = index_of(4_000, batch=10, record_bytes=record_bytes)
    assert [each.ref.level for each in head.index] == [each.level for each in expected]
    assert len(await writer.read()) == 4_000


# -- the commit ------------------------------------------------------------------------------------------------


def wide(turn: int) -> list[Event]:
    return [scheduled(f"job-{turn}-{number}") for number in range(WIDE_BATCH)]


async def with_chunks(writer: Writer, count: int) -> ConfigMapHead:
    """A log of so many chunks of level 0."""
    head = await writer.begin()
    for turn in range(count):
        head = await writer.append(head, *wide(turn))
    assert [chunk.level for chunk in head.chunks] == [0] * count
    return head


async def test_eight_neighbours_become_one_in_the_commit_of_the_roll(store: Store, writer: Writer) -> None:
    head = await with_chunks(writer, MERGE_WIDTH - 1)
    writer.meets()
    head = await writer.append(head, *wide(7))
    assert writer.verbs == ["get"] * 7 + ["create", "patch"]
    assert [(chunk.level, chunk.first, chunk.last) for chunk in head.chunks] == [(1, 1, head.position)]
    assert (head.superseded, len(names(store, f"{HEAD}-"))) == (7, 8)
    assert len(await writer.read()) == head.position


async def test_a_tail_that_stays_in_the_head_is_not_merged(writer: Writer) -> None:
    head = await rolled(writer, chunk_count=MERGE_WIDTH - 1)
    while len(head.chunks) > 1:
        head = await writer.append(head)
    assert 0 < len(head.tail) < TAIL_BYTES_MAX
    assert head.chunks[0].last < head.position
    assert len(await writer.read()) == head.position


async def test_a_merged_chunk_is_named_and_owned_as_any_chunk(store: Store, writer: Writer) -> None:
    head = await with_chunks(writer, MERGE_WIDTH - 1)
    plain = head.chunks[0].name
    head = await writer.append(head, *wide(7))
    merged = head.chunks[0].name
    one, other = (json.loads(json.dumps(object_of(store, name))) for name in (plain, merged))
    for each in (one, other):
        for key in ("name", "uid", "resourceVersion"):
            del each["metadata"][key]
        del each["binaryData"]
    assert one == other
    assert merged.startswith(f"kipu-log-{STREAM.uid}-{head.generation:010}-")


# Each makes a merge fail, and no commit: the first requests of that append.
TROUBLE = {
    "a read is unanswered": [Fault.REQUEST_LOST],
    "a read is refused": [Fault.NONE, Fault.FORBIDDEN],
    "a read is overloaded": [Fault.NONE] * 6 + [Fault.UNAVAILABLE],
    "the merged chunk is refused": [Fault.NONE] * 7 + [Fault.QUOTA],
    "the merged chunk is unanswered": [Fault.NONE] * 7 + [Fault.ANSWER_LOST],
    "the merged chunk comes late": [Fault.NONE] * 7 + [Fault.DELAYED],
    "the merged chunk is too large": [Fault.NONE] * 7 + [Fault.TOO_LARGE],
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_merge_that_fails_holds_no_commit_up_and_is_tried_again(writer: Writer, trouble: str) -> None:
    head = await with_chunks(writer, MERGE_WIDTH - 1)
    writer.meets(*TROUBLE[trouble])
    head = await writer.append(head, *wide(7))
    assert writer.waits == []
    assert ([chunk.level for chunk in head.chunks], head.superseded) == ([0] * 8, 0)
    assert len(await writer.read()) == head.position
    writer.meets()
    head = await writer.append(head, *wide(8))
    assert [chunk.level for chunk in head.chunks] == [1]
    assert len(await writer.read()) == head.position


@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_a_chunk_that_cannot_be_read_is_not_merged_away(store: Store, writer: Writer, damage: str) -> None:
    """What is wrong with it is for the next reader to find, with all its evidence."""
    head = await with_chunks(writer, MERGE_WIDTH - 1)
    name = head.chunks[3].name
    if damage == "gone":
        del store.objects[STREAM.namespace, name]
    else:
        object_of(store, name)["binaryData"] = object_of(store, head.chunks[4].name)["binaryData"]
    for turn in (7, 8, 9):
        head = await writer.append(head, *wide(turn))
    assert [chunk.level for chunk in head.chunks] == [0] * 10
    assert name in {chunk.name for chunk in head.chunks}


async def test_after_many_refusals_merging_catches_up_step_by_step(writer: Writer) -> None:
    head = await with_chunks(writer, MERGE_WIDTH - 1)
    for turn in range(30):
        writer.meets(Fault.NONE, Fault.FORBIDDEN)  # a read, if not the first
        head = await writer.append(head, *wide(turn))
    assert [chunk.level for chunk in head.chunks] == [0] * 37
    for turn in range(30, 35):
        writer.meets()
        head = await writer.append(head, *wide(turn))
        assert len(writer.client.requests) <= 1 + MERGE_WIDTH + 3
    assert sum(chunk.level == 0 for chunk in head.chunks) < MERGE_WIDTH
    assert len(await writer.read()) == head.position


@pytest.mark.proof
async def test_large_batches_are_merged_as_far_as_they_fit(writer: Writer) -> None:
    head = await writer.begin()
    for turn in range(40):
        size = 1_400 if turn % 3 == 0 else 40  # of about 170 bytes: a quarter of a chunk, and a little more than a tail
        head = await writer.append(head, *[scheduled(f"{turn}-{number}") for number in range(size)])
    assert len(head.chunks) < MERGE_WIDTH + 5
    assert all(chunk.size_bytes <= CHUNK_BYTES_MAX for chunk in head.index)
    assert len(await writer.read()) == head.position


async def test_what_a_reader_knows_of_sizes_is_what_the_writer_knew(writer: Writer) -> None:
    head = await rolled(writer, chunk_count=MERGE_WIDTH - 1)
    while [chunk.level for chunk in head.chunks] != [1, 0, 0]:
        head = await writer.append(head)
    history = await writer.log.load(STREAM)
    assert history is not None
    assert isinstance(history.head, ConfigMapHead)
    assert history.head.index == head.index


# -- the end ---------------------------------------------------------------------------------------------------


async def test_an_archive_is_one_chunk_one_commit_and_no_record(writer: Writer) -> None:
    head = await rolled(writer, chunk_count=5)
    before = await writer.read()
    writer.meets()
    after = await writer.log.archive(STREAM, head)
    assert writer.verbs == ["get"] * 5 + ["create", "patch"]
    assert (len(after.chunks), after.superseded, after.generation) == (1, 5, head.generation + 1)
    assert (after.position, after.hash, after.tail) == (head.position, head.hash, head.tail)
    assert await writer.read() == before


async def test_an_archive_of_an_archive_asks_for_nothing(writer: Writer) -> None:
    once = await writer.log.archive(STREAM, await rolled(writer, chunk_count=5))
    writer.meets()
    assert await writer.log.archive(STREAM, once) is once
    assert writer.verbs == []


async def test_a_log_of_one_chunk_or_none_is_its_own_archive(writer: Writer) -> None:
    for head in (await writer.begin(), await rolled(Writer(Store()), chunk_count=1)):
        writer.meets()
        assert await writer.log.archive(STREAM, head) is head
        assert writer.verbs == []


async def test_what_is_refused_of_an_archive_stays_as_it_was(writer: Writer) -> None:
    head = await rolled(writer, chunk_count=5)
    writer.meets(Fault.FORBIDDEN)
    assert await writer.log.archive(STREAM, head) is head
    writer.meets(*[Fault.NONE] * 6, Fault.REFUSED)
    with pytest.raises(LogWriteRefused):
        await writer.log.archive(STREAM, head)
    writer.meets()
    assert len((await writer.log.archive(STREAM, head)).chunks) == 1


async def test_an_archive_goes_on_where_it_was_added_to(writer: Writer) -> None:
    """Nobody does so today; but nothing in the format forbids it."""
    head = await writer.log.archive(STREAM, await rolled(writer, chunk_count=5))
    for _ in range(100):
        head = await writer.append(head)
    assert await writer.read() == [claim(), *[scheduled()] * (head.position - 1)]
