"""A child that somebody deletes: what it leaves behind is awaited before the next attempt, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from kipu.core.naming import job_name
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Json
from tests.fakes.informers import Lags
from tests.fakes.nodes import Program
from tests.shell.nesting import by_step, child, children, nested, running, template
from tests.shell.operating import apply, condition, ended, operator, step, until

pytestmark = pytest.mark.looptime
SEEDS = [0, *(pytest.param(each, marks=pytest.mark.proof) for each in range(1, 12))]


def job(name: str, labels: Json) -> Json:
    """One that Kipu has not made."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {"kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": {"template": template}}


async def most_at_once(server: ApiServer) -> int:
    """How many pods were there at once, at most, from now on until the Workflow has ended."""
    most = 0

    def has_ended() -> bool:
        nonlocal most
        most = max(most, len(running(server)))
        return condition(server, "Finished").get("status") == "True"

    await until(has_ended)
    return most


@pytest.mark.proof
async def test_a_child_that_somebody_deletes_is_lost_and_its_successor_waits_for_the_last_of_its_pods() -> None:
    server = ApiServer(programs=by_step(one=Program(run_seconds=60.0, stop_seconds=12.0)))
    template(server, step("one"))
    apply(server, nested("train", retry={"maxAttempts": 2, "backoff": {"initial": "1s"}}))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        first = child(server)["metadata"]["name"]
        server.delete("workflows", "default", first)
        assert await most_at_once(server) == 1
        assert await ended(server) == "Succeeded"
    assert [each["metadata"]["name"] == first for each in children(server)] == [True, False]
    assert children(server)[0]["metadata"]["annotations"]["kipu.dev/placeholder"] == "true"


@pytest.mark.proof
@pytest.mark.parametrize("seed", SEEDS)
async def test_its_successor_waits_for_a_pod_that_the_job_controller_makes_for_a_job_that_is_gone(seed: int) -> None:
    slow = by_step(one=Program(run_seconds=60.0, stop_seconds=29.0))
    server = ApiServer(seed=seed, programs=slow, lags=Lags(job_controller_jobs_seconds=4.0, collector_pods_seconds=4.0))
    template(server, step("one"))
    apply(server, nested("train", retry={"maxAttempts": 2, "backoff": {"initial": "1s"}}))
    async with operator(server):
        await until(lambda: server.all("jobs"))
        server.delete("workflows", "default", child(server)["metadata"]["name"])
        assert await most_at_once(server) == 1
        assert await ended(server) == "Succeeded"


@pytest.mark.parametrize("seed", SEEDS)
async def test_of_one_that_is_deleted_when_its_operator_has_just_died_the_pods_are_awaited_too(seed: int) -> None:
    slow = by_step(one=Program(run_seconds=60.0, stop_seconds=29.0))
    server = ApiServer(seed=seed, programs=slow, lags=Lags(collector_pods_seconds=4.0))
    template(server, step("one"))
    apply(server, nested("train", retry={"maxAttempts": 2, "backoff": {"initial": "1s"}}))
    async with operator(server):
        await until(lambda: server.all("jobs"))
    server.delete("workflows", "default", child(server)["metadata"]["name"])
    async with operator(server, "two"):
        assert await most_at_once(server) == 1
        assert await ended(server) == "Succeeded"


async def test_a_job_of_somebody_else_under_its_name_does_not_hold_up_its_successor() -> None:
    programs = by_step(one=Program(run_seconds=5.0), theirs=Program(run_seconds=5_000.0))
    server = ApiServer(programs=programs)
    template(server, step("one"))
    uid = apply(server, nested("train", retry={"maxAttempts": 2, "backoff": {"initial": "1s"}}))
    name = job_name(workflow="w", workflow_uid=uid, run=1, step="train", attempt=1)
    server.create(job(name, {"kipu.dev/step": "theirs"}))
    async with operator(server):
        await until(lambda: running(server) == ["theirs", "one"])
        server.delete("workflows", "default", name)
        assert await ended(server) == "Succeeded"
    assert running(server) == ["theirs"]


async def test_a_placeholder_from_before_the_last_of_its_jobs_proves_nothing_and_is_made_anew() -> None:
    server = ApiServer(programs=by_step(one=Program(run_seconds=60.0, stop_seconds=12.0)))
    template(server, step("one"))
    uid = apply(server, nested("train", retry={"maxAttempts": 2, "backoff": {"initial": "60s"}}))
    name = job_name(workflow="w", workflow_uid=uid, run=1, step="train", attempt=1)

    def mark() -> str | None:
        standing = server.get("jobs", "default", name)
        return None if standing is None else str(standing["metadata"]["uid"])

    async with operator(server):
        await until(lambda: running(server) == ["one"])
        server.lags = Lags(job_controller_jobs_seconds=1_000.0)
        labels = {"kipu.dev/workflow-uid": child(server)["metadata"]["uid"], "kipu.dev/step": "late"}
        server.delete("workflows", "default", name)
        await until(lambda: mark() is not None)
        first = mark()
        server.create(job("late", labels))  # it was sent long ago
        await asyncio.sleep(5)
        server.delete("jobs", "default", "late")
        await until(lambda: server.get("jobs", "default", "late") is None)
        await until(lambda: mark() not in (None, first))
        second = mark()
    async with operator(server):
        await until(lambda: mark() not in (None, second))
