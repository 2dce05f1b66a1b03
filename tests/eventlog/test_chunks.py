"""Packing: what rolls when, and that nothing that was changed is ever read."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.core.errors import CorruptionError
from kipu.core.events import Event
from kipu.eventlog import chunks
from kipu.eventlog.chain import Batch, beginning, extend
from kipu.eventlog.chunks import TAIL_BYTES_MAX, ChunkRef, Meta
from kipu.eventlog.codec import UnknownEvent
from tests.core.laws import LAW
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, scheduled


def batch_of(*parts: Event) -> Batch:
    return extend(beginning(STREAM.uid, SPEC_HASH), parts or [claim(), scheduled("a"), scheduled("b")], ts=TS)


def meta_of(batch: Batch, *refs: ChunkRef, **changes: Any) -> Meta:
    tip = batch.tip
    fields: dict[str, Any] = {
        "uid": STREAM.uid,
        "spec_hash": SPEC_HASH,
        "generation": 1,
        "commit": "c0",
        "position": tip.position,
        "hash": tip.hash.hex(),
        "epoch": tip.epoch,
        "ts": tip.ts,
        "writer": tip.writer,
        "chunks": refs,
    }
    return Meta(**(fields | changes))


def ref_of(packed: bytes, first: int, last: int) -> ChunkRef:
    return ChunkRef(name="kipu-log-x", sha256=chunks.sha256(packed), first=first, last=last, level=0)


def read(data: object) -> tuple[Meta, bytes, str]:
    return chunks.unseal(data, workflow_uid=STREAM.uid)


def resealed(meta: str, tail: str) -> dict[str, str]:
    return {"meta": meta, "tail": tail, "digest": chunks.sha256(f"{meta}\n{tail}".encode())}


# -- rolling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "lines", "limit", "chunk", "rest"),
    [
        (0, TAIL_BYTES_MAX, TAIL_BYTES_MAX, 0, TAIL_BYTES_MAX),
        (0, TAIL_BYTES_MAX + 1, TAIL_BYTES_MAX, TAIL_BYTES_MAX + 1, 0),
        (100, TAIL_BYTES_MAX - 100, TAIL_BYTES_MAX, 0, TAIL_BYTES_MAX),
        (101, TAIL_BYTES_MAX - 100, TAIL_BYTES_MAX, 101, TAIL_BYTES_MAX - 100),
        (101, TAIL_BYTES_MAX + 1, TAIL_BYTES_MAX, TAIL_BYTES_MAX + 102, 0),
        (9_000, 1_000, 10_000, 0, 10_000),
        (9_000, 1_001, 10_000, 9_000, 1_001),
        (9_000, 5_000, 10_000, 14_000, 0),
    ],
)
def test_what_rolls_when(tail: int, lines: int, limit: int, chunk: int, rest: int) -> None:
    rolled, left = chunks.roll(b"t" * tail, b"l" * lines, tail_bytes_max=limit)
    assert (len(rolled), len(left)) == (chunk, rest)


@LAW
@given(st.binary(max_size=9_000), st.binary(min_size=1, max_size=9_000), st.integers(TAIL_BYTES_MAX, 20_000))
def test_a_roll_loses_and_reorders_nothing(tail: bytes, lines: bytes, limit: int) -> None:
    chunk, rest = chunks.roll(tail, lines, tail_bytes_max=limit)
    assert chunk + rest == tail + lines
    assert len(rest) <= limit


# -- the head --------------------------------------------------------------------------------------------------


def test_a_sealed_head_reads_back() -> None:
    batch = batch_of()
    data = chunks.seal(meta_of(batch), batch.lines)
    assert read(data) == (meta_of(batch), batch.lines, data["digest"])
    assert data["meta"] == json.dumps(json.loads(data["meta"]), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"meta": "", "tail": ""},
        {"meta": "", "tail": "", "digest": "", "more": ""},
        {"meta": "", "tail": "", "digest": 1},
        {"meta": "", "tail": "", "digest": ""},
        resealed("", ""),
        resealed("{}", ""),
        resealed('{"v":1,"minReader":1}', ""),
        resealed('{"v":1,"minReader":"1"}', ""),
    ],
)
def test_a_head_that_is_none_is_corruption(data: object) -> None:
    with pytest.raises(CorruptionError) as caught:
        read(data)
    assert not isinstance(caught.value, UnknownEvent)


def test_a_head_of_the_future_is_told_from_a_broken_one() -> None:
    with pytest.raises(UnknownEvent):
        read(resealed('{"v":7,"minReader":2,"everything":"else"}', ""))


# -- packed bytes ----------------------------------------------------------------------------------------------


def test_a_chunk_reads_back() -> None:
    packed = chunks.pack(b"line\n")
    assert chunks.open_chunk(ref_of(packed, 1, 1), {"records": chunks.to_text(packed)}) == b"line\n"


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"not zlib",
        zlib.compress(b"line\n")[:-1],
        zlib.compress(b"line\n") + b"x",
        zlib.compress(b"x" * (chunks.CHUNK_BYTES_MAX + 1)),
    ],
)
def test_packed_bytes_that_are_none_are_corruption(packed: bytes) -> None:
    with pytest.raises(CorruptionError):
        chunks.open_chunk(ref_of(packed, 1, 1), {"records": chunks.to_text(packed)})


def test_packed_bytes_may_reach_their_bound() -> None:
    packed = zlib.compress(b"x" * chunks.CHUNK_BYTES_MAX)
    content = chunks.open_chunk(ref_of(packed, 1, 1), {"records": chunks.to_text(packed)})
    assert len(content) == chunks.CHUNK_BYTES_MAX


@pytest.mark.parametrize("binary_data", [None, {}, {"other": ""}, {"records": "%"}, {"records": "é"}, {"records": "A"}])
def test_binary_data_that_is_none_is_corruption(binary_data: object) -> None:
    with pytest.raises(CorruptionError):
        chunks.open_chunk(ref_of(b"", 1, 1), binary_data)


def test_another_spelling_of_the_same_base64_is_corruption() -> None:
    packed = chunks.pack(b"line\n")
    text = chunks.to_text(packed)
    assert text.endswith("=")
    other = text.rstrip("=")[:-1] + chr(ord(text.rstrip("=")[-1]) + 1) + "=" * text.count("=")
    with pytest.raises(CorruptionError, match="not canonical"):
        chunks.open_chunk(ref_of(packed, 1, 1), {"records": other})


# -- the whole stream ------------------------------------------------------------------------------------------


def three() -> tuple[Batch, list[bytes]]:
    batch = batch_of()
    return batch, [line + b"\n" for line in batch.lines.splitlines()]


def test_a_stream_is_its_chunks_and_its_tail() -> None:
    batch, (first, second, third) = three()
    meta = meta_of(batch, ref_of(b"", 1, 2))
    lines = chunks.split(meta, [first + second], third)
    assert chunks.verify(meta, lines, {}) == (batch.tip, batch.records)
    meta = meta_of(batch, ref_of(b"", 1, 1), ref_of(b"", 2, 3))
    assert chunks.split(meta, [first, second + third], b"") == lines


@pytest.mark.parametrize(
    ("refs", "cut"),
    [
        ([(2, 3)], 0),  # does not begin at 1
        ([(1, 1)], 0),  # holds more than the index says
        ([(1, 3)], 0),  # holds less
        ([(1, 2), (4, 5)], 0),  # a gap
        ([(1, 2)], 1),  # a torn last record
    ],
)
def test_an_index_that_does_not_fit_its_chunks_is_corruption(refs: list[tuple[int, int]], cut: int) -> None:
    batch, (first, second, third) = three()
    content = first + second
    contents = [content[: len(content) - cut], third][: len(refs)]
    with pytest.raises(CorruptionError):
        chunks.split(meta_of(batch, *[ref_of(b"", *bounds) for bounds in refs]), contents, b"")


def test_a_torn_tail_is_corruption() -> None:
    batch, _ = three()
    with pytest.raises(CorruptionError, match="the tail: the last record is cut"):
        chunks.split(meta_of(batch), [], batch.lines[:-1])


@pytest.mark.parametrize(
    "change",
    [{"position": 4}, {"hash": "0" * 64}, {"epoch": 2}, {"ts": 1}, {"writer": "you"}, {"spec_hash": "x"}, {"uid": "x"}],
)
def test_a_head_that_does_not_fit_its_records_is_corruption(change: dict[str, Any]) -> None:
    batch, _ = three()
    meta = meta_of(batch, **change)
    with pytest.raises(CorruptionError, match="the records end at"):
        chunks.verify(meta, batch.lines.splitlines(), {})


def test_a_cut_history_does_not_fit_its_head() -> None:
    batch, _ = three()
    with pytest.raises(CorruptionError, match="position 2, the head says 3"):
        chunks.verify(meta_of(batch), batch.lines.splitlines()[:2], {})
