"""The generation rule: what may be deleted, and that nothing that any head can name ever is."""

from __future__ import annotations

import copy

import pytest

from kipu.core.errors import CorruptionError
from kipu.eventlog import configmaps
from kipu.eventlog.chunks import Meta, unseal
from kipu.eventlog.configmaps import ConfigMapHead
from kipu.eventlog.merging import MERGE_WIDTH
from kipu.eventlog.objects import blob_name, chunk_name, generation_of, head_name, selector
from kipu.eventlog.ports import ConcurrencyConflict, ObjectName, StreamId
from kipu.eventlog.sweeping import SWEEP_DELETES_MAX, dead
from tests.eventlog.contract import accepted, large_definition
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, scheduled
from tests.eventlog.store import Fault, Store
from tests.eventlog.writer import HEAD, Writer, names, object_of, once, rolled, run_now

NAMESAKE = StreamId(namespace=STREAM.namespace, name=STREAM.name, uid="4a1f0a52-0000-4000-8000-00000000000f")


def meta_of(store: Store) -> Meta:
    return unseal(object_of(store, HEAD)["data"], workflow_uid=STREAM.uid)[0]


def is_dead(store: Store, name: str) -> bool:
    return bool(dead(STREAM, meta_of(store), [ObjectName(name=name, uid="u")]))


# -- the rule --------------------------------------------------------------------------------------------------


async def test_a_chunk_that_no_head_can_name_any_more_is_dead(store: Store, writer: Writer) -> None:
    head = await rolled(writer)
    assert is_dead(store, chunk_name(STREAM, head.generation, "other"))
    assert is_dead(store, chunk_name(STREAM, 1, "other"))
    assert not is_dead(store, chunk_name(STREAM, head.generation + 1, "other"))  # of a commit under way
    assert not any(is_dead(store, chunk.name) for chunk in head.chunks)


async def test_nothing_but_a_chunk_of_this_stream_is_ever_dead(store: Store, writer: Writer) -> None:
    await rolled(writer)
    for name in (
        head_name(STREAM),
        blob_name(STREAM, "0" * 64),
        chunk_name(NAMESAKE, 1, "w"),
        f"{head_name(STREAM)}-",
        f"{head_name(STREAM)}-1",
        f"{head_name(STREAM)}-x-1",
        f"{head_name(STREAM)}-²-1",
        "1-1",
    ):
        assert not is_dead(store, name)


def test_a_chunks_name_tells_its_generation() -> None:
    assert generation_of(STREAM, chunk_name(STREAM, 17, "ab-c")) == 17
    assert generation_of(STREAM, chunk_name(STREAM, 10**11, "x")) == 10**11


# -- the sweep -------------------------------------------------------------------------------------------------


async def merged(writer: Writer) -> ConfigMapHead:
    """A log in which 7 chunks have just been superseded."""
    head = await rolled(writer, chunk_count=7)
    while len(head.chunks) > 1:
        head = await writer.append(head)
    assert head.superseded == 7
    return head


async def test_a_sweep_deletes_what_a_merge_has_superseded(store: Store, writer: Writer) -> None:
    head = await merged(writer)
    records = await writer.read()
    writer.meets()
    assert await writer.log.sweep(STREAM, head) == 7
    assert writer.verbs == ["list", "get", *["delete"] * 7]
    assert len(names(store, HEAD)) == 2
    assert await writer.read() == records
    assert await writer.log.sweep(STREAM, head) == 0


async def test_a_sweep_leaves_blobs_and_namesakes_alone(store: Store, writer: Writer) -> None:
    other = Writer(store, "namesake")
    await other.log.append(NAMESAKE, None, [scheduled() for _ in range(100)], ts=TS, spec_hash=SPEC_HASH)
    head = await writer.append(await writer.begin(), accepted(large_definition(1_000)))
    forgotten = blob_name(STREAM, "f" * 64)
    manifest = copy.deepcopy(object_of(store, names(store, "kipu-blob")[0]))
    manifest["metadata"]["name"] = forgotten
    store.create(STREAM.namespace, manifest)
    before = set(store.objects)
    assert await writer.log.sweep(STREAM, head) == 0
    assert set(store.objects) == before


async def test_the_chunk_of_a_lost_race_is_swept_once_its_generation_is_reached(store: Store, writer: Writer) -> None:
    head = await rolled(writer, chunk_count=1)
    writer.client.before = once("patch", lambda: run_now(store, head, scheduled("winner")))
    with pytest.raises(ConcurrencyConflict):
        await writer.append(head, *[scheduled() for _ in range(40)])
    (loser,) = set(names(store, f"{HEAD}-")) - {head.chunks[0].name}
    history = await writer.log.load(STREAM)
    assert history is not None
    assert await writer.log.sweep(STREAM, history.head) == 1
    assert loser not in names(store, HEAD)


