"""Fan-outs on the operator that ships: items are Jobs of their own, in windows, retried and counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from kipu.core.events import StepEvaluated, StepExpanded, StepScheduled
from kipu.shell.kube_http import Request
from kipu.shell.tasks import TRIES_AT_ONCE_MAX
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Status, TimeoutDone
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime
RETRY = {"maxAttempts": 2, "backoff": {"initial": "2s", "jitter": "None"}}


def labels(pod: dict[str, Any]) -> dict[str, str]:
    return dict(pod["metadata"]["labels"])


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0]["env"]}


async def test_a_step_is_run_once_for_each_item() -> None:
    seen: list[dict[str, Any]] = []

    def program(pod: dict[str, Any]) -> Program:
        seen.append(pod)
        return Program(run_seconds=1.0)

    server = ApiServer(programs=program)
    uid = apply(server, step("a"), step("shard", "a", forEach={"count": 3}), step("b", "shard"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    ran = Counter((labels(pod)["kipu.dev/step"], labels(pod).get("kipu.dev/index")) for pod in seen)
    assert ran == {("a", None): 1, ("b", None): 1, ("shard", "0"): 1, ("shard", "1"): 1, ("shard", "2"): 1}
    assert (await replayed(server, uid)).is_terminal
    shown = status(server)
    assert shown["progress"] == "3/3"
    assert [entry["name"] for entry in shown["steps"]] == ["a", "shard", "b"]
    assert shown["steps"][1]["items"] == {"total": 3, "running": 0, "succeeded": 3, "failed": 0}


async def test_each_program_finds_its_item_and_its_index() -> None:
    seen: dict[str, dict[str, str]] = {}

    def program(pod: dict[str, Any]) -> Program:
        variables = environment(pod)
        seen[variables["KIPU_ITEM"]] = variables
        return Program(run_seconds=1.0)

    server = ApiServer(programs=program)
    items = ["eu", 7, {"b": [True], "a": "$(HOME)"}]
    apply(server, {**step("shard", forEach={"items": items}), "script": "env | grep KIPU_"})
    async with operator(server):
        assert await ended(server) == "Succeeded"
    # The kubelet makes `$$` of a variable's value one `$`.
    by_index = {variables["KIPU_INDEX"]: item for item, variables in seen.items()}
    assert by_index == {"0": "eu", "1": "7", "2": '{"a":"$$(HOME)","b":[true]}'}
    assert {variables["KIPU_STEP"] for variables in seen.values()} == {"shard"}
    for identity in ("KIPU_ATTEMPT_ID", "KIPU_IDEMPOTENCY_KEY"):
        assert len({variables[identity] for variables in seen.values()}) == 3


async def test_no_more_items_run_at_once_than_may_and_one_that_fails_is_tried_again() -> None:
    def program(pod: dict[str, Any]) -> Program:
        own = labels(pod)
        fails = own["kipu.dev/index"] == "4" and own["kipu.dev/attempt"] == "1"
        return Program(run_seconds=2.0, exit_code=int(fails))

    server = ApiServer(programs=program)
    uid = apply(server, step("shard", forEach={"count": 12, "parallelism": 5}, retry=RETRY))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    starts = [(run.started, 1) for run in server.executions] + [(run.ended or 0, -1) for run in server.executions]
    running = most = 0
    for _, change in sorted(starts):
        running += change
        most = max(most, running)
    assert most == 5
    assert len(server.executions) == 13
    records = (await history(server, uid)).records
    attempts = Counter(record.event.step for record in records if isinstance(record.event, StepScheduled))
    assert attempts == {f"shard[{index}]": 1 + (index == 4) for index in range(12)}


async def test_a_shutdown_takes_every_item_down_and_leaves_no_pod() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=500.0))
    apply(server, step("shard", forEach={"count": 30, "parallelism": 6}))
    async with operator(server):
        await until(lambda: len(server.executions) == 6)

        def shut_down(workflow: dict[str, Any]) -> dict[str, Any]:
            workflow["spec"]["shutdown"] = {"mode": "Cancel"}
            return workflow

        server.update("workflows", "default", "w", shut_down)
        assert await ended(server) == "Cancelled"
    assert all(run.ended for run in server.executions)
    assert len(server.executions) == 6


@pytest.mark.proof
async def test_an_operator_that_dies_amid_a_fan_out_is_followed_by_one_that_goes_on() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=3.0))
    uid = apply(server, step("shard", forEach={"count": 20, "parallelism": 4}), step("b", "shard"))
    for life in range(6):
        async with operator(server, f"life-{life}"):
            goal = min(len(server.executions) + 3, 20)
            await until(lambda goal=goal: len(server.executions) >= goal)  # type: ignore[misc]
    async with operator(server, "last"):
        assert await ended(server) == "Succeeded"
    ran = Counter(run.job for run in server.executions)
    assert len(ran) == 21
    assert {*ran.values()} == {1}
    assert (await replayed(server, uid)).is_terminal


@pytest.mark.proof
async def test_old_jobs_of_a_fan_out_go_while_its_steps_rest_and_the_rest_after_it() -> None:
    server = ApiServer(
        programs=lambda pod: Program(run_seconds=60.0 if labels(pod)["kipu.dev/step"] == "last" else 1.0)
    )
    apply(server, step("shard", forEach={"count": 30, "parallelism": 3}), step("last", "shard"))
    async with operator(server, jobs_kept=5):
        await until(lambda: len(server.all("jobs")) >= 30)
        await until(lambda: len(server.all("jobs")) == 6)  # the last step runs
        assert status(server)["phase"] == "Running"
        assert await ended(server) == "Succeeded"
        await asyncio.sleep(10.0)
        assert len(server.all("jobs")) == 5


async def test_an_item_that_is_given_up_does_not_wait_for_the_others() -> None:
    def program(pod: dict[str, Any]) -> Program:
        own = labels(pod)
        hangs = own["kipu.dev/index"] == "0" and own["kipu.dev/attempt"] == "1"
        return Program(run_seconds=500.0 if hangs or own["kipu.dev/index"] == "1" else 1.0)

    server = ApiServer(programs=program)
    retry = {"maxAttempts": 2, "backoff": {"initial": "1s", "jitter": "None"}}
    apply(server, step("shard", forEach={"count": 2}, attemptTimeout="600s", retry=retry))
    async with operator(server):
        await until(lambda: len(server.executions) == 2)
        first = next(run for run in server.executions if run.step == "shard[0]")
        server.delete("jobs", "default", first.job, propagationPolicy="Background")
        await until(
            lambda: any(run.step == "shard[0]" and run.ended and run.attempt == "2" for run in server.executions)
        )
        assert server.time() < 60


async def test_the_items_come_from_what_a_step_has_written_and_what_they_write_is_gathered_in_order() -> None:
    joined: list[str] = []

    def program(pod: dict[str, Any]) -> Program:
        own = labels(pod)
        match own["kipu.dev/step"]:
            case "list":
                return Program(message='{"files": ["a", "b", "c"]}')
            case "shard":
                size = 10 * (1 + int(own["kipu.dev/index"]))
                return Program(run_seconds=3.0 - size / 20, message=f"size={size}\n")
        joined.append(environment(pod)["SIZES"])
        return Program()

    server = ApiServer(programs=program)
    named = [{"name": "NAME", "value": "${{ index }}-${{ item }}"}]
    uid = apply(
        server,
        step("list", outputs=[{"name": "files", "type": "Json"}]),
        step(
            "shard",
            "list",
            forEach={"expression": "steps.list.outputs.files"},
            outputs=[{"name": "size", "type": "Int"}],
            env=named,
        ),
        step("join", "shard", env=[{"name": "SIZES", "value": "${{ steps.shard.outputs.size }}"}]),
    )
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert joined == ["[10,20,30]"]
    records = [record.event for record in (await history(server, uid)).records]
    (expanded,) = [event for event in records if isinstance(event, StepExpanded)]
    assert expanded.items == ("a", "b", "c")
    texts = {event.step: event.values for event in records if isinstance(event, StepEvaluated)}
    assert texts["shard[2]"] == {"env[0].value": "2-c"}


@pytest.mark.proof
async def test_items_that_the_server_refuses_for_now_hold_no_other_step_up() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=1.0))

    def quota(_index: int, request: Request) -> Status | None:
        is_item = request.path.endswith("/jobs") and b'"kipu.dev/index"' in (request.body or b"")
        return Status(code=403, reason="Forbidden") if is_item else None

    server.faults = quota
    apply(server, step("shard", forEach={"count": 2 * TRIES_AT_ONCE_MAX}), step("z"), step("b", "z"))
    async with operator(server):
        async with asyncio.timeout(20):
            await until(lambda: [run.job.split("-")[1] for run in server.executions] == ["z", "b"])


@pytest.mark.proof
async def test_the_items_of_a_wide_workflow_do_not_all_stand_before_the_step_of_another() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=500.0))

    def slow(_index: int, request: Request) -> TimeoutDone | None:
        return TimeoutDone(seconds=1.0) if request.method == "POST" and request.path.endswith("/jobs") else None

    def jobs(workflow: str) -> int:
        return sum(job["metadata"]["labels"]["kipu.dev/workflow"] == workflow for job in server.all("jobs"))

    server.faults = slow
    apply(server, step("shard", forEach={"count": 400}), name="wide")
    async with operator(server):
        await until(lambda: jobs("wide") > 0)
        apply(server, step("a"), name="other")
        await until(lambda: jobs("other") == 1)
        assert jobs("wide") < 200
