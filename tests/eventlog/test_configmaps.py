"""The ConfigMap log on a store that refuses, forgets and answers late; each case of the ambiguity table."""

from __future__ import annotations

import copy
import json
import random

import pytest

from kipu.core.definition import Definition, Step
from kipu.core.errors import TransientError
from kipu.eventlog import chunks, configmaps
from kipu.eventlog.chunks import BLOB_BYTES_MAX, PACKED_BYTES_MAX, TAIL_BYTES_GROWN_MAX, TAIL_BYTES_MAX
from kipu.eventlog.codec import UnknownEvent
from kipu.eventlog.ports import ConcurrencyConflict, LogFull, LogMissing, LogWriteRefused
from kipu.eventlog.requests import TRIES_MAX, WAIT_SECONDS_FIRST
from tests.eventlog.contract import accepted, large_definition
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, scheduled
from tests.eventlog.store import Fault, Store
from tests.eventlog.writer import (
    HEAD,
    Writer,
    fill,
    names,
    object_of,
    once,
    rewrite,
    run_now,
)

# -- the objects -----------------------------------------------------------------------------------------------


async def test_every_object_is_labelled_owned_and_named_by_the_uid(store: Store, writer: Writer) -> None:
    await writer.begin(claim(), accepted(large_definition(1_000)), *[scheduled() for _ in range(40)])
    assert len(names(store, HEAD)) == 2
    assert len(names(store, f"kipu-blob-{STREAM.uid}-")) == 1
    for manifest in store.objects.values():
        metadata = manifest["metadata"]
        assert metadata["labels"] == {
            "app.kubernetes.io/managed-by": "kipu",
            "kipu.dev/workflow-uid": STREAM.uid,
            "kipu.dev/component": "log",
        }
        (owner,) = metadata["ownerReferences"]
        assert (owner["apiVersion"], owner["kind"]) == ("kipu.dev/v1alpha1", "Workflow")
        assert (owner["name"], owner["uid"], owner["controller"]) == (STREAM.name, STREAM.uid, False)
        assert manifest.get("immutable", False) is (metadata["name"] != HEAD)


async def test_nobody_keeps_books_on_the_head_whatever_wrote_it_before(store: Store, writer: Writer) -> None:
    """Who manages which field of it would be worked out anew at each commit, for one writer."""
    head = await writer.append(await writer.begin(claim()))
    assert "managedFields" not in object_of(store, HEAD)["metadata"]
    object_of(store, HEAD)["metadata"]["managedFields"] = [{"manager": "an older release"}]
    await writer.append(head)
    assert "managedFields" not in object_of(store, HEAD)["metadata"]


async def test_the_head_says_in_plain_words_where_the_stream_ends(store: Store, writer: Writer) -> None:
    head = await writer.append(await writer.begin(claim(writer="me")))
    data = object_of(store, HEAD)["data"]
    meta = json.loads(data["meta"])
    assert {key: meta[key] for key in ("generation", "position", "hash", "epoch", "ts", "writer", "specHash")} == {
        "generation": 2,
        "position": 2,
        "hash": head.hash,
        "epoch": 1,
        "ts": TS,
        "writer": "me",
        "specHash": SPEC_HASH,
    }
    assert [json.loads(line)["type"] for line in data["tail"].splitlines()] == ["StreamClaimed", "StepScheduled"]


# -- what it costs ---------------------------------------------------------------------------------------------


async def test_a_steady_append_is_one_request_of_about_the_heads_size(store: Store, writer: Writer) -> None:
    head = await writer.begin()
    writer.meets()
    await writer.append(head)
    (request,) = writer.client.requests
    assert request.verb == "patch"
    data = object_of(store, HEAD)["data"]
    assert request.body_bytes < 1.15 * sum(len(text) for text in data.values()) + 600  # quotes are escaped; the tests


async def test_the_first_commit_of_a_small_workflow_is_one_request(writer: Writer) -> None:
    await writer.begin(claim(), accepted(large_definition(5)), *[scheduled() for _ in range(5)])
    assert writer.verbs == ["create"]


