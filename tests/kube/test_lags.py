"""Controllers that lag behind the store: what they then do, and what they never do.

No real controller lags on command, so these facts are asked of the fake alone. They come from design 02 ("Proof of
Cancelled"), design 03 (deadlines), and from reading the Job controller and the garbage collector of Kubernetes 1.37.
"""

from __future__ import annotations

import asyncio
from dataclasses import fields

import looptime
import pytest

from kipu.shell.kube import Kube
from kipu.shell.kube_views import JobView
from tests.conformance.world import config_map, job
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Json
from tests.fakes.informers import Lags
from tests.fakes.nodes import Program

pytestmark = [pytest.mark.proof, pytest.mark.looptime]
LONG = Program(run_seconds=600, stop_seconds=5)


def cluster(program: Program, seed: int = 3) -> tuple[ApiServer, Kube]:
    """Every pod runs `program`."""
    server = ApiServer(seed=seed, programs=lambda pod: program)
    return server, Kube(server.connect(user="operator"))


async def running(server: ApiServer) -> str:
    """The uid of Job a, created just now, once its pod runs."""
    server.create(job("a", LONG))
    while not server.executions:
        await asyncio.sleep(0.1)
    return server.executions[0].job_uid


def own(body: Json, owner: Json) -> Json:
    """The same, owned by this ConfigMap."""
    metadata = owner["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"]}
    body["metadata"]["ownerReferences"] = [reference]
    return body


async def gone(server: ApiServer, plural: str) -> None:
    while server.all(plural):
        await asyncio.sleep(0.05)


async def ended(server: ApiServer) -> JobView:
    kube = Kube(server.connect(user="tester"))
    view = await kube.get_job("default", "a")
    while view is None or not any(each.type in ("Complete", "Failed") for each in view.status.conditions):
        await asyncio.sleep(0.1)
        view = await kube.get_job("default", "a")
    return view


async def test_a_job_that_was_just_deleted_may_still_get_a_pod_and_it_runs() -> None:
    server, kube = cluster(LONG)
    created = await kube.create_job("default", job("a", LONG))
    server.lags = Lags(job_controller_jobs_seconds=20, collector_pods_seconds=5)
    server.delete("jobs", "default", "a", propagationPolicy="Background")
    assert server.all("jobs") == server.all("pods") == []
    while not server.executions:
        await asyncio.sleep(0.1)
    assert server.executions[0].job_uid == created.body["metadata"]["uid"]  # type: ignore[index]
    await gone(server, "pods")  # the collector finds no owner


async def test_a_job_that_is_deleted_in_the_foreground_may_go_before_a_pod_that_nobody_heard_of() -> None:
    server, kube = cluster(LONG)
    server.lags = Lags(collector_pods_seconds=60)
    uid = await running(server)
    assert (await kube.delete_job("default", "a", uid)).status == 200
    await gone(server, "jobs")
    (pod,) = server.all("pods")
    assert pod["status"]["phase"] == "Running"
    assert "deletionTimestamp" not in pod["metadata"]
    await gone(server, "pods")


async def test_a_deadline_is_judged_before_a_success_that_was_not_heard_of() -> None:
    server, _ = cluster(Program(run_seconds=1))
    server.lags = Lags(job_controller_pods_seconds=60)
    server.create(job("a", Program(), activeDeadlineSeconds=3))
    view = await ended(server)
    assert [(each.type, each.reason) for each in view.status.conditions] == [
        ("FailureTarget", "DeadlineExceeded"),
        ("Failed", "DeadlineExceeded"),
    ]
    assert server.executions[0].exit_code == 0


async def test_what_an_object_owned_stays_until_the_collector_hears_of_its_end() -> None:
    server, _ = cluster(LONG)
    owner = server.create(config_map("owner"))
    server.create(own(config_map("thing"), owner))
    await asyncio.sleep(1)
    server.lags = Lags(collector_others_seconds=600)
    server.delete("configmaps", "default", "owner")
    deleted = server.time()
    await gone(server, "configmaps")
    assert 1 < server.time() - deleted < 600.5


async def test_the_collector_asks_the_store_before_it_deletes() -> None:
    """It hears of an owned object long before its owner, and leaves it alone."""
    server, _ = cluster(LONG)
    server.lags = Lags(collector_others_seconds=60, collector_pods_seconds=0, collector_jobs_seconds=0)
    owner = server.create(config_map("owner"))
    server.create(own(job("a", LONG), owner))
    await asyncio.sleep(120)
    assert server.get("jobs", "default", "a") is not None


LATE = Lags(**{each.name: 10.0 for each in fields(Lags)})


@pytest.mark.parametrize("seed", range(20))
async def test_however_late_its_caches_a_job_runs_one_pod_and_is_complete(seed: int) -> None:
    server, _ = cluster(Program(run_seconds=2), seed)
    server.lags = LATE
    server.create(job("a", Program()))
    view = await ended(server)
    assert (view.status.succeeded, view.status.failed) == (1, 0)
    assert len(server.executions) == 1
    await asyncio.sleep(60)
    assert len(server.executions) == 1


@pytest.mark.parametrize("seed", range(20))
async def test_however_late_every_cache_a_tree_goes_with_its_root(seed: int) -> None:
    server, _ = cluster(LONG, seed)
    server.lags = LATE
    owner = server.create(config_map("owner"))
    for name in "abc":
        server.create(own(job(name, LONG), owner))
    await asyncio.sleep(seed / 2)
    server.delete("configmaps", "default", "owner")
    for plural in ("jobs", "pods"):
        await gone(server, plural)
    await asyncio.sleep(120)
    assert server.all("pods") == []


def test_the_same_seed_lags_in_the_same_way() -> None:
    histories = [_history(seed) for seed in (1, 1, 2)]
    assert histories[0] == histories[1] != histories[2]


def _history(seed: int) -> list[tuple[float, str, str, str]]:
    async def late() -> list[tuple[float, str, str, str]]:
        server, _ = cluster(Program(run_seconds=2), seed)
        server.lags = LATE
        server.create(job("a", Program()))
        await ended(server)
        server.delete("jobs", "default", "a", propagationPolicy="Foreground")
        await gone(server, "jobs")
        return [(sent.time, sent.user, sent.method, sent.path) for sent in server.requests]

    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(late())
    finally:
        loop.close()
