"""What a damaged log still proves: the longest beginning that something vouches for, and never a guess."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from kipu.core.definition_json import to_json
from kipu.core.events import Event, StepExpanded, WorkflowAccepted
from kipu.eventlog import chunks
from kipu.eventlog.codec import UnknownEvent, canonical
from kipu.eventlog.configmaps import ConfigMapHead
from kipu.eventlog.remains import Remains, recover
from tests.eventlog.contract import large_definition
from tests.eventlog.samples import SPEC_HASH, STREAM, claim, scheduled
from tests.eventlog.store import Store
from tests.eventlog.writer import HEAD, Writer, names, object_of, rewrite, rolled

Witness = tuple[int, str] | None


def left(
    store: Store, *, witness: Witness = None, blobs: dict[str, bytes] | None = None, said: str = "other"
) -> Remains:
    objects = {name: body for (_, name), body in store.objects.items()}
    return recover(STREAM, objects, spec_hash=said, witness=witness, blobs=blobs or {})


def position(remains: Remains) -> int:
    assert len(remains.history.records) == remains.history.head.position
    return remains.history.head.position


async def hashes(writer: Writer) -> list[str]:
    history = await writer.log.load(STREAM)
    assert history is not None
    return [record.hash for record in history.records]


def delete(store: Store, name: str) -> None:
    del store.objects[STREAM.namespace, name]


def again(store: Store, name: str, new_name: str) -> dict[str, Any]:
    """A copy of an object under another name."""
    store.objects[STREAM.namespace, new_name] = copy.deepcopy(object_of(store, name))
    return object_of(store, new_name)


def holding(lines: list[bytes]) -> dict[str, str]:
    return {"records": chunks.to_text(chunks.pack(b"".join(line + b"\n" for line in lines)))}


async def three_chunks(writer: Writer) -> ConfigMapHead:
    """Accepted, three chunks, and something in the tail."""
    head = await writer.append(await rolled(writer, chunk_count=3))
    assert head.tail
    return head


# -- with a sound head ---------------------------------------------------------------------------------------


async def test_of_a_sound_log_everything_is_left(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    remains = left(store)
    assert (position(remains), remains.history.head.hash, remains.of) == (head.position, head.hash, None)
    assert remains.spec_hash == SPEC_HASH


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_of_a_log_that_lacks_a_chunk_the_records_before_it_are_left(
    store: Store, writer: Writer, lost: int
) -> None:
    head = await three_chunks(writer)
    delete(store, head.chunks[lost].name)
    remains = left(store)
    assert position(remains) == head.chunks[lost].first - 1
    assert remains.of == head.position


async def test_a_chunk_that_was_made_anew_with_another_content_ends_it(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    first, second = (object_of(store, chunk.name) for chunk in head.chunks[:2])
    second["binaryData"] = first["binaryData"]
    assert position(left(store)) == head.chunks[0].last


async def test_a_log_that_ends_before_its_witness_is_left_whole(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    remains = left(store, witness=(head.position + 5, "ab" * 32))
    assert (position(remains), remains.of, remains.whole) == (head.position, head.position + 5, False)


async def test_a_tail_that_was_cut_and_sealed_anew_is_not_believed(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    object_of(store, HEAD)["data"]["tail"] = ""
    rewrite(store)
    remains = left(store)
    assert (position(remains), remains.of) == (head.chunks[-1].last, head.position)


async def test_an_index_that_contradicts_its_chunks_is_not_believed(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    meta = json.loads(object_of(store, HEAD)["data"]["meta"])
    meta["chunks"].pop(0)
    rewrite(store, chunks=meta["chunks"])
    assert position(left(store)) == head.chunks[-1].last  # found by their names


# -- without one ---------------------------------------------------------------------------------------------


async def test_without_a_head_the_chunks_are_left_and_the_rest_is_counted_by_the_witness(
    store: Store, writer: Writer
) -> None:
    head = await three_chunks(writer)
    before = await hashes(writer)
    delete(store, HEAD)
    remains = left(store, witness=(head.position, head.hash), said=SPEC_HASH)
    assert (position(remains), remains.of) == (head.chunks[-1].last, head.position)
    assert remains.history.head.hash == before[head.chunks[-1].last - 1]


async def test_without_a_head_and_a_witness_nobody_knows_how_much_there_was(store: Store, writer: Writer) -> None:
    await three_chunks(writer)
    delete(store, HEAD)
    assert left(store).of is None


async def test_of_a_changed_head_the_tail_is_left_as_far_as_the_witness_has_seen(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    seen = await writer.append(head)
    await writer.append(seen)
    data = object_of(store, HEAD)["data"]
    data["digest"] = "0" * 64
    assert position(left(store, said=SPEC_HASH)) == head.chunks[-1].last
    remains = left(store, witness=(seen.position, seen.hash), said=SPEC_HASH)
    assert (position(remains), remains.history.head.hash) == (seen.position, seen.hash)


async def test_a_changed_record_in_a_changed_head_is_not_believed(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    data = object_of(store, HEAD)["data"]
    data["tail"] = data["tail"].replace("load", "lood", 1)
    remains = left(store, witness=(head.position, head.hash), said=SPEC_HASH)
    assert position(remains) == 0  # what the status has seen is not there, and nothing says where it begins


async def test_a_merged_chunk_is_taken_before_those_that_it_replaced(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    history = await writer.log.load(STREAM)
    lines: list[bytes] = []
    for chunk in head.chunks:
        lines += chunks.open_unindexed(chunk.name, object_of(store, chunk.name)["binaryData"])
    again(store, head.chunks[0].name, f"{HEAD}-{head.generation + 1:010}-merged")["binaryData"] = holding(lines)
    delete(store, HEAD)
    delete(store, head.chunks[1].name)
    remains = left(store, said=SPEC_HASH)
    assert history is not None
    assert remains.history.records == history.records[: head.chunks[-1].last]


async def test_a_chunk_whose_answer_was_lost_and_its_second_try_are_one(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    again(store, head.chunks[1].name, f"{head.chunks[1].name}x")
    delete(store, HEAD)
    assert position(left(store, said=SPEC_HASH)) == head.chunks[-1].last


async def test_of_two_chunks_that_go_on_differently_none_is_taken(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    other = again(store, head.chunks[1].name, f"{head.chunks[1].name}x")
    lines = chunks.open_unindexed("", other["binaryData"])
    other["binaryData"] = holding(lines[:-1])
    delete(store, HEAD)
    assert position(left(store, said=SPEC_HASH)) == head.chunks[0].last


async def test_what_is_no_chunk_is_left_out_of_account(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    for name in (f"{HEAD}-backup", f"{HEAD}-00000000x1-a", "settings"):
        again(store, head.chunks[0].name, name)
    again(store, head.chunks[0].name, f"{HEAD}-9999999999-torn")["binaryData"] = {"records": "AAAA"}
    again(store, head.chunks[0].name, f"{HEAD}-9999999999-other")["binaryData"] = holding([b"no record"])
    delete(store, HEAD)
    assert position(left(store, said=SPEC_HASH)) == head.chunks[-1].last


async def test_of_nothing_nothing_is_left(store: Store) -> None:
    assert position(left(store)) == 0


# -- the definition, and the future --------------------------------------------------------------------------


async def accepted(writer: Writer, *more: Event) -> ConfigMapHead:
    return await writer.begin(
        claim(), WorkflowAccepted(run=1, spec_hash=SPEC_HASH, definition=large_definition(60)), *more
    )


async def test_a_lost_blob_ends_it_unless_it_can_be_made_anew(store: Store, writer: Writer) -> None:
    head = await accepted(writer, *[scheduled() for _ in range(40)])
    assert head.chunks
    (name,) = names(store, "kipu-blob-")
    delete(store, name)
    assert position(left(store)) == 1
    blob = canonical(to_json(large_definition(60)))
    remains = left(store, blobs={chunks.sha256(blob): blob})
    assert (position(remains), remains.whole) == (head.position, True)


async def test_items_in_a_blob_are_read_from_it_and_end_it_if_it_is_lost(store: Store, writer: Writer) -> None:
    items = tuple(f"item-{number}" for number in range(2_000))
    expanded = StepExpanded(run=1, step="shard", count=2_000, items=items)
    head = await writer.begin(claim(), expanded, *[scheduled() for _ in range(40)])
    remains = left(store)
    assert (position(remains), remains.whole) == (head.position, True)
    assert remains.history.records[1].event == expanded
    (name,) = names(store, "kipu-blob-")
    object_of(store, name)["binaryData"]["blob"] = chunks.to_text(chunks.pack(b"[]"))
    assert position(left(store)) == 1
    delete(store, name)
    assert position(left(store)) == 1


async def test_the_spec_hash_is_that_which_was_recorded(store: Store, writer: Writer) -> None:
    head = await accepted(writer, *[scheduled() for _ in range(40)])
    assert head.chunks
    delete(store, HEAD)
    assert left(store, said="another").spec_hash == SPEC_HASH


async def test_a_record_that_cannot_be_read_ends_it(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    body = object_of(store, head.chunks[0].name)
    first, *_ = chunks.open_unindexed("", body["binaryData"])
    body["binaryData"] = holding([first, b"no record"])
    delete(store, HEAD)
    assert position(left(store, said=SPEC_HASH)) == 1


async def test_a_record_of_the_future_is_told_from_a_broken_one(store: Store, writer: Writer) -> None:
    head = await three_chunks(writer)
    body = object_of(store, head.chunks[1].name)
    lines = chunks.open_unindexed("", body["binaryData"])
    body["binaryData"] = holding([line.replace(b"StepScheduled", b"StepPaused") for line in lines])
    delete(store, HEAD)
    with pytest.raises(UnknownEvent):
        left(store, said=SPEC_HASH)


async def test_a_head_of_the_future_is_not_read(store: Store, writer: Writer) -> None:
    await three_chunks(writer)
    rewrite(store, minReader=99)
    with pytest.raises(UnknownEvent):
        left(store)
