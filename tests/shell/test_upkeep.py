"""The log under the operator that ships: merged, swept, archived, and what the status says when it is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.ports import StreamId
from kipu.shell.kube import Kube
from kipu.shell.kube_http import Request
from kipu.shell.upkeep import DEAD_MAX, Upkeep
from tests.eventlog.samples import STREAM
from tests.eventlog.store import Fault, Store
from tests.eventlog.writer import HEAD, Writer, names, rolled
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Status, TimeoutDone
from tests.shell.operating import operator, status
from tests.shell.test_retention import chain, workflow

pytestmark = [pytest.mark.proof, pytest.mark.looptime]
WIDE = 120  # steps: more than 16 chunks


def conditions(server: ApiServer) -> dict[str, dict[str, str]]:
    return {each["type"]: each for each in status(server).get("conditions", [])}


async def until(holds: Callable[[], object], seconds: float = 600.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.2)


def chunks(server: ApiServer) -> list[str]:
    found = [item["metadata"]["name"] for item in server.all("configmaps")]
    return [name for name in found if name.startswith("kipu-log-") and len(name) > len(HEAD)]


async def loaded(server: ApiServer) -> ConfigMapHead:
    """The head of the verified log."""
    uid = (server.get("workflows", "default", "w") or {})["metadata"]["uid"]
    log = ConfigMapLog(Kube(server.connect(user="judge", faulty=False)))
    history = await log.load(StreamId(namespace="default", name="w", uid=uid))
    assert history is not None
    assert isinstance(history.head, ConfigMapHead)
    return history.head


def wide() -> list[dict[str, Any]]:
    return [{"name": f"s{number}", "script": "true"} for number in range(WIDE)]


def is_over(server: ApiServer) -> bool:
    return status(server).get("phase") == "Succeeded"


def deletes(server: ApiServer) -> int:
    return sum(sent.method == "DELETE" and "/configmaps/" in sent.path for sent in server.writes("one"))


# -- merged, swept, archived -----------------------------------------------------------------------------------


async def test_a_long_run_leaves_one_chunk_and_no_garbage() -> None:
    server = ApiServer()
    server.create(workflow("w", *wide(), parallelism=4))
    async with operator(server):
        await until(lambda: is_over(server))
        await asyncio.sleep(5)
    head = await loaded(server)
    assert head.position >= 3 * WIDE
    assert [chunk.name for chunk in head.chunks] == chunks(server)
    assert len(head.chunks) == 1
    assert status(server)["log"] == {"position": head.position, "hash": head.hash}
    assert deletes(server) > 8  # those of merges under way, and of the archive


async def test_whoever_waits_for_the_end_does_not_wait_for_the_archive() -> None:
    server = ApiServer()
    server.create(workflow("w", *wide(), parallelism=4))

    def slow_until_the_end(_index: int, request: Request) -> TimeoutDone | None:
        if not request.path.endswith("/status"):
            return None
        is_last = json.loads(request.body or b"")[-1]["value"]["phase"] == "Succeeded"
        return None if is_last else TimeoutDone(seconds=50.0)  # the first is under way when the run ends

    async with operator(server, faults=slow_until_the_end):
        await until(lambda: is_over(server))
        await asyncio.sleep(30)
    sent = server.writes("one")
    last_status = max(n for n, each in enumerate(sent) if each.path.endswith("/status"))
    last_commit = max(n for n, each in enumerate(sent) if each.method == "PATCH" and "/configmaps/" in each.path)
    assert len((await loaded(server)).chunks) == 1
    assert last_status < last_commit  # that of the archive


async def test_a_short_run_asks_for_nothing_beside_its_commits() -> None:
    server = ApiServer()
    server.create(workflow("w", *chain(2)))
    async with operator(server):
        await until(lambda: is_over(server))
        await asyncio.sleep(5)
    asked = [sent for sent in server.requests if sent.user == "one" and "/configmaps" in sent.path]
    assert {sent.method for sent in asked} == {"GET", "POST", "PATCH"}
    assert sum(sent.method == "GET" for sent in asked) == 1  # the log is opened


async def test_what_an_operator_left_behind_is_swept_by_the_next_one_after_its_claim() -> None:
    server = ApiServer()
    server.create(workflow("w", *wide(), parallelism=4))

    def no_deletes(_index: int, request: Request) -> Status | None:
        is_delete = request.method == "DELETE" and "/configmaps/" in request.path
        return Status(code=500, reason="InternalError") if is_delete else None

    server.faults = no_deletes
    async with operator(server):
        await until(lambda: len(chunks(server)) >= 17)
    server.faults = lambda _index, _request: None
    left = set(chunks(server))
    async with operator(server, "two"):
        await until(lambda: len(left & set(chunks(server))) <= 2)
        assert not is_over(server)
        await until(lambda: is_over(server))


async def test_a_log_whose_archive_is_refused_is_left_as_it_is() -> None:
    server = ApiServer()
    server.create(workflow("w", *wide(), parallelism=WIDE))
    gate = False

    def refuse(_index: int, request: Request) -> Status | None:
        at_the_end = b'"phase":"Succeeded"' in (request.body or b"")
        nonlocal gate
        gate |= at_the_end
        is_chunk = request.method == "POST" and request.path.endswith("/configmaps")
        return Status(code=403, reason="Forbidden") if gate and is_chunk else None

    server.faults = refuse
    async with operator(server):
        await until(lambda: is_over(server))
        await asyncio.sleep(5)
    head = await loaded(server)
    assert len(head.chunks) > 1
    assert status(server)["log"] == {"position": head.position, "hash": head.hash}


# -- refused ---------------------------------------------------------------------------------------------------


async def test_while_a_quota_refuses_chunks_the_run_goes_on_and_says_so() -> None:
    server = ApiServer()
    server.create(workflow("w", *chain(40)))
    refused = True

    def quota(_index: int, request: Request) -> Status | None:
        is_chunk = request.method == "POST" and b'"immutable":true' in (request.body or b"")
        return Status(code=403, reason="Forbidden") if refused and is_chunk else None

    server.faults = quota
    async with operator(server):
        await until(lambda: "LogQuota" in conditions(server))
        shown = conditions(server)["LogQuota"]
        assert (shown["status"], shown["reason"]) == ("True", "LogQuota")
        assert "refused by the test: 403" in shown["message"]
        before = status(server)["log"]["position"]
        await until(lambda: status(server)["log"]["position"] > before)
        refused = False
        await until(lambda: "LogQuota" not in conditions(server))
        assert not is_over(server)
        await until(lambda: is_over(server))
    assert (await loaded(server)).refusal == ""


async def test_while_every_commit_is_refused_it_is_said_and_tried_again_ever_more_rarely() -> None:
    server = ApiServer()
    server.create(workflow("w", *chain(3)))
    refused = False

    def policy(_index: int, request: Request) -> Status | None:
        is_commit = request.method == "PATCH" and "/configmaps/" in request.path
        return Status(code=422, reason="Invalid") if refused and is_commit else None

    server.faults = policy
    async with operator(server):
        await until(lambda: status(server).get("phase") == "Running")
        refused, before = True, len(server.writes("one"))
        await until(lambda: "LogWriteRefused" in conditions(server))
        shown = conditions(server)["LogWriteRefused"]
        assert "refused by the test: 422" in shown["message"]
        assert conditions(server)["Stalled"]["status"] == "False"
        assert (status(server)["phase"], status(server)["reason"]) == ("Running", "LogWriteRefused")
        await asyncio.sleep(1_800)
        assert len(server.writes("one")) - before < 2 * (10 + 1_800 / 30) + 20  # a commit and a status, each 30 s
        assert conditions(server)["LogWriteRefused"]["lastTransitionTime"] == shown["lastTransitionTime"]
        refused = False
        await until(lambda: is_over(server))
    assert "LogWriteRefused" not in conditions(server)
    assert status(server)["reason"] == "Completed"


async def test_a_first_commit_that_is_refused_is_told_too() -> None:
    server = ApiServer()
    server.create(workflow("w", *chain(1)))
    server.faults = lambda _index, request: (
        Status(code=403, reason="Forbidden")
        if request.method == "POST" and request.path.endswith("/configmaps")
        else None
    )
    async with operator(server):
        await until(lambda: "LogWriteRefused" in conditions(server))
        assert "phase" not in status(server)
        assert not server.all("jobs")


# -- the upkeep of one session ---------------------------------------------------------------------------------


async def merged(writer: Writer) -> ConfigMapHead:
    head = await rolled(writer, chunk_count=7)
    while not head.superseded:
        head = await writer.append(head)
    return head


async def test_what_is_dead_is_left_alone_until_it_is_worth_a_sweep() -> None:
    writer = Writer(Store())
    upkeep = Upkeep(writer.log, STREAM, asyncio.Semaphore(2))
    head, dead = await rolled(writer, chunk_count=7), 0
    while dead < DEAD_MAX:
        assert not upkeep.is_due
        head = await writer.append(head)
        upkeep.committed(head)
        dead += head.superseded
    assert upkeep.is_due


async def test_where_the_store_refuses_more_objects_what_is_dead_goes_at_once() -> None:
    writer = Writer(Store())
    upkeep = Upkeep(writer.log, STREAM, asyncio.Semaphore(2))
    head = await merged(writer)
    upkeep.committed(replace(head, superseded=0, refusal="no more"))
    assert not upkeep.is_due  # nothing is dead
    upkeep.committed(head)
    assert not upkeep.is_due
    upkeep.committed(replace(head, superseded=0, refusal="no more"))
    assert upkeep.is_due


async def test_one_sweep_of_a_log_runs_at_a_time_and_nothing_is_asked_for_nothing() -> None:
    store = Store()
    writer = Writer(store)
    head = await merged(writer)
    upkeep = Upkeep(writer.log, STREAM, asyncio.Semaphore(2))
    upkeep.opened()
    upkeep.committed(head)
    writer.meets()
    writer.client.pauses = iter([1] * 100)
    await asyncio.gather(upkeep.sweep(), upkeep.sweep(), upkeep.sweep())
    assert writer.verbs == ["list", "get", *["delete"] * 7]
    assert not upkeep.is_due


async def test_a_session_that_found_a_log_sweeps_it_once() -> None:
    writer = Writer(Store())
    await merged(writer)
    history = await writer.log.load(STREAM)
    assert history is not None
    upkeep = Upkeep(writer.log, STREAM, asyncio.Semaphore(1))
    upkeep.opened()
    upkeep.committed(history.head)
    await upkeep.sweep()
    assert len(names(writer.client.store, HEAD)) == 2


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.REQUEST_LOST])
async def test_an_archive_that_fails_leaves_the_log_and_the_head(fault: Fault) -> None:
    writer = Writer(Store())
    head = await rolled(writer, chunk_count=3)
    writer.meets(*[Fault.NONE] * 4, *[fault, Fault.NONE] * 6)
    assert await Upkeep(writer.log, STREAM, asyncio.Semaphore(1)).archive(head) is head
    writer.meets()
    assert len((await writer.append(head)).chunks) == 3


async def test_an_archive_that_another_writer_has_forestalled_is_not_insisted_on() -> None:
    store = Store()
    head = await rolled(Writer(store), chunk_count=3)
    ours = Writer(store, "late")
    archived = await Writer(store, "other").log.archive(STREAM, head)
    assert await Upkeep(ours.log, STREAM, asyncio.Semaphore(1)).archive(head) is head
    assert len(await ours.read()) == archived.position