async def test_the_tail_rolls_one_byte_past_its_bound(writer: Writer) -> None:
    head, record_bytes = await fill(writer, but=1)
    room = TAIL_BYTES_MAX - len(head.tail) - record_bytes
    job = scheduled().job + "x" * room
    for bytes_more, chunk_count in ((1, 1), (0, 0)):  # the first attempt is lost with its writer
        other = Writer(copy.deepcopy(writer.client.store), "other")
        after = await other.append(head, scheduled(job + "x" * bytes_more))
        assert len(after.chunks) == chunk_count
        assert len(after.tail) == (record_bytes + room + 1 if bytes_more else TAIL_BYTES_MAX)
        assert [chunk.last for chunk in after.chunks] == [head.position] * chunk_count
        assert len(await other.read()) == after.position


async def test_an_oversized_batch_goes_whole_into_a_chunk(writer: Writer) -> None:
    head = await writer.begin()
    events = [scheduled(f"job-{number}") for number in range(100)]
    head = await writer.append(head, *events)
    assert (head.tail, [(chunk.first, chunk.last) for chunk in head.chunks]) == (b"", [(1, 101)])
    head = await writer.append(head)
    assert await writer.read() == [claim(), *events, scheduled()]


# -- ambiguous answers -----------------------------------------------------------------------------------------

NOT_DONE = [Fault.REQUEST_LOST, Fault.CONFLICT, Fault.BUSY, Fault.ERROR, Fault.UNAVAILABLE]
DONE = [Fault.ANSWER_LOST, Fault.BUSY_DONE, Fault.ERROR_DONE]


@pytest.mark.parametrize("fault", DONE)
async def test_a_commit_whose_answer_is_lost_is_found_and_not_sent_again(writer: Writer, fault: Fault) -> None:
    writer.meets(fault)
    head = await writer.begin()
    assert writer.verbs == ["create", "get"]
    writer.meets(fault)
    head = await writer.append(head)
    assert writer.verbs == ["patch", "get"]
    await writer.append(head)
    assert await writer.read() == [claim(), scheduled(), scheduled()]
    assert writer.waits == []


@pytest.mark.parametrize("fault", NOT_DONE)
async def test_a_commit_that_did_not_happen_is_sent_again(writer: Writer, fault: Fault) -> None:
    writer.meets(fault)
    head = await writer.begin()
    assert writer.verbs == ["create", "get", "create"]
    writer.meets(fault, Fault.NONE, fault)
    await writer.append(head)
    assert writer.verbs == ["patch", "get", "patch", "get", "patch"]
    assert await writer.read() == [claim(), scheduled()]


@pytest.mark.parametrize("delay", range(5))
async def test_a_request_that_lands_late_commits_once(store: Store, writer: Writer, delay: int) -> None:
    writer.client.delay_requests = delay
    writer.meets(Fault.DELAYED)
    head = await writer.begin()
    writer.meets(Fault.DELAYED)
    head = await writer.append(head)
    store.settle()
    await writer.append(head, scheduled("next"))
    assert await writer.read() == [claim(), scheduled(), scheduled("next")]


async def test_a_late_request_that_lands_before_the_resend_is_recognised(store: Store, writer: Writer) -> None:
    writer.client.delay_requests = 1  # after the look that found nothing, before the resend
    writer.meets(Fault.DELAYED)
    head = await writer.begin()
    assert writer.verbs == ["create", "get", "create", "get"]
    writer.meets(Fault.DELAYED)
    await writer.append(head)
    assert writer.verbs == ["patch", "get", "patch", "get"]
    assert await writer.read() == [claim(), scheduled()]


async def test_waits_double_between_a_half_and_the_whole(store: Store) -> None:
    for jitter, share in ((0.0, 0.5), (1.0, 1.0)):
        writer = Writer(Store(), jitter=jitter)
        head = await writer.begin()
        writer.meets(*[Fault.UNAVAILABLE, Fault.NONE] * (TRIES_MAX - 1))
        await writer.append(head)
        assert writer.waits == [WAIT_SECONDS_FIRST * 2**n * share for n in range(TRIES_MAX - 1)]


