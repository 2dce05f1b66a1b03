"""Reading a log back from ConfigMaps, while it moves on, is damaged, or cannot be reached."""

from __future__ import annotations

import pytest

from kipu.core.errors import CorruptionError, TransientError
from kipu.eventlog import chunks
from kipu.eventlog.answers import identity
from kipu.eventlog.ports import LogMissing
from kipu.eventlog.requests import TRIES_MAX
from tests.eventlog.contract import accepted, large_definition
from tests.eventlog.samples import STREAM, claim, scheduled
from tests.eventlog.store import Fault, Request, Store
from tests.eventlog.writer import (
    HEAD,
    Writer,
    after_missing_chunk,
    names,
    object_of,
    rewrite,
    rolled,
    run_now,
)

# -- opening ---------------------------------------------------------------------------------------------------


async def test_opening_reads_the_head_and_each_chunk_once(writer: Writer) -> None:
    await rolled(writer, chunk_count=3)
    writer.meets()
    await writer.read()
    assert writer.verbs == ["get"] * 4
    assert len({request.name for request in writer.client.requests}) == 4


async def test_a_chunk_that_is_gone_is_corruption(store: Store, writer: Writer) -> None:
    head = await rolled(writer)
    del store.objects[STREAM.namespace, head.chunks[0].name]
    with pytest.raises(CorruptionError, match=f"chunk {head.chunks[0].name} is gone"):
        await writer.read()


async def test_a_head_that_moves_on_while_its_chunks_are_read_is_read_again(store: Store, writer: Writer) -> None:
    head = await rolled(writer)
    hidden = store.objects.pop((STREAM.namespace, head.chunks[1].name))

    def move_on() -> None:
        store.objects[STREAM.namespace, head.chunks[1].name] = hidden
        run_now(store, head, scheduled("moved on"))

    writer.client.before = after_missing_chunk(head.chunks[1].name, move_on)
    assert (await writer.read())[-1] == scheduled("moved on")


async def test_a_head_that_never_rests_is_left_for_later(store: Store, writer: Writer) -> None:
    head = await rolled(writer)
    del store.objects[STREAM.namespace, head.chunks[1].name]
    heads = [head]

    def move_on(request: Request) -> None:
        if request.name == HEAD:
            heads.append(run_now(store, heads[-1], scheduled()))

    writer.client.before = move_on
    with pytest.raises(TransientError, match="moved on"):
        await writer.read()


async def test_a_head_that_vanishes_while_it_is_read_is_missing(store: Store, writer: Writer) -> None:
    head = await rolled(writer)
    del store.objects[STREAM.namespace, head.chunks[1].name]
    writer.client.before = after_missing_chunk(head.chunks[1].name, store.objects.clear)
    with pytest.raises(LogMissing):
        await writer.read()


async def test_a_store_that_cannot_be_read_is_no_corruption(writer: Writer) -> None:
    await rolled(writer)
    writer.meets(*[Fault.UNAVAILABLE] * TRIES_MAX)
    with pytest.raises(TransientError):
        await writer.read()
    writer.meets(Fault.NONE, *[Fault.UNAVAILABLE] * TRIES_MAX * 2)
    with pytest.raises(TransientError):
        await writer.read()
    writer.meets(Fault.NONE, Fault.ANSWER_LOST, Fault.BUSY)
    assert len(await writer.read()) > 2


async def test_a_read_that_is_forbidden_is_told_at_once(writer: Writer) -> None:
    await writer.begin()
    writer.meets(Fault.FORBIDDEN)
    with pytest.raises(TransientError, match="may not"):
        await writer.read()
    assert writer.verbs == ["get"]


@pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": {"uid": "u"}}, {"metadata": []}])
def test_an_answer_that_holds_no_object_is_unclear(body: dict[str, object]) -> None:
    with pytest.raises(TransientError, match="holds no object"):
        identity(body)


async def test_a_blob_that_is_gone_or_changed_is_corruption(store: Store, writer: Writer) -> None:
    head = await writer.begin()
    await writer.append(head, accepted(large_definition(1_000)))
    (name,) = names(store, "kipu-blob")
    other = chunks.pack(b"{}")
    object_of(store, name).update(data={"digest": chunks.sha256(other)}, binaryData={"blob": chunks.to_text(other)})
    with pytest.raises(CorruptionError, match="blob"):
        await writer.read()
    with pytest.raises(CorruptionError, match="blob"):
        await writer.append(head, accepted(large_definition(1_000)))
    del store.objects[STREAM.namespace, name]
    with pytest.raises(CorruptionError, match="is gone"):
        await writer.read()


async def test_a_field_that_a_later_release_adds_to_meta_is_left_alone(store: Store, writer: Writer) -> None:
    await writer.begin()
    rewrite(store, addedLater="x")
    assert await writer.read() == [claim()]


async def test_another_workflows_head_under_our_name_is_corruption(store: Store, writer: Writer) -> None:
    await writer.begin()
    rewrite(store, uid="4a1f0a52-0000-4000-8000-00000000dead")
    with pytest.raises(CorruptionError, match="belongs to"):
        await writer.read()