@pytest.mark.parametrize("verb", ["create", "patch"])
async def test_a_sweep_between_staging_and_commit_takes_nothing_from_it(
    store: Store, writer: Writer, verb: str
) -> None:
    """Another replica sweeps while our chunk is stored and not named yet, or just before it is stored."""
    head = await rolled(writer, chunk_count=1)
    sweeps: list[int] = []

    def sweep() -> None:
        sweeping = Writer(store, "sweeper").log.sweep(STREAM, head)
        try:
            sweeping.send(None)
        except StopIteration as done:
            sweeps.append(done.value)

    writer.client.before = once(verb, sweep)
    after = await writer.append(head, *[scheduled() for _ in range(40)])
    assert sweeps == [0]
    assert len(await writer.read()) == after.position


async def test_a_sweep_by_an_older_head_of_ours_takes_only_what_the_newest_does_not_name(
    store: Store, writer: Writer
) -> None:
    old = await rolled(writer, chunk_count=7)
    head = old
    while len(head.chunks) > 1:
        head = await writer.append(head)
    assert await Writer(store, "zombie").log.sweep(STREAM, old) == 7
    assert len(await writer.read()) == head.position


async def test_after_a_restore_of_an_older_state_a_sweep_by_the_lost_future_touches_nothing(
    store: Store, writer: Writer
) -> None:
    """It would delete just the chunks that the restored head still names."""
    old = await rolled(writer, chunk_count=7)
    backup = copy.deepcopy(store.objects)
    head = old
    while len(head.chunks) > 1:
        head = await writer.append(head)
    store.objects = backup
    assert await writer.log.sweep(STREAM, head) == 0
    assert len(await writer.read()) == old.position


@pytest.mark.parametrize("change", ["gone", "anew", "broken"])
async def test_a_sweep_of_a_log_that_is_not_ours_any_more_touches_nothing(
    store: Store, writer: Writer, change: str
) -> None:
    head = await merged(writer)
    if change == "broken":
        object_of(store, HEAD)["data"]["tail"] += "x"
    else:
        del store.objects[STREAM.namespace, HEAD]
    if change == "anew":
        await Writer(store, "other").begin()
    before = set(store.objects)
    assert await writer.log.sweep(STREAM, head) == 0
    assert set(store.objects) == before
    if change == "broken":
        with pytest.raises(CorruptionError):
            await writer.read()


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.UNAVAILABLE, Fault.ANSWER_LOST, Fault.REQUEST_LOST])
@pytest.mark.parametrize("place", range(4))
async def test_a_sweep_gives_way_to_any_refusal_and_the_next_one_ends_it(
    store: Store, writer: Writer, fault: Fault, place: int
) -> None:
    """The list, the head, the first and the second delete."""
    head = await merged(writer)
    writer.meets(*[Fault.NONE] * place, fault)
    first = await writer.log.sweep(STREAM, head)
    assert first <= 7
    writer.meets()
    await writer.log.sweep(STREAM, head)
    assert len(names(store, HEAD)) == 2
    assert len(await writer.read()) == head.position


async def test_a_sweep_passes_over_what_is_gone_already(store: Store, writer: Writer) -> None:
    head = await merged(writer)
    name = names(store, f"{HEAD}-")[0]
    writer.client.before = once("delete", lambda: store.objects.pop((STREAM.namespace, name)))
    assert await writer.log.sweep(STREAM, head) == 6


async def test_a_sweep_never_takes_an_object_that_was_made_anew_under_the_name(store: Store, writer: Writer) -> None:
    head = await merged(writer)
    name = names(store, f"{HEAD}-")[0]

    def replace() -> None:
        manifest = store.objects.pop((STREAM.namespace, name))
        store.create(STREAM.namespace, manifest)

    writer.client.before = once("delete", replace)
    assert await writer.log.sweep(STREAM, head) == 6
    assert name in names(store, HEAD)


async def test_a_sweep_is_bounded(store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SWEEP_DELETES_MAX >= 1 + 2 * MERGE_WIDTH
    monkeypatch.setattr(configmaps, "SWEEP_DELETES_MAX", 4)
    head = await merged(writer)
    assert [await writer.log.sweep(STREAM, head) for _ in range(3)] == [4, 3, 0]


async def test_a_sweep_asks_for_just_the_objects_of_one_log(store: Store, writer: Writer) -> None:
    head = await merged(writer)
    writer.meets()
    await writer.log.sweep(STREAM, head)
    assert writer.client.requests[0].name == selector(STREAM)
    assert selector(STREAM) == f"kipu.dev/workflow-uid={STREAM.uid},kipu.dev/component=log"