async def test_tries_are_bounded(writer: Writer) -> None:
    head = await writer.begin()
    writer.meets(*[Fault.UNAVAILABLE, Fault.NONE] * TRIES_MAX)
    with pytest.raises(TransientError, match="503"):
        await writer.append(head)
    assert writer.verbs == ["patch", "get"] * TRIES_MAX
    writer.meets(Fault.REQUEST_LOST, *[Fault.ERROR] * TRIES_MAX)
    with pytest.raises(TransientError, match="cannot be read"):
        await writer.append(head)
    assert writer.verbs == ["patch", *["get"] * TRIES_MAX]
    assert await writer.read() == [claim()]


async def test_a_lost_race_is_told_from_a_lost_answer(store: Store, writer: Writer) -> None:
    head = await writer.begin()
    writer.client.before = once("patch", lambda: run_now(store, head, scheduled("other")))
    writer.meets(Fault.REQUEST_LOST)
    with pytest.raises(ConcurrencyConflict, match="position 2"):
        await writer.append(head)
    assert await writer.read() == [claim(), scheduled("other")]


async def test_a_touched_head_is_a_lost_race_though_its_digest_is_the_same(store: Store, writer: Writer) -> None:
    head = await writer.begin()
    store.patch(STREAM.namespace, HEAD, [{"op": "replace", "path": "/metadata/labels", "value": {}}])
    with pytest.raises(ConcurrencyConflict):
        await writer.append(head)


async def test_a_repeated_resource_version_does_not_fool_the_guard(store: Store, writer: Writer) -> None:
    """As after a restore of etcd: the same uid and resourceVersion over other content."""
    head = await writer.begin()
    after = await writer.append(head, scheduled("lost by the restore"))
    object_of(store, HEAD)["data"] = dict(
        chunks.seal(chunks.unseal(object_of(store, HEAD)["data"], workflow_uid=STREAM.uid)[0], b"{}\n")
    )
    with pytest.raises(ConcurrencyConflict):
        await writer.append(after)


# -- refusals --------------------------------------------------------------------------------------------------


async def test_a_refusal_with_no_guard_changed_is_told_at_once(writer: Writer) -> None:
    writer.meets(Fault.REFUSED)
    with pytest.raises(LogWriteRefused, match="a policy does not like it"):
        await writer.begin()
    head = await writer.begin()
    writer.meets(Fault.REFUSED)
    with pytest.raises(LogWriteRefused, match="a policy does not like it"):
        await writer.append(head)
    assert writer.verbs == ["patch", "get"]
    await writer.append(head)


async def test_too_large_is_for_good_and_never_tried_again(writer: Writer) -> None:
    head = await writer.begin()
    for events in ([scheduled()], [scheduled()] * 100, [accepted(large_definition(1_000))]):
        writer.meets(Fault.TOO_LARGE)
        with pytest.raises(LogFull, match="request is too large"):
            await writer.append(head, *events)
        assert len(writer.client.requests) == 1
    assert await writer.read() == [claim()]


async def test_a_head_that_is_gone_is_never_replaced(store: Store, writer: Writer) -> None:
    head = await writer.begin()
    del store.objects[STREAM.namespace, HEAD]
    with pytest.raises(LogMissing, match="gone"):
        await writer.append(head)
    assert not store.objects
    await Writer(store, "other").begin()
    with pytest.raises(LogMissing, match="anew"):
        await writer.append(head)


async def test_a_head_that_was_there_a_moment_ago_is_not_begun_again(store: Store, writer: Writer) -> None:
    await Writer(store, "other").begin()
    writer.client.before = once("get", store.objects.clear)
    with pytest.raises(LogMissing, match="gone"):
        await writer.begin()
    assert not store.objects


async def test_a_head_that_may_not_be_created_is_a_refusal(writer: Writer) -> None:
    writer.meets(Fault.QUOTA)
    with pytest.raises(LogWriteRefused, match="exceeded quota"):
        await writer.begin()


# -- quota -----------------------------------------------------------------------------------------------------


