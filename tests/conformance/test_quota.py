"""Facts of ResourceQuotas, asked of the fake and of a real API server alike."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from kipu.shell.kube_views import JobView
from tests.conformance.world import COUNTED, Answered, Json, World, config_map, job
from tests.fakes.nodes import Program

NAMES = {"configmaps": "configmaps", "jobs": "jobs.batch"}  # as in the server's messages


def _body(plural: str, name: str) -> Json:
    return config_map(name) if plural == "configmaps" else job(name, Program(), suspend=True)


@pytest.mark.parametrize("plural", NAMES)
async def test_a_create_over_quota_is_403_and_says_what_is_used_and_allowed(world: World, plural: str) -> None:
    await world.limit(**{plural: 2})
    answers = [await world.create(plural, _body(plural, name)) for name in ("a", "b", "c")]
    assert [answer.status for answer in answers] == [201, 201, 403]
    assert answers[-1].reason == "Forbidden"
    assert not answers[-1].body["details"].get("causes")
    counted, hard = COUNTED[plural], len(await world.names(plural))
    why = f"requested: {counted}=1, used: {counted}={hard}, limited: {counted}={hard}"
    assert answers[-1].body["message"] == f'{NAMES[plural]} "c" is forbidden: exceeded quota: few, {why}'


async def test_under_a_full_quota_what_is_there_can_still_be_written(world: World) -> None:
    await world.create("configmaps", config_map("a"))
    await world.limit(configmaps=0)
    assert (await world.merge("configmaps", "a", {"data": {"k": "w"}})).status == 200


async def test_under_a_full_quota_a_name_that_is_taken_is_403_and_not_409(world: World) -> None:
    """The quota is asked before the store: who only wants to know whether a Job is there must read it."""
    await world.create("jobs", _body("jobs", "a"))
    await world.limit(jobs=0)
    answer = await world.create("jobs", _body("jobs", "a"))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert "exceeded quota" in answer.body["message"]


async def test_a_deletion_makes_room_a_moment_later(world: World) -> None:
    await world.create("configmaps", config_map("a"))
    await world.limit(configmaps=0)
    assert (await world.create("configmaps", config_map("b"))).status == 403
    await world.delete("configmaps", "a")

    async def has_room() -> bool:
        return (await world.create("configmaps", config_map("b"))).status == 201

    await world.until(has_room)


async def test_of_creates_at_once_a_quota_lets_no_more_pass_than_it_allows(world: World) -> None:
    """Those that lose may be told so by 403, or by a 409 that is about the quota and not about a name."""
    await world.limit(configmaps=5)
    answers = await asyncio.gather(*(world.create("configmaps", config_map(f"c{number}")) for number in range(20)))
    statuses = Counter(answer.status for answer in answers)
    assert statuses[201] == 5
    assert statuses.keys() <= {201, 403, 409}
    assert all(_is_about_the_quota(answer) for answer in answers if answer.status == 409)


def _is_about_the_quota(answer: Answered) -> bool:
    return answer.reason == "Conflict" and "resourcequotas" in answer.body["message"]


async def test_a_job_whose_pods_are_over_quota_waits_until_there_is_room(world: World) -> None:
    await world.limit(pods=0)
    await world.run("a", Program(run_seconds=0))
    view = await _begun(world)
    assert (view.status.active, view.status.conditions) == (0, ())
    assert await world.pods_of("a") == []
    await world.delete("resourcequotas", "few")
    view = await world.finished("a")
    assert view.status.succeeded == 1


async def _begun(world: World) -> JobView:
    """The Job, once its controller has taken it up."""
    while True:
        view = await world.kube.get_job(world.namespace, "a")
        assert view is not None
        if view.status.start_time is not None:
            return view
        await asyncio.sleep(0.2)
