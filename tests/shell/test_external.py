"""External steps over the fake API server: born suspended, released once, and never run again in silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Fault, Status, TimeoutDone, TimeoutNotDone
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime


def external(name: str, *needs: str, **fields: Any) -> dict[str, Any]:
    return step(name, *needs, effects="External", **fields)


async def test_its_program_begins_only_after_the_log_knows_the_uid_of_its_job() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=1.0))
    uid = apply(server, external("pay"), step("after", "pay"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    ran = next(run for run in server.executions if run.step == "pay")
    started = [r for r in (await history(server, uid)).records if type(r.event).__name__ == "StepStarted"]
    assert getattr(started[0].event, "job_uid", "") == ran.job_uid
    assert started[0].ts <= ran.started
    released = [write for write in server.writes("one") if write.method == "PATCH" and "/jobs/" in write.path]
    assert len(released) == 1


async def test_an_operator_that_dies_between_the_record_and_the_release_releases_it_later() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=1.0))
    uid = apply(server, external("pay"))
    async with operator(server):
        await until(lambda: server.all("jobs"))
        await until(lambda: [w for w in server.writes("one") if w.method == "PATCH" and "/configmaps/" in w.path])
    async with operator(server, "two"):
        assert await ended(server) == "Succeeded"
    assert [run.step for run in server.executions] == ["pay"]
    assert (await replayed(server, uid)).steps[0].attempts == 1


@pytest.mark.parametrize(
    "answer", [TimeoutDone(), TimeoutNotDone(), Status(code=422, reason="Invalid"), Status(code=403)]
)
async def test_a_release_without_a_good_answer_is_sent_again_and_runs_nothing_twice(answer: Fault) -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=1.0))
    lost: list[Any] = []

    def fault(_: int, request: Any) -> Any:
        if request.method == "PATCH" and "/jobs/" in request.path and not lost:
            lost.append(request)
            return answer
        return None

    server.faults = fault
    apply(server, external("pay"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert [run.step for run in server.executions] == ["pay"]


async def lose(server: ApiServer) -> None:
    """Delete the Job of `pay` while its program runs, and wait until the status asks."""
    await until(lambda: server.executions)
    await asyncio.sleep(2.0)
    job = next(job for job in server.all("jobs") if job["metadata"]["labels"]["kipu.dev/step"] == "pay")
    server.delete("jobs", "default", job["metadata"]["name"])
    await until(lambda: status(server).get("reason") == "Unknown")


def say(server: ApiServer, decision: str, attempt: int = 1) -> None:
    def said(body: dict[str, Any]) -> dict[str, Any]:
        one = {"step": "pay", "run": 1, "attempt": attempt, "decision": decision, "by": "ann"}
        body["spec"]["resolutions"] = [*body["spec"].get("resolutions", []), one]
        return body

    server.amend("workflows", "default", "w", said)


@pytest.mark.parametrize(("decision", "end", "runs"), [("Succeed", "Succeeded", 1), ("Fail", "Failed", 1)])
async def test_a_person_says_what_became_of_it(decision: str, end: str, runs: int) -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=30.0))
    apply(server, external("pay", retry={"maxAttempts": 3}), step("after", "pay"))
    async with operator(server):
        await lose(server)
        shown = status(server)
        assert shown["counts"]["unknown"] == 1
        assert "spec.resolutions" in shown["message"]
        assert shown["phase"] == "Running"
        say(server, decision)
        assert await ended(server) == end
    assert len([run for run in server.executions if run.step == "pay"]) == runs
    assert "SpecChanged" not in [each["type"] for each in status(server)["conditions"] if each["status"] == "True"]


async def test_a_word_that_was_there_before_is_heard_when_it_is_asked_for() -> None:
    """Or what a run comes to would depend on whether the operator was started anew meanwhile."""
    server = ApiServer(programs=lambda _: Program(run_seconds=30.0))
    apply(server, external("pay"))
    async with operator(server):
        await until(lambda: server.executions)
        say(server, "Succeed")
        await asyncio.sleep(2.0)
        for job in server.all("jobs"):
            server.delete("jobs", "default", job["metadata"]["name"])
        assert await ended(server) == "Succeeded"


async def test_a_person_says_that_it_is_to_be_tried_again() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0))
    uid = apply(server, external("pay"))
    async with operator(server):
        await lose(server)
        say(server, "Retry")
        assert await ended(server) == "Succeeded"
    assert (await replayed(server, uid)).steps[0].attempts == 2
    assert [run.attempt for run in server.executions] == ["1", "2"]