async def test_a_quota_never_blocks_a_commit(store: Store, writer: Writer) -> None:
    head, record_bytes = await fill(writer)
    writer.meets(Fault.QUOTA)
    head = await writer.append(head)
    assert "exceeded quota" in head.refusal
    assert (writer.verbs, len(head.chunks)) == (["create", "patch"], 0)
    writer.meets()
    before = head
    head = await writer.append(head)
    assert writer.verbs == ["patch"]  # the store is not asked again with every append
    while not head.chunks:
        before, head = head, await writer.append(head)
    assert 0 <= before.tail_bytes_max - len(before.tail) < record_bytes
    assert before.tail_bytes_max > 2 * TAIL_BYTES_MAX
    assert (head.refusal, head.tail_bytes_max) == ("", TAIL_BYTES_MAX)
    assert len(await writer.read()) == head.position


async def test_under_a_quota_the_tail_grows_to_its_bound(writer: Writer) -> None:
    head = await writer.begin()
    events = [scheduled(f"nightly-{number:010}") for number in range(100)]
    batch_bytes = 0
    while len(head.tail) + batch_bytes + 100 <= TAIL_BYTES_GROWN_MAX:  # positions get longer
        writer.meets(Fault.QUOTA)
        before, head = head, await writer.append(head, *events)
        batch_bytes = len(head.tail) - len(before.tail)
    assert not head.chunks
    writer.meets(Fault.QUOTA)
    with pytest.raises(LogWriteRefused, match="exceeded quota"):
        await writer.append(head, *events)
    assert len(head.tail) <= TAIL_BYTES_GROWN_MAX
    head = await writer.append(head, *events)
    assert (len(head.tail), len(head.chunks)) == (0, 1)
    assert len(await writer.read()) == head.position


@pytest.mark.parametrize("fault", [*NOT_DONE, *DONE, Fault.QUOTA_CONTENDED, Fault.DELAYED])
async def test_staging_outlives_unclear_answers(store: Store, writer: Writer, fault: Fault) -> None:
    head = await writer.begin()
    writer.meets(fault)
    head = await writer.append(head, *[scheduled(f"job-{number}") for number in range(100)])
    writer.meets(fault)
    definition = large_definition(1_000)
    await writer.append(head, accepted(definition))
    store.settle()
    assert len(names(store, "kipu-blob")) == 1
    assert (await writer.read())[-1] == accepted(definition)


async def test_staging_is_bounded(writer: Writer) -> None:
    head = await writer.begin()
    for events in ([scheduled()] * 100, [accepted(large_definition(1_000))]):
        writer.meets(*[Fault.UNAVAILABLE] * TRIES_MAX)
        with pytest.raises(TransientError, match="tries to store"):
            await writer.append(head, *events)
        assert writer.verbs == ["create"] * TRIES_MAX
    writer.meets(Fault.QUOTA)
    with pytest.raises(LogWriteRefused, match="exceeded quota"):
        await writer.append(head, accepted(large_definition(1_000)))
    assert await writer.read() == [claim()]


@pytest.mark.parametrize(
    "text",
    ["x" * BLOB_BYTES_MAX, random.Random(1).randbytes(PACKED_BYTES_MAX).hex()],
    ids=["too long", "too dense"],
)
async def test_a_definition_that_no_configmap_holds_ends_the_run(writer: Writer, text: str) -> None:
    with pytest.raises(LogFull, match="does not fit"):
        await writer.begin(claim(), accepted(Definition(steps=(Step(name="a", pod={"args": [text]}),))))
    assert writer.client.requests == []


async def test_past_its_last_chunk_the_log_is_full_and_says_what_to_do(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configmaps, "CHUNKS_MAX", 5)
    head = await writer.begin()
    while len(head.chunks) < 5:
        head = await writer.append(head, *[scheduled() for _ in range(30)])
    with pytest.raises(LogFull, match="split the workflow"):
        await writer.append(head, *[scheduled() for _ in range(30)])
    head = await writer.append(head)  # the tail still has room to end the run
    assert len(await writer.read()) == head.position


# -- the future ------------------------------------------------------------------------------------------------


async def test_a_log_of_the_future_is_not_read_and_not_written(store: Store, writer: Writer) -> None:
    head = await writer.begin()
    rewrite(store, minReader=2)
    with pytest.raises(UnknownEvent, match="reader of version 2"):
        await writer.read()
    with pytest.raises(UnknownEvent):
        await writer.append(head)
