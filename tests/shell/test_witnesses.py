"""A log that was rolled back is noticed by whoever has seen more of it; then nothing is touched any more."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from kipu.core.events import StreamClaimed
from kipu.eventlog.ports import Head, History, LogMissing, Recorded
from kipu.shell.kube_http import Request
from kipu.shell.witnesses import HistoryRollback, check_earlier, contradicts
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Fault, Status
from tests.fakes.nodes import Program
from tests.shell.operating import apply, condition, operator, status, step, until

pytestmark = pytest.mark.looptime


def head(server: ApiServer, uid: str) -> dict[str, Any]:
    return copy.deepcopy(server.get("configmaps", "default", f"kipu-log-{uid}") or {})


async def under_way(server: ApiServer) -> tuple[str, dict[str, Any]]:
    """A Workflow whose second step runs, left by its operator; its uid, and its head from before that step."""
    uid = apply(server, step("a"), step("b", "a"))
    async with operator(server, "first"):
        await until(lambda: len(server.executions) == 1 and status(server).get("counts", {}).get("running"))
        before = head(server, uid)
        await until(lambda: len(server.executions) == 2 and status(server).get("counts", {}).get("succeeded"))
        await asyncio.sleep(5)
    return uid, before


def roll_back(server: ApiServer, uid: str, before: dict[str, Any]) -> None:
    server.update("configmaps", "default", f"kipu-log-{uid}", lambda stored: {**stored, "data": before["data"]})


def forget_status(server: ApiServer) -> None:
    server.update("workflows", "default", "w", lambda workflow: {**workflow, "status": {}}, status=True)


def programs(pod: dict[str, Any]) -> Program:
    return Program(run_seconds=5.0 if pod["metadata"]["labels"]["kipu.dev/step"] == "a" else 500.0)


async def test_a_log_behind_an_earlier_session_of_this_process_stops_the_workflow() -> None:
    """Neither its status nor a Job tells: the session that has gone on is the only witness."""
    mute = False
    server = ApiServer(programs=programs)

    def refuse(_number: int, request: Request) -> Fault | None:
        return Status(code=403) if mute and request.path.endswith("/status") else None

    uid = apply(server, step("a"), step("b", "a"))
    async with operator(server, faults=refuse):
        await until(lambda: len(server.executions) == 1 and status(server).get("counts", {}).get("running"))
        before = head(server, uid)
        await until(lambda: len(server.executions) == 2 and status(server).get("counts", {}).get("succeeded"))
        await asyncio.sleep(5)
        mute = True
        roll_back(server, uid, before)
        forget_status(server)
        for job in server.all("jobs"):
            server.delete("jobs", "default", job["metadata"]["name"], propagationPolicy="Background")
        await until(lambda: not server.all("jobs"))
        await asyncio.sleep(3)
        mute = False
        await until(lambda: condition(server, "Stalled").get("status") == "True")
    assert condition(server, "Stalled")["reason"] == "HistoryRollback"


async def test_a_log_behind_its_status_stops_the_workflow_with_a_condition() -> None:
    server = ApiServer(programs=programs)
    uid, before = await under_way(server)
    roll_back(server, uid, before)
    for job in server.all("jobs"):
        server.delete(
            "jobs", "default", job["metadata"]["name"], propagationPolicy="Background"
        )  # they would tell, too
    await until(lambda: not server.all("jobs"))
    async with operator(server, "second"):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
        await asyncio.sleep(60)
    assert condition(server, "Stalled")["reason"] == "HistoryRollback"
    assert [write for write in server.writes("second") if "/workflows/" not in write.path] == []


@pytest.mark.parametrize("late_seconds", [0, 20])
async def test_a_log_behind_its_jobs_stops_the_workflow_although_the_status_knows_nothing(late_seconds: int) -> None:
    """Also where the lists are late: nothing is concluded from what has not come yet."""
    server = ApiServer(programs=programs)
    uid, before = await under_way(server)
    roll_back(server, uid, before)
    forget_status(server)
    begun = server.time()

    def late(_number: int, request: Request) -> Fault | None:
        is_early = server.time() < begun + late_seconds
        return Status(code=503) if is_early and request.path in ("/apis/batch/v1/jobs", "/api/v1/pods") else None

    async with operator(server, "second", faults=late):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
        await asyncio.sleep(60)
    assert condition(server, "Stalled")["reason"] == "HistoryRollback"
    assert [write for write in server.writes("second") if "/workflows/" not in write.path] == []


async def test_a_log_behind_its_jobs_does_not_go_on_for_what_the_spec_asks_meanwhile() -> None:
    server = ApiServer(programs=programs)
    uid = apply(server, step("a"), step("b", "a"))

    def suspend(is_suspended: bool) -> None:
        server.update("workflows", "default", "w", lambda w: {**w, "spec": {**w["spec"], "suspend": is_suspended}})

    async with operator(server, "first"):
        await until(lambda: len(server.executions) == 1)
        suspend(True)
        await until(lambda: status(server).get("counts", {}).get("succeeded"))
        await asyncio.sleep(5)
        before = head(server, uid)
        suspend(False)
        await until(lambda: len(server.executions) == 2)
    roll_back(server, uid, before)
    forget_status(server)
    async with operator(server, "second"):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
    assert condition(server, "Stalled")["reason"] == "HistoryRollback"
    assert [write for write in server.writes("second") if "/workflows/" not in write.path] == []


def head_at(position: int, digest: str) -> Head:
    return Head(position=position, hash=digest, epoch=1)


def history_to(position: int) -> History:
    claimed = StreamClaimed(epoch=1, writer="w")
    records = [Recorded(position=n, epoch=1, ts=n, hash=f"h{n}", event=claimed) for n in range(1, position + 1)]
    return History(head=head_at(position, f"h{position}"), records=tuple(records))


def test_what_an_earlier_session_of_the_process_has_seen_must_be_in_the_log() -> None:
    check_earlier(None, None)
    check_earlier(head_at(3, "h3"), history_to(3))
    check_earlier(head_at(3, "h3"), history_to(5))
    with pytest.raises(HistoryRollback):
        check_earlier(head_at(3, "h3"), history_to(2))
    with pytest.raises(HistoryRollback):
        check_earlier(head_at(3, "another"), history_to(5))
    with pytest.raises(LogMissing):
        check_earlier(head_at(3, "h3"), None)


@pytest.mark.parametrize(
    ("position", "digest", "found"),
    [(4, "h4", False), (5, "h5", False), (5, "other", True), (6, "h6", True), (None, None, False)],
)
def test_a_session_that_the_status_contradicts_does_not_go_on(
    position: int | None, digest: str | None, found: bool
) -> None:
    """Two wrote, and the log was cut to where one of them stood: the next append would succeed."""
    status: dict[str, Any] = {} if position is None else {"log": {"position": position, "hash": digest}}
    assert contradicts(status, head_at(5, "h5")) is found
    assert contradicts(status, None) is (position is not None)
