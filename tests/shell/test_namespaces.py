"""An operator of a few namespaces: it serves those, and asks for nothing beyond them.

What it asks for is judged by the paths that the API server has seen: there is no right for any other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kipu.core.errors import UserError
from kipu.shell.main import WATCHES_OF_AN_AREA, compose_replica
from kipu.shell.settings import NAMESPACES_MAX, Settings, from_environment
from kipu.shell.telemetry import Telemetry
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Status
from tests.fakes.front import feed
from tests.fakes.nodes import Program
from tests.shell.operating import step, until

NAMESPACES = ("here", "there")
STEPS = {"defaults": {"image": "busybox:1.36"}, "steps": [step("first"), step("second", "first")]}
CRON = {"schedule": "* * * * *", "workflowTemplate": {"spec": STEPS}}


@asynccontextmanager
async def replica(server: ApiServer, *namespaces: str) -> AsyncIterator[None]:
    """The replica that ships, as the user `kipu`."""
    settings = Settings(identity="kipu", watch_namespaces=namespaces, sweep_interval_seconds=30.0)
    wires = server.connect(user="kipu"), server.connect(user="kipu")
    ours = compose_replica(*wires, settings, server.clock, Telemetry())
    fronts = [feed(ours.kube, ours.engine, area) for area in settings.areas]
    tasks = [asyncio.ensure_future(each) for each in (ours.run(), *fronts)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def phase(server: ApiServer, namespace: str, name: str = "w") -> str:
    return str((server.get("workflows", namespace, name) or {}).get("status", {}).get("phase", ""))


def apply(server: ApiServer, namespace: str) -> None:
    server.create({"kind": "Workflow", "metadata": {"name": "w"}, "spec": STEPS}, namespace=namespace)
    server.create({"kind": "CronWorkflow", "metadata": {"name": "c"}, "spec": CRON}, namespace=namespace)


@pytest.mark.proof
@pytest.mark.looptime
async def test_the_workflows_of_the_named_namespaces_are_served_and_no_others() -> None:
    server = ApiServer()
    for namespace in (*NAMESPACES, "elsewhere"):
        apply(server, namespace)
    async with replica(server, *NAMESPACES):
        await until(lambda: all(phase(server, each) == "Succeeded" for each in NAMESPACES))
        await until(lambda: {each["metadata"]["namespace"] for each in server.all("workflows")
                             if each["metadata"]["name"].startswith("c-")} == set(NAMESPACES))  # fmt: skip
    assert server.get("cronworkflows", "elsewhere", "c") is not None
    assert phase(server, "elsewhere") == ""
    assert {job["metadata"]["namespace"] for job in server.all("jobs")} == set(NAMESPACES)


@pytest.mark.looptime
async def test_nothing_is_asked_for_beyond_the_named_namespaces_and_the_lease() -> None:
    server = ApiServer()
    apply(server, "here")
    async with replica(server, *NAMESPACES):
        await until(lambda: phase(server, "here") == "Succeeded")
        await asyncio.sleep(60)  # virtual: two sweeps, and a time of the schedule
        watched = Counter(watch.namespace for watch in server.watches if watch.user == "kipu")
    paths = {sent.path for sent in server.requests if sent.user == "kipu"}
    beyond = {path for path in paths if not any(f"/namespaces/{each}/" in path for each in NAMESPACES)}
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    assert beyond == {leases, f"{leases}/kipu"}
    assert watched == dict.fromkeys(NAMESPACES, WATCHES_OF_AN_AREA + 1)  # one is the front's


def lists_of_pods(server: ApiServer) -> Counter[str]:
    """How many there were in each namespace."""
    paths = (sent.path.partition("?")[0] for sent in server.requests if sent.user == "kipu")
    return Counter(path.split("/")[4] for path in paths if path.endswith("/pods"))


def message(server: ApiServer, namespace: str) -> str:
    return str((server.get("workflows", namespace, "w") or {}).get("status", {}).get("message", ""))


@pytest.mark.looptime
async def test_why_a_pod_does_not_start_is_asked_in_each_of_the_named_namespaces() -> None:
    server = ApiServer(programs=lambda _: Program(unschedulable="0/3 nodes are available"))
    for namespace in (*NAMESPACES, "elsewhere"):
        apply(server, namespace)
    async with replica(server, *NAMESPACES):
        await until(lambda: all(phase(server, each) == "Running" for each in NAMESPACES))
        begun = server.time()
        await until(lambda: all("0/3 nodes" in message(server, each) for each in NAMESPACES))
    assert server.time() - begun <= 5
    assert set(lists_of_pods(server)) == set(NAMESPACES)


@pytest.mark.looptime
async def test_where_nothing_is_late_nobody_asks_although_something_is_elsewhere() -> None:
    server = ApiServer(programs=lambda _: Program(unschedulable="0/3 nodes are available"))
    apply(server, "here")
    async with replica(server, *NAMESPACES):
        await until(lambda: "0/3 nodes" in message(server, "here"))
        before = lists_of_pods(server)
        await asyncio.sleep(60)
        asked = lists_of_pods(server) - before
    assert asked["here"] > 1
    assert asked["there"] == 0


@pytest.mark.looptime
async def test_a_replica_does_not_lead_before_it_could_list_each_of_its_namespaces() -> None:
    """What it cannot see it would take for absent."""
    server = ApiServer()
    server.faults = lambda _, request: (
        Status(code=403) if "/namespaces/there/pods" in request.path and server.time() < 60 else None
    )
    apply(server, "here")
    async with replica(server, *NAMESPACES):
        await asyncio.sleep(50)
        assert phase(server, "here") == ""
        await until(lambda: phase(server, "here") == "Succeeded")
    assert server.time() >= 60


def test_the_names_come_separated_by_commas_and_twice_is_once() -> None:
    assert from_environment({"KIPU_WATCH_NAMESPACES": "a, b,a"}).watch_namespaces == ("a", "b")
    assert from_environment({"KIPU_WATCH_NAMESPACES": ""}).areas == (None,)


@pytest.mark.parametrize("wrong", ["Upper", "a/b", "-a", "a" * 64, "*"])
def test_what_cannot_be_a_namespace_is_refused_by_its_name(wrong: str) -> None:
    with pytest.raises(UserError, match=r"KIPU_WATCH_NAMESPACES.*cannot be the name of a namespace"):
        from_environment({"KIPU_WATCH_NAMESPACES": f"good,{wrong}"})


def test_as_many_namespaces_can_be_named_as_there_are_connections_for_and_no_more() -> None:
    names = [f"n{number}" for number in range(NAMESPACES_MAX + 1)]
    assert len(from_environment({"KIPU_WATCH_NAMESPACES": ",".join(names[:-1])}).areas) == NAMESPACES_MAX
    with pytest.raises(UserError, match="KIPU_WATCH_NAMESPACES"):
        from_environment({"KIPU_WATCH_NAMESPACES": ",".join(names)})
