"""Steps of several pods, over the fake API server: all must succeed, one failure ends the attempt."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer
from tests.fakes.job_status import INDEX
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, operator, replayed, status, step

pytestmark = pytest.mark.looptime

INDEXED = {"completions": 3, "parallelism": 3, "completionMode": "Indexed"}


async def test_a_step_of_three_pods_succeeds_once_all_of_them_have() -> None:
    server = ApiServer(programs=lambda pod: Program(run_seconds=float(index(pod))))
    apply(server, step("a", job=INDEXED), step("b", "a"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    ran = [(run.step, run.attempt) for run in server.executions]
    assert sorted(ran) == [("a", "1")] * 3 + [("b", "1")]
    last = max(run.ended or 0 for run in server.executions if run.step == "a")
    assert all(run.started >= last for run in server.executions if run.step == "b")


async def test_one_pod_that_fails_ends_the_attempt_and_the_retry_begins_all_anew() -> None:
    def program(pod: dict[str, Any]) -> Program:
        first = pod["metadata"]["labels"]["kipu.dev/attempt"] == "1"
        return Program(run_seconds=1.0, exit_code=7) if first and index(pod) == 1 else Program(run_seconds=50.0)

    server = ApiServer(programs=program)
    uid = apply(server, step("a", job=INDEXED, retry={"maxAttempts": 2}))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    (found,) = (await replayed(server, uid)).steps
    assert (found.attempts, found.failures) == (2, 1)
    assert status(server)["steps"][0]["attempts"] == 2


def index(pod: dict[str, Any]) -> int:
    return int(pod["metadata"].get("annotations", {}).get(INDEX, 0))
