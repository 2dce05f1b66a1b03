"""What is kept and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kipu.eventlog.ports import StreamId
from kipu.shell.kube import Kube
from kipu.shell.kube_views import decode_workflow
from kipu.shell.retention import Janitor, Retirement, Shelf
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import TimeoutDone
from tests.shell import operating
from tests.shell.operating import operator

pytestmark = pytest.mark.looptime
HOUR_MS = 3_600_000


def workflow(name: str, *steps: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {"defaults": {"image": "busybox:1.36"}, "steps": list(steps) or [{"name": "a", "script": "true"}], **spec}
    return {"kind": "Workflow", "metadata": {"name": name}, "spec": body}


def ended(server: ApiServer, name: str, **spec: Any) -> None:
    """A Workflow whose status says that it ended just now."""
    server.create(workflow(name, **spec))

    def end(body: dict[str, Any]) -> dict[str, Any]:
        now = "2026-01-01T00:00:00Z"  # tests.fakes.clock.BEGINNING_MS
        body["status"] = {"phase": "Succeeded", "observedGeneration": 1, "completionTime": now}
        return body

    server.update("workflows", "default", name, end, status=True)


def consider(retirement: Retirement, server: ApiServer, name: str) -> None:
    retirement.consider(decode_workflow(server.get("workflows", "default", name) or {}))


async def test_a_workflow_goes_when_its_own_time_has_passed_and_not_before() -> None:
    server = ApiServer()
    retirement = Retirement(Kube(server.connect(user="operator")), server.clock, default_ms=None)
    ended(server, "short", ttlAfterFinished="1h")
    ended(server, "kept")
    consider(retirement, server, "short")
    consider(retirement, server, "kept")
    task = asyncio.create_task(retirement.run())
    await asyncio.sleep(HOUR_MS / 1000 - 10)
    assert server.get("workflows", "default", "short")
    await asyncio.sleep(20)
    assert server.get("workflows", "default", "short") is None
    assert server.get("workflows", "default", "kept")
    task.cancel()


async def test_the_operators_default_holds_for_all_that_say_nothing() -> None:
    server = ApiServer()
    retirement = Retirement(Kube(server.connect(user="operator")), server.clock, default_ms=HOUR_MS)
    ended(server, "silent")
    ended(server, "longer", ttlAfterFinished="2h")
    consider(retirement, server, "silent")
    consider(retirement, server, "longer")
    task = asyncio.create_task(retirement.run())
    await asyncio.sleep(1.5 * HOUR_MS / 1000)
    assert server.get("workflows", "default", "silent") is None
    assert server.get("workflows", "default", "longer")
    task.cancel()


async def test_an_edit_in_the_last_moment_keeps_a_workflow() -> None:
    """The delete names the resourceVersion that was judged: whatever came since must be judged first."""
    server = ApiServer()
    retirement = Retirement(Kube(server.connect(user="operator")), server.clock, default_ms=HOUR_MS)
    ended(server, "edited")
    consider(retirement, server, "edited")

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        body["spec"]["ttlAfterFinished"] = "48h"
        return body

    server.update("workflows", "default", "edited", edit)
    task = asyncio.create_task(retirement.run())
    await asyncio.sleep(2 * HOUR_MS / 1000)
    assert server.get("workflows", "default", "edited")
    task.cancel()


# -- Jobs ------------------------------------------------------------------------------------------------


async def serve(server: ApiServer, jobs_kept: int) -> None:
    """The operator that ships, until the Workflow `w` has ended and a minute more."""
    async with operator(server, jobs_kept=jobs_kept):
        assert await operating.ended(server) == "Succeeded"
        await asyncio.sleep(60)


def chain(length: int) -> list[dict[str, Any]]:
    needs = [{"dependsOn": [f"s{place - 1}"]} if place else {} for place in range(length)]
    return [{"name": f"s{place}", "script": "true", **need} for place, need in enumerate(needs)]


async def test_the_newest_finished_jobs_are_kept_and_older_ones_go() -> None:
    server = ApiServer()
    server.create(workflow("w", *chain(8)))
    await serve(server, jobs_kept=3)
    left = {job["metadata"]["labels"]["kipu.dev/step"] for job in server.all("jobs")}
    assert left == {"s5", "s6", "s7"}
    assert len(server.executions) == 8


async def test_a_job_whose_create_was_left_unanswered_keeps_its_name() -> None:
    """That create may still be carried out: with the name free, its step would run a second time."""
    server = ApiServer()
    jobs = 0

    def lose_the_answer_of_the_first_create(_index: int, request: Any) -> TimeoutDone | None:
        nonlocal jobs
        jobs += request.method == "POST" and request.path.endswith("/jobs")
        is_first = request.method == "POST" and request.path.endswith("/jobs") and jobs == 1
        return TimeoutDone(seconds=1.0) if is_first else None

    server.faults = lose_the_answer_of_the_first_create
    server.create(workflow("w", *chain(4)))
    await serve(server, jobs_kept=0)
    assert {job["metadata"]["labels"]["kipu.dev/step"] for job in server.all("jobs")} == {"s0"}


def shelf_of(server: ApiServer, kept: int) -> tuple[Shelf, Janitor]:
    janitor = Janitor(Kube(server.connect(user="operator")))
    return Shelf(janitor, StreamId(namespace="default", name="w", uid="u"), kept=kept), janitor


async def test_a_shelf_deletes_no_job_that_this_session_did_not_make() -> None:
    server = ApiServer()
    shelf, janitor = shelf_of(server, kept=0)
    shelf.finished("of-an-older-epoch")
    task = asyncio.create_task(janitor.run(lambda _uid: True))
    await asyncio.sleep(60.0)
    task.cancel()
    assert server.writes("operator") == []


async def test_while_steps_move_no_job_is_deleted_and_all_once_they_rest() -> None:
    server = ApiServer()
    shelf, janitor = shelf_of(server, kept=10)
    task = asyncio.create_task(janitor.run(lambda _uid: True))
    for number in range(100):
        janitor.steps_move()
        shelf.created(f"j{number}", f"uid-{number}")
        shelf.finished(f"j{number}")
        await asyncio.sleep(0.1)
    assert server.writes("operator") == []  # in ten seconds
    await asyncio.sleep(10.0)
    assert [write.path.rpartition("/j")[2] for write in server.writes("operator")] == [str(n) for n in range(90)]
    task.cancel()


@pytest.mark.parametrize(
    ("row", "least", "most"), [(9_999, 0, 0), (10_000, 1, 1), (10_100, 95, 101), (15_500, 145, 155)]
)
async def test_where_steps_never_rest_a_long_row_is_worked_off_the_faster_the_longer_it_is(
    row: int, least: int, most: int
) -> None:
    server = ApiServer()
    shelf, janitor = shelf_of(server, kept=0)
    for number in range(row):
        shelf.created(f"j{number}", f"uid-{number}")
        shelf.finished(f"j{number}")
    task = asyncio.create_task(janitor.run(lambda _uid: True))
    for _ in range(100):
        janitor.steps_move()
        await asyncio.sleep(0.1)
    assert least <= len(server.writes("operator")) <= most  # in ten seconds; below ten thousand the row is left alone
    task.cancel()


async def test_jobs_of_a_workflow_that_is_gone_or_another_replicas_are_left_alone() -> None:
    server = ApiServer()
    shelf, janitor = shelf_of(server, kept=0)
    shelf.created("j", "uid")
    shelf.finished("j")
    task = asyncio.create_task(janitor.run(lambda uid: uid != "u"))
    await asyncio.sleep(60.0)
    task.cancel()
    assert server.writes("operator") == []
