"""Facts of lists, selections and watches, asked of the fake and of a real API server alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from kipu.shell.kube_http import Request
from kipu.shell.kube_resources import METADATA_ALONE
from kipu.shell.watch import JOBS, Change, list_and_watch
from tests.conformance.world import Json, World, job, labelled
from tests.fakes.nodes import Program

OURS = "app=kipu"  # a real namespace holds a ConfigMap of the cluster's own


async def _next(events: AsyncIterator[Json]) -> tuple[str, str]:
    """The next change's type and the object's name."""
    while True:
        event = await anext(events)
        if event["type"] != "BOOKMARK":
            return event["type"], event["object"]["metadata"]["name"]


# -- lists ------------------------------------------------------------------------------------------------


async def test_a_list_without_a_version_holds_the_last_write(world: World) -> None:
    for number in range(5):
        created = await world.create("configmaps", labelled(f"c{number}", app="kipu"))
        listed = await world.listed("configmaps", labelSelector=OURS)
        assert [item["metadata"]["name"] for item in listed.body["items"]] == [f"c{n}" for n in range(number + 1)]
        assert int(listed.body["metadata"]["resourceVersion"]) >= int(created.version)


async def test_a_list_of_metadata_alone_names_every_object_and_holds_no_content(world: World) -> None:
    created = [await world.create("configmaps", labelled(name, app="kipu")) for name in ("a", "b")]
    request = Request(
        method="GET",
        path=world.path("configmaps"),
        query={"labelSelector": OURS, "limit": "1"},
        accept=METADATA_ALONE,
    )
    page = json.loads((await world.transport.send(request, timeout_seconds=30)).body)
    assert (page["kind"], page["metadata"]["continue"] != "") == ("PartialObjectMetadataList", True)
    (item,) = page["items"]
    assert set(item) <= {"kind", "apiVersion", "metadata"}
    assert item["metadata"]["labels"] == {"app": "kipu"}
    named = await world.kube.list_config_maps(world.namespace, OURS)
    assert [(each.name, each.uid) for each in named] == [("a", created[0].uid), ("b", created[1].uid)]


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("x=1", ["a"]),
        ("x==1", ["a"]),
        ("x!=1", ["b", "c"]),
        ("x in (1,2)", ["a", "b"]),
        ("x notin (1, 2)", ["c"]),
        ("x", ["a", "b"]),
        ("!x", ["c"]),
        ("x,y=9", ["b"]),
        ("x in (1,2),y", ["b"]),
        ("x=3", []),
    ],
)
async def test_labels_select(world: World, selector: str, chosen: list[str]) -> None:
    await world.create("configmaps", labelled("a", app="kipu", x="1"))
    await world.create("configmaps", labelled("b", app="kipu", x="2", y="9"))
    await world.create("configmaps", labelled("c", app="kipu"))
    assert await world.names("configmaps", labelSelector=f"{OURS},{selector}") == chosen


async def test_fields_select(world: World) -> None:
    for name in ("a", "b"):
        await world.create("configmaps", labelled(name, app="kipu"))
    assert await world.names("configmaps", fieldSelector="metadata.name=b") == ["b"]
    assert await world.names("configmaps", labelSelector=OURS, fieldSelector="metadata.name!=b") == ["a"]


async def test_a_selector_that_makes_no_sense_is_refused(world: World) -> None:
    for query in ({"labelSelector": "x in (1"}, {"fieldSelector": "data.k=1"}):
        answer = await world.listed("configmaps", **query)
        assert (answer.status, answer.reason) == (400, "BadRequest")


# -- watches ----------------------------------------------------------------------------------------------


async def test_a_watch_from_a_version_tells_exactly_what_came_after_it(world: World) -> None:
    before = await world.create("configmaps", labelled("a", app="kipu"))
    await world.merge("configmaps", "a", {"data": {"k": "w"}})
    await world.create("configmaps", labelled("b", app="kipu"))
    await world.delete("configmaps", "a")
    async with world.watch("configmaps", resourceVersion=before.version, labelSelector=OURS) as events:
        assert [await _next(events) for _ in range(3)] == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
        await world.create("configmaps", labelled("c", app="kipu"))
        assert await _next(events) == ("ADDED", "c")


async def test_a_watch_without_a_version_begins_with_what_is_there(world: World) -> None:
    await world.create("configmaps", labelled("a", app="kipu"))
    async with world.watch("configmaps", labelSelector=OURS) as events:
        assert await _next(events) == ("ADDED", "a")


async def test_a_watch_resumes_after_any_version_that_it_told(world: World) -> None:
    first = await world.create("configmaps", labelled("a", app="kipu"))
    await world.create("configmaps", labelled("b", app="kipu"))
    async with world.watch("configmaps", resourceVersion=first.version, labelSelector=OURS) as events:
        event = await anext(events)
        while event["type"] == "BOOKMARK":
            event = await anext(events)
    await world.create("configmaps", labelled("c", app="kipu"))
    version = event["object"]["metadata"]["resourceVersion"]
    async with world.watch("configmaps", resourceVersion=version, labelSelector=OURS) as events:
        assert await _next(events) == ("ADDED", "c")


async def test_an_object_that_leaves_a_selection_is_deleted_from_it_as_it_was_last(world: World) -> None:
    begin = await world.create("configmaps", labelled("a", app="kipu"))
    outside = await world.merge("configmaps", "a", {"metadata": {"labels": {"app": "other"}}})
    inside = await world.merge("configmaps", "a", {"metadata": {"labels": {"app": "kipu"}}})
    async with world.watch("configmaps", resourceVersion=begin.version, labelSelector=OURS) as events:
        left, came = await anext(events), await anext(events)
    assert (left["type"], came["type"]) == ("DELETED", "ADDED")
    assert left["object"]["metadata"]["labels"] == {"app": "kipu"}
    assert left["object"]["metadata"]["resourceVersion"] == outside.version
    assert came["object"]["metadata"]["resourceVersion"] == inside.version


async def test_a_deleted_event_has_the_deletions_own_version(world: World) -> None:
    created = await world.create("configmaps", labelled("a", app="kipu"))
    await world.delete("configmaps", "a")
    after = await world.create("configmaps", labelled("b", app="kipu"))
    async with world.watch("configmaps", resourceVersion=created.version, labelSelector=OURS) as events:
        deleted = await anext(events)
    assert deleted["type"] == "DELETED"
    assert int(created.version) < int(deleted["object"]["metadata"]["resourceVersion"]) < int(after.version)


async def test_the_server_ends_a_watch_in_time_and_in_silence(world: World) -> None:
    created = await world.create("configmaps", labelled("a", app="kipu"))
    query = {"resourceVersion": created.version, "labelSelector": OURS, "timeoutSeconds": "1"}
    async with world.watch("configmaps", **query) as events:
        assert [event["type"] async for event in events if event["type"] != "BOOKMARK"] == []


async def test_a_watch_from_a_version_long_gone_is_one_error_event_and_the_end(world: World) -> None:
    """410 in its second form: the request itself is answered with 200."""
    await world.create("configmaps", labelled("a", app="kipu"))
    async with world.watch("configmaps", resourceVersion="1") as events:
        told = [event async for event in events]
    (event,) = told
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_a_bookmark_is_a_version_and_nothing_else(world: World) -> None:
    """One comes each minute, and one two seconds before the end of a watch."""
    created = await world.create("configmaps", labelled("a", app="kipu"))
    query = {"resourceVersion": created.version, "allowWatchBookmarks": "true", "timeoutSeconds": "5"}
    async with world.watch("configmaps", labelSelector=OURS, **query) as events:
        outside = await world.create("configmaps", labelled("b", app="other"))
        told = [event async for event in events]
    assert {event["type"] for event in told} == {"BOOKMARK"}
    bookmark = told[-1]
    assert bookmark["object"].keys() == {"kind", "apiVersion", "metadata"}
    assert bookmark["object"]["metadata"].keys() == {"resourceVersion"}
    version = bookmark["object"]["metadata"]["resourceVersion"]
    assert int(version) >= int(outside.version)
    async with world.watch("configmaps", labelSelector=OURS, resourceVersion=version) as events:
        await world.create("configmaps", labelled("c", app="kipu"))
        assert await _next(events) == ("ADDED", "c")


async def test_a_watch_from_the_future_says_nothing(world: World) -> None:
    """What a client sees after etcd was restored: not an error, but silence."""
    created = await world.create("configmaps", labelled("a", app="kipu"))
    future = str(int(created.version) + 1_000_000)
    async with world.watch("configmaps", resourceVersion=future, timeoutSeconds="2") as events:
        await world.create("configmaps", labelled("b", app="kipu"))
        assert [event async for event in events] == []


async def test_pods_are_told_only_once_they_are_no_longer_pending(world: World) -> None:
    listed = await world.listed("pods")
    await world.run("a", Program(run_seconds=1))
    query = {"resourceVersion": listed.version, "fieldSelector": "status.phase!=Pending"}
    seen: list[tuple[str, str]] = []
    async with world.watch("pods", **query) as events:
        while ("MODIFIED", "Succeeded") not in seen:
            event = await anext(events)
            if event["type"] != "BOOKMARK":
                seen.append((event["type"], event["object"]["status"]["phase"]))
    assert seen[0] == ("ADDED", "Running")
    assert all(phase != "Pending" for _, phase in seen)


async def test_a_pod_that_leaves_a_selection_by_its_phase_is_deleted_from_it(world: World) -> None:
    pod = await world.by_hand("a")
    await world.set_phase(pod, "Running")
    async with world.watch("pods", fieldSelector="status.phase=Running") as events:
        assert await _next(events) == ("ADDED", pod.metadata.name)
        await world.set_phase(pod, "Succeeded")
        event = await anext(events)
    assert (event["type"], event["object"]["status"]["phase"]) == ("DELETED", "Running")  # as it was last within
    assert (await world.get("pods", pod.metadata.name)).body["status"]["phase"] == "Succeeded"


# -- the client's own list and watch ----------------------------------------------------------------------


async def test_list_and_watch_tells_what_is_there_then_synced_then_changes(world: World) -> None:
    before = await world.create("jobs", job("before", Program(), suspend=True))
    feed = list_and_watch(world.kube, JOBS, namespace=world.namespace)
    seen: list[tuple[str, str]] = []

    def note(change: Change) -> None:  # type: ignore[type-arg]
        entry = change.kind, change.view.metadata.name if change.view else ""
        if entry not in seen:
            seen.append(entry)

    while ("Synced", "") not in seen:
        note(await anext(feed))
    assert seen == [("Added", "before"), ("Synced", "")]
    await world.create("jobs", job("after", Program(), suspend=True))
    await world.kube.delete_job(world.namespace, "before", before.uid)
    while ("Deleted", "before") not in seen or ("Added", "after") not in seen:
        note(await asyncio.wait_for(anext(feed), 30))
    await feed.aclose()
