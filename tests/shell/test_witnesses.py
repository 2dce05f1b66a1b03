"""A log that was rolled back is noticed by whoever has seen more of it; then nothing is touched any more."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from kipu.core.events import StepScheduled
from tests.fakes.apiserver import ApiServer
from tests.fakes.nodes import Program
from tests.shell.operating import apply, condition, history, operator, status, step, until

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


async def test_a_log_behind_its_status_stops_the_workflow_with_a_condition() -> None:
    server = ApiServer(programs=programs)
    uid, before = await under_way(server)
    roll_back(server, uid, before)
    async with operator(server, "second"):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
        await asyncio.sleep(60)
    assert condition(server, "Stalled")["reason"] == "HistoryRollback"
    assert [write for write in server.writes("second") if "/workflows/" not in write.path] == []


async def test_a_log_behind_its_jobs_stops_the_workflow_although_the_status_knows_nothing() -> None:
    server = ApiServer(programs=programs)
    uid, before = await under_way(server)
    roll_back(server, uid, before)
    forget_status(server)
    async with operator(server, "second"):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
        await asyncio.sleep(60)
    assert condition(server, "Stalled")["reason"] == "HistoryRollback"
    scheduled = [r.event.step for r in (await history(server, uid)).records if isinstance(r.event, StepScheduled)]
    assert scheduled == ["a"]
    assert [write for write in server.writes("second") if "/jobs" in write.path] == []
