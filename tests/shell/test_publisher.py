"""How often the status is written: a PATCH costs the API server in proportion to the whole object."""

from __future__ import annotations

import asyncio

import pytest

from kipu.eventlog.ports import StreamId
from kipu.shell.kube import Kube
from kipu.shell.publisher import Publisher
from tests.fakes.apiserver import ApiServer

pytestmark = pytest.mark.looptime


def given(server: ApiServer) -> Publisher:
    step = {"name": "a", "image": "busybox:1.36"}
    manifest = {"kind": "Workflow", "metadata": {"name": "w"}, "spec": {"steps": [step]}}
    uid = server.create(manifest)["metadata"]["uid"]
    stream = StreamId(namespace="default", name="w", uid=uid)
    kube = Kube(server.connect(user="operator"))
    return Publisher(kube, stream, {}, interval_seconds=1.0, nudge=lambda: None)


async def test_the_last_status_is_written_once() -> None:
    server = ApiServer()
    publisher = given(server)
    async with asyncio.TaskGroup() as group:
        publisher.offer(lambda: {"phase": "Succeeded"}, phase="Succeeded", group=group)
        await publisher.finish(lambda: {"phase": "Succeeded"})
    assert len(server.writes("operator")) == 1


async def test_a_last_status_that_says_more_is_written_too() -> None:
    server = ApiServer()
    publisher = given(server)
    async with asyncio.TaskGroup() as group:
        publisher.offer(lambda: {"phase": "Succeeded"}, phase="Succeeded", group=group)
        await publisher.finish(lambda: {"phase": "Succeeded", "progress": "1/1"})
    assert len(server.writes("operator")) == 2
    assert (server.get("workflows", "default", "w") or {})["status"]["progress"] == "1/1"


async def test_between_two_writes_an_interval_passes_but_a_change_of_phase_is_shown_at_once() -> None:
    server = ApiServer()
    publisher = given(server)
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            publisher.mark()
            publisher.offer(lambda: {"phase": "Running", "message": f"{server.time()}"}, phase="Running", group=group)
            await asyncio.sleep(0.1)
        written = len(server.writes("operator"))
        publisher.offer(lambda: {"phase": "Succeeded"}, phase="Succeeded", group=group)
        await asyncio.sleep(0.1)
        assert (server.get("workflows", "default", "w") or {})["status"]["phase"] == "Succeeded"
        publisher.close()
    assert 4 <= written <= 6
