"""How often the status is written: a PATCH costs the API server in proportion to the whole object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from kipu.eventlog.ports import StreamId
from kipu.shell.kube import Kube
from kipu.shell.kube_views import WorkflowView, decode_workflow
from kipu.shell.publisher import Pace, Publisher, WorkflowGone
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Delayed, Status

pytestmark = pytest.mark.looptime


def given(
    server: ApiServer, name: str = "w", pace: Pace | None = None, nudge: Callable[[], None] = lambda: None
) -> Publisher:
    step = {"name": "a", "image": "busybox:1.36"}
    manifest = {"kind": "Workflow", "metadata": {"name": name}, "spec": {"steps": [step]}}
    return publisher_of(server, server.create(manifest), pace, nudge)


def publisher_of(
    server: ApiServer, workflow: dict[str, object], pace: Pace | None = None, nudge: Callable[[], None] = lambda: None
) -> Publisher:
    view: WorkflowView = decode_workflow(workflow)
    stream = StreamId(namespace="default", name=view.metadata.name, uid=view.metadata.uid)
    kube = Kube(server.connect(user="operator"))
    return Publisher(kube, stream, view, interval_seconds=1.0, pace=pace or Pace(10.0), nudge=nudge)


def shown(server: ApiServer) -> dict[str, object]:
    return dict((server.get("workflows", "default", "w") or {})["status"])


def status(position: int) -> dict[str, object]:
    return {"phase": "Running", "log": {"position": position, "hash": "h"}}


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


async def test_a_status_that_arrives_late_does_not_replace_a_newer_one() -> None:
    server = ApiServer()
    server.faults = lambda index, request: Delayed(seconds=5.0) if index == 0 else None
    publisher = given(server)
    await publisher.finish(lambda: status(3))
    assert shown(server) == status(3)
    await publisher.finish(lambda: status(7))
    await asyncio.sleep(10.0)
    assert shown(server) == status(7)


async def test_a_session_that_was_overtaken_does_not_show_less() -> None:
    server = ApiServer()
    old = given(server)
    new = publisher_of(server, server.get("workflows", "default", "w") or {})
    await new.finish(lambda: status(7))
    await old.finish(lambda: status(3))
    assert shown(server) == status(7)


async def test_an_edit_by_somebody_else_costs_one_look_and_no_status() -> None:
    server = ApiServer()
    publisher = given(server)
    server.update("workflows", "default", "w", lambda body: body | {"spec": {**body["spec"], "parallelism": 1}})
    await publisher.finish(lambda: status(3))
    assert shown(server) == status(3)
    assert len(server.writes("operator")) == 2


async def test_a_refusal_without_a_reason_is_not_taken_for_a_deletion() -> None:
    server = ApiServer()
    server.faults = lambda index, request: Status(code=422, reason="Invalid") if index < 3 else None
    publisher = given(server)
    await publisher.finish(lambda: status(3))
    assert shown(server) == status(3)


async def test_a_workflow_that_is_gone_ends_it() -> None:
    server = ApiServer()
    publisher = given(server)
    server.delete("workflows", "default", "w")
    with pytest.raises(WorkflowGone):
        await publisher.finish(lambda: status(3))


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


async def test_many_share_one_pace_and_a_change_of_phase_of_any_is_shown_at_once() -> None:
    server, pace = ApiServer(), Pace(10.0)
    publishers = [given(server, f"w{number:02}", pace) for number in range(50)]

    def offer(phase: str) -> None:
        for publisher in publishers:
            publisher.offer(lambda: {"phase": phase, "message": f"{server.time()}"}, phase=phase, group=group)

    async with asyncio.TaskGroup() as group:
        offer("Running")
        await asyncio.sleep(0.1)
        assert len(server.writes("operator")) == 50
        for _ in range(40):
            for publisher in publishers:
                publisher.mark()
            offer("Running")
            await asyncio.sleep(0.1)
        written = [each.path for each in server.writes("operator")[50:]]
        assert 38 <= len(written) <= 42
        assert len(set(written)) == len(written), "nobody had a second turn before all had had one"
        offer("Succeeded")
        await asyncio.sleep(0.1)
        assert all(workflow["status"]["phase"] == "Succeeded" for workflow in server.all("workflows"))
        for publisher in publishers:
            publisher.close()


async def test_turns_of_those_that_have_ended_delay_nobody() -> None:
    """A flood of thousands that end within a second each is over, and the next one's trouble is shown at once."""
    server, pace = ApiServer(), Pace(10.0)
    nudges = list[int]()
    for number in range(1_000):
        publisher = given(server, f"w{number:04}", pace, nudge=partial(nudges.append, number))
        publisher.mark()
        publisher.close()
    nudged = asyncio.Event()
    late = given(server, pace=pace, nudge=nudged.set)
    late.mark()
    async with asyncio.timeout(0.5):
        await nudged.wait()
    late.close()
    assert nudges == []
