"""Mutants of kipu/eventlog/chunks.py: how a stream lies in a head and chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kipu.eventlog.chain import Tip, beginning, replay
from kipu.eventlog.chunks import CHUNK_BYTES_MAX, TAIL_BYTES_MAX, ChunkRef, Meta, _packed, _unpack
from kipu.eventlog.ports import Recorded
from tests.zoo.mutants import mutant

CHANGED = "tests/eventlog/test_integrity.py::test_every_single_changed_byte_is_detected"
LOST = "tests/eventlog/test_integrity.py::test_every_lost_added_or_swapped_key_is_detected"


@mutant("roll", breaks="I1, I3, append that overwrites the log", caught_by="tests/eventlog/test_contract.py")
def an_append_overwrites_the_tail(
    tail: bytes, lines: bytes, *, tail_bytes_max: int = TAIL_BYTES_MAX
) -> tuple[bytes, bytes]:
    """The new records take the place of those that the head held."""
    return b"", lines


@mutant("roll", breaks="I18", caught_by="tests/eventlog/test_configmaps.py")
def the_head_grows_for_ever(tail: bytes, lines: bytes, *, tail_bytes_max: int = TAIL_BYTES_MAX) -> tuple[bytes, bytes]:
    """The tail never becomes a chunk: each commit writes the whole log again."""
    return b"", tail + lines


@mutant("open_chunk", breaks="I19", caught_by=("tests/eventlog/test_chunks.py", CHANGED))
def a_chunk_is_taken_as_it_is_found(chunk: ChunkRef, binary_data: object) -> bytes:
    """Whether a chunk is the one that was committed is not asked."""
    return _unpack(_packed(binary_data, "records", chunk.name), CHUNK_BYTES_MAX, chunk.name)


@mutant("unseal", breaks="I19", caught_by=("tests/eventlog/test_chunks.py", LOST))
def the_heads_digest_is_not_compared(data: object, *, workflow_uid: str) -> tuple[Meta, bytes, str]:
    """An edited head is read as if nothing were."""
    assert isinstance(data, Mapping)
    return msgspec.json.decode(data["meta"], type=Meta), data["tail"].encode(), data["digest"]


@mutant("verify", breaks="I3, I19", caught_by=("tests/eventlog/test_chunks.py", "tests/eventlog/test_opening.py"))
def where_the_records_end_is_not_compared(
    meta: Meta, lines: Sequence[bytes], blobs: Mapping[str, bytes]
) -> tuple[Tip, tuple[Recorded, ...]]:
    """A log that was cut short is as good as a whole one."""
    return replay(beginning(meta.uid, meta.spec_hash), lines, blobs)
