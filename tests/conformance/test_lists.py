"""Facts of lists by version and page, asked of the fake and of a real API server alike."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from kipu.shell.kube_http import Request
from tests.conformance.world import Answered, World, config_map, labelled

OURS = "app=kipu"  # a real namespace holds a ConfigMap of the cluster's own
COMPACTED_SECONDS = 900.0  # twice an API server's interval: 5 minutes by default, 30 s in our local cluster


def _names(answer: Answered) -> list[str]:
    assert answer.status == 200, answer.body
    return [item["metadata"]["name"] for item in answer.body["items"]]


async def _two(world: World) -> tuple[Answered, Answered]:
    """ConfigMaps a and b, as they were created."""
    first = await world.create("configmaps", labelled("a", app="kipu"))
    return first, await world.create("configmaps", labelled("b", app="kipu"))


async def test_a_list_of_an_exact_version_shows_what_was_there_then(world: World) -> None:
    _, second = await _two(world)
    await world.delete("configmaps", "a")
    then = await world.listed(
        "configmaps", labelSelector=OURS, resourceVersion=second.version, resourceVersionMatch="Exact"
    )
    assert _names(then) == ["a", "b"]
    assert then.version == second.version
    assert await world.names("configmaps", labelSelector=OURS) == ["b"]


async def test_a_list_not_older_than_a_version_shows_at_least_that(world: World) -> None:
    _, second = await _two(world)
    for match in ({}, {"resourceVersionMatch": "NotOlderThan"}):
        answer = await world.listed("configmaps", labelSelector=OURS, resourceVersion=second.version, **match)
        assert _names(answer) == ["a", "b"]
        assert int(answer.version) >= int(second.version)


async def test_a_list_at_version_zero_may_be_stale_but_catches_up(world: World) -> None:
    await _two(world)

    async def shows_both() -> bool:
        names = _names(await world.listed("configmaps", labelSelector=OURS, resourceVersion="0"))
        assert names in ([], ["a"], ["a", "b"])
        return names == ["a", "b"]

    await world.until(shows_both)


async def test_a_list_at_version_zero_has_no_pages(world: World) -> None:
    await _two(world)

    async def is_whole() -> bool:
        answer = await world.listed("configmaps", labelSelector=OURS, resourceVersion="0", limit="1")
        assert not answer.body["metadata"].get("continue")
        return _names(answer) == ["a", "b"]

    await world.until(is_whole)


async def test_a_list_from_the_future_is_504_and_says_when_to_come_again(world: World) -> None:
    first = await world.create("configmaps", labelled("a", app="kipu"))
    future = {"resourceVersion": str(int(first.version) + 1_000_000)}
    request = Request(method="GET", path=world.path("configmaps"), query=future)
    reply = await world.transport.send(request, timeout_seconds=30)
    body = json.loads(reply.body)
    assert (reply.status, body["reason"], reply.headers["Retry-After"]) == (504, "Timeout", "1")
    assert body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersion": "0", "resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersion": "5", "resourceVersionMatch": "Nonsense"}, 422),
        ({"resourceVersion": "nonsense"}, 400),
    ],
    ids=str,
)
async def test_versions_that_make_no_sense_are_refused(world: World, query: dict[str, str], status: int) -> None:
    answer = await world.listed("configmaps", **query)
    assert (answer.status, answer.reason) == (status, "Invalid" if status == 422 else "BadRequest")


async def test_pages_are_one_consistent_list(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.create("configmaps", labelled(name, app="kipu"))
    first = await world.listed("configmaps", labelSelector=OURS, limit="2")
    await world.create("configmaps", labelled("bb", app="kipu"))
    await world.delete("configmaps", "c")
    token = first.body["metadata"]["continue"]
    second = await world.listed("configmaps", labelSelector=OURS, limit="2", **{"continue": token})
    assert [*_names(first), *_names(second)] == ["a", "b", "c"]
    assert not second.body["metadata"].get("continue")
    assert first.version == second.version


@pytest.mark.timeout(960)
async def test_an_expired_continue_token_is_410_and_offers_the_rest_as_it_is_now(world: World) -> None:
    """Made of a good one: revision 1 is compacted in any store that has lived for ten minutes, which is waited for."""
    await _two(world)
    page = await world.listed("configmaps", labelSelector=OURS, limit="1")
    token = page.body["metadata"]["continue"]
    fields = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    old = base64.urlsafe_b64encode(json.dumps(fields | {"rv": 1}).encode()).decode().rstrip("=")

    async def is_compacted() -> bool:
        answer = await world.listed("configmaps", labelSelector=OURS, limit="1", **{"continue": old})
        return answer.status == 410

    async with asyncio.timeout(COMPACTED_SECONDS):
        await world.until(is_compacted, 5.0)
    answer = await world.listed("configmaps", labelSelector=OURS, limit="1", **{"continue": old})
    assert (answer.status, answer.reason) == (410, "Expired")
    await world.create("configmaps", labelled("c", app="kipu"))
    rest = {"continue": answer.body["metadata"]["continue"]}
    assert _names(await world.listed("configmaps", labelSelector=OURS, **rest)) == ["b", "c"]


@pytest.mark.timeout(960)
async def test_a_list_of_a_version_that_is_compacted_is_410(world: World) -> None:
    query = {"resourceVersion": "1", "resourceVersionMatch": "Exact"}

    async def is_compacted() -> bool:
        return (await world.listed("configmaps", **query)).status == 410

    async with asyncio.timeout(COMPACTED_SECONDS):
        await world.until(is_compacted, 5.0)
    assert (await world.listed("configmaps", **query)).reason == "Expired"


async def test_a_continue_token_of_somebody_else_or_beside_a_version_is_refused(world: World) -> None:
    await _two(world)
    page = await world.listed("configmaps", labelSelector=OURS, limit="1")
    for query in ({"continue": "nonsense"}, {"continue": page.body["metadata"]["continue"], "resourceVersion": "5"}):
        answer = await world.listed("configmaps", limit="1", **query)
        assert (answer.status, answer.reason) == (400, "BadRequest")


async def test_config_maps_are_listed_by_label_and_deleted_by_uid(world: World) -> None:
    """What a sweeper of logs does."""
    first, second = await _two(world)
    await world.create("configmaps", config_map("c"))
    assert await world.names("configmaps", labelSelector=OURS) == ["a", "b"]
    assert (await world.delete("configmaps", "a", preconditions={"uid": second.uid})).status == 409
    assert (await world.delete("configmaps", "a", preconditions={"uid": first.uid})).status == 200
    assert await world.names("configmaps", labelSelector=OURS) == ["b"]
