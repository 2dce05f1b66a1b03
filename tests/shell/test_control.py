"""What people ask of a run through its spec, from the edit to the cluster: the operator over the fake API server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kipu.core.state import canonical
from tests.fakes.apiserver import ApiServer
from tests.fakes.nodes import Program
from tests.shell.operating import apply, condition, ended, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime
SLOW = Program(run_seconds=30.0)


def edit(server: ApiServer, **spec: Any) -> None:
    server.update("workflows", "default", "w", lambda w: {**w, "spec": {**w["spec"], **spec}})


def ran(server: ApiServer) -> list[str]:
    return [each.step for each in server.executions]


def phases(server: ApiServer) -> dict[str, str]:
    return {each["name"]: each["phase"] for each in status(server).get("steps", [])}


def environment(server: ApiServer, name: str) -> dict[str, str]:
    """Of the newest Job of this step."""
    jobs = [job for job in server.all("jobs") if job["metadata"]["labels"]["kipu.dev/step"] == name]
    newest = max(jobs, key=lambda job: int(job["metadata"]["resourceVersion"]))
    (container,) = newest["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def fails_in_run(number: int, name: str) -> Any:
    def program(pod: dict[str, Any]) -> Program:
        labels = pod["metadata"]["labels"]
        fails = labels["kipu.dev/step"] == name and labels["kipu.dev/run"] == str(number)
        return Program(run_seconds=1.0, exit_code=int(fails))

    return program


# -- suspend -----------------------------------------------------------------------------------------------------


async def test_a_workflow_that_is_created_suspended_runs_once_it_is_resumed() -> None:
    server = ApiServer()
    apply(server, step("a"), suspend=True)
    async with operator(server):
        await until(lambda: status(server).get("phase") == "Suspended")
        await asyncio.sleep(60)
        assert ran(server) == []
        assert condition(server, "Suspended")["status"] == "True"
        edit(server, suspend=False)
        assert await ended(server) == "Succeeded"
    assert condition(server, "Suspended")["status"] == "False"


async def test_a_suspension_that_was_asked_for_while_no_operator_ran_starts_nothing() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0))
    apply(server, step("a"), step("b", "a"))
    async with operator(server, "first"):
        await until(lambda: ran(server) == ["a"])
    edit(server, suspend=True)
    await asyncio.sleep(60)
    async with operator(server, "second"):
        await until(lambda: phases(server).get("a") == "Succeeded")
        await asyncio.sleep(60)
        assert ran(server) == ["a"]
        assert status(server)["message"] == "spec.suspend is true: nothing new starts; Jobs that run: 0"


# -- finally -----------------------------------------------------------------------------------------------------


async def test_a_step_of_finally_knows_what_the_others_came_to() -> None:
    server = ApiServer(programs=lambda pod: Program(exit_code=int(pod["metadata"]["labels"]["kipu.dev/step"] == "a")))
    apply(server, step("a"), finally_=[step("notify")])
    async with operator(server):
        assert await ended(server) == "Failed"
    assert ran(server) == ["a", "notify"]
    assert environment(server, "notify")["KIPU_OUTCOME"] == "Failed"
    assert "KIPU_OUTCOME" not in environment(server, "a")


async def test_finally_is_taken_up_by_the_next_operator() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0))
    apply(server, step("a"), finally_=[step("one"), step("two", "one")])
    async with operator(server, "first"):
        await until(lambda: status(server).get("phase") == "Finalizing")
    async with operator(server, "second"):
        assert await ended(server) == "Succeeded"
    assert ran(server) == ["a", "one", "two"]


# -- approvals and waits -----------------------------------------------------------------------------------------


async def test_an_answer_goes_on_with_the_run_and_who_gave_it_is_kept() -> None:
    server = ApiServer()
    uid = apply(server, {"name": "publish", "approval": {"message": "Publish?"}}, step("after", "publish"))
    async with operator(server):
        await until(lambda: phases(server).get("publish") == "Suspended")
        assert status(server)["message"] == "step 'publish': waits for an answer in spec.approvals: Publish?"
        edit(server, approvals=[{"step": "publish", "decision": "Approve", "by": "ann"}])
        assert await ended(server) == "Succeeded"
    assert (await replayed(server, uid)).steps[0].message == "Approve by ann"


async def test_an_answer_that_was_given_before_it_was_asked_for_counts() -> None:
    server = ApiServer()
    answer = {"step": "publish", "decision": "Reject", "by": "ann", "message": "not today"}
    apply(server, step("a"), {"name": "publish", "dependsOn": ["a"], "approval": {}}, approvals=[answer])
    async with operator(server):
        assert await ended(server) == "Failed"
    assert status(server)["message"] == "step 'publish' failed (Refused): rejected by ann: not today"


async def test_an_answer_to_nobody_is_shown_as_ignored() -> None:
    server = ApiServer()
    answer = {"step": "publich", "decision": "Approve", "by": "ann"}
    apply(server, {"name": "publish", "approval": {}}, approvals=[answer])
    async with operator(server):
        await until(lambda: condition(server, "RequestIgnored"))
    message = condition(server, "RequestIgnored")["message"]
    assert message == "spec.approvals: there is no step 'publich': did you mean 'publish'?"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chargee", "there is no step 'chargee': did you mean 'charge'?"),
        ("plain", "step 'plain' asks nobody: only one with effects External and onUnknown Ask does"),
        ("sure", "step 'sure' asks nobody: only one with effects External and onUnknown Ask does"),
    ],
)
async def test_a_word_about_a_step_that_asks_nobody_is_shown_as_ignored(name: str, message: str) -> None:
    server = ApiServer()
    said = {"step": name, "attempt": 1, "decision": "Fail", "by": "ann"}
    external = {"effects": "External"}
    steps = [
        {**step("charge"), **external},
        {**step("sure"), **external, "onUnknown": "Fail"},
        step("plain"),
        {"name": "hold", "approval": {}},
    ]
    apply(server, *steps, resolutions=[said, {**said, "step": "charge"}])
    async with operator(server):
        await until(lambda: condition(server, "RequestIgnored"))
    assert condition(server, "RequestIgnored")["message"] == f"spec.resolutions: {message}"


async def test_a_wait_is_over_in_time_whoever_watches() -> None:
    server = ApiServer()
    apply(server, {"name": "pause", "wait": {"duration": "1h"}}, step("after", "pause"))
    async with operator(server, "first"):
        await until(lambda: phases(server).get("pause") == "Suspended")
        assert "waits until" in status(server)["running"][0]["message"]
    await asyncio.sleep(4_000)
    async with operator(server, "second"):
        assert await ended(server) == "Succeeded"


# -- reruns ------------------------------------------------------------------------------------------------------


async def test_a_workflow_that_has_failed_is_run_again_from_where_it_failed() -> None:
    server = ApiServer(programs=fails_in_run(1, "b"))
    uid = apply(server, step("a"), step("b", "a"), finally_=[step("notify")])
    async with operator(server):
        assert await ended(server) == "Failed"
        await asyncio.sleep(30)
        first = environment(server, "b")
        edit(server, rerun={"number": 2})
        await until(lambda: status(server)["phase"] == "Succeeded")
        assert await ended(server) == "Succeeded"
    assert ran(server) == ["a", "b", "notify", "b", "notify"]
    assert status(server)["run"] == 2
    assert environment(server, "b")["KIPU_IDEMPOTENCY_KEY"] == first["KIPU_IDEMPOTENCY_KEY"]
    assert canonical(await replayed(server, uid))


async def test_a_step_that_is_asked_for_by_name_runs_again_with_another_key() -> None:
    server = ApiServer()
    apply(server, step("a"), step("b", "a"), step("c"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
        first = environment(server, "a")
        edit(server, rerun={"number": 2, "from": ["a"]})
        await until(lambda: status(server)["run"] == 2 and status(server)["phase"] == "Succeeded")
    assert sorted(ran(server)) == ["a", "a", "b", "b", "c"]
    assert environment(server, "a")["KIPU_IDEMPOTENCY_KEY"] != first["KIPU_IDEMPOTENCY_KEY"]


async def test_a_run_that_is_asked_for_while_the_first_one_runs_opens_after_it() -> None:
    server = ApiServer(programs=fails_in_run(1, "a"))
    apply(server, step("a"))
    async with operator(server):
        await until(lambda: ran(server) == ["a"])
        edit(server, rerun={"number": 2})
        await until(lambda: status(server).get("phase") == "Succeeded")
    assert ran(server) == ["a", "a"]


async def test_a_rerun_that_was_asked_for_while_no_operator_ran_is_taken_up() -> None:
    server = ApiServer(programs=fails_in_run(1, "a"))
    apply(server, step("a"))
    async with operator(server, "first"):
        assert await ended(server) == "Failed"
        await asyncio.sleep(5)
    edit(server, rerun={"number": 2})
    async with operator(server, "second"):
        await until(lambda: status(server)["phase"] == "Succeeded")


@pytest.mark.parametrize("rerun", [{"number": 3}, {"number": 2, "from": ["b"]}])
async def test_a_rerun_that_cannot_be_is_refused_with_a_reason(rerun: dict[str, Any]) -> None:
    server = ApiServer()
    apply(server, step("a"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
        edit(server, rerun=rerun)
        await until(lambda: condition(server, "RequestIgnored"))
        assert condition(server, "RequestIgnored")["message"].startswith("spec.rerun")
        await asyncio.sleep(60)
    assert ran(server) == ["a"]
    assert status(server)["phase"] == "Succeeded"


async def test_a_workflow_that_is_run_again_is_not_deleted_for_the_end_of_its_first_run() -> None:
    server = ApiServer(programs=lambda _: SLOW)
    apply(server, step("a"), ttlAfterFinished="20s")
    async with operator(server):
        assert await ended(server) == "Succeeded"
        edit(server, rerun={"number": 2, "from": ["a"]})
        await until(lambda: len(ran(server)) == 2)
        await asyncio.sleep(25)
        assert status(server)["phase"] == "Running"
        await until(lambda: server.get("workflows", "default", "w") is None)


async def test_an_operator_that_dies_in_the_second_run_is_followed_by_one_that_ends_it() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=10.0))
    apply(server, step("a"), step("b", "a"))
    async with operator(server, "first"):
        assert await ended(server) == "Succeeded"
        edit(server, rerun={"number": 2, "from": ["b"]})
        await until(lambda: len(ran(server)) == 3)
    async with operator(server, "second"):
        await until(lambda: status(server)["phase"] == "Succeeded")
    assert ran(server) == ["a", "b", "b"]


async def test_a_drain_waits_for_what_runs() -> None:
    server = ApiServer(programs=lambda _: SLOW)
    apply(server, step("a"), step("b", "a"))
    async with operator(server):
        await until(lambda: ran(server) == ["a"])
        edit(server, shutdown={"mode": "Drain"})
        assert await ended(server) == "Cancelled"
    assert phases(server) == {"a": "Succeeded", "b": "Cancelled"}


# -- places ------------------------------------------------------------------------------------------------------


@pytest.mark.proof
@pytest.mark.parametrize(
    ("settings", "spec", "why"),
    [
        ({"parallelism": 1}, {}, "one of the 1 places of the operator"),
        ({"parallelism_per_namespace": 1}, {}, "one of the 1 places of namespace 'default'"),
        ({}, {"parallelism": 1}, "one of the 1 places of the workflow (spec.parallelism)"),
    ],
)
async def test_why_a_step_waits_for_a_place_is_in_the_status(
    settings: dict[str, Any], spec: dict[str, Any], why: str
) -> None:
    server = ApiServer(programs=lambda _: SLOW)
    apply(server, step("a"), step("b"), step("c"), **spec)
    async with operator(server, **settings):
        await until(lambda: phases(server).get("a") == "Running")
        assert status(server)["message"] == f"step 'b' (and 1 more): waits for {why}"
        await until(lambda: phases(server).get("b") == "Running")
        assert status(server)["message"] == f"step 'c': waits for {why}"
        assert await ended(server) == "Succeeded"


async def test_places_that_come_free_go_to_the_highest_priority() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0))
    async with operator(server, parallelism=1):
        apply(server, step("a"), step("b", "a"), step("c", "b"), name="low", priority=-1)
        await until(lambda: ran(server) == ["a"])
        apply(server, step("x"), name="usual")
        apply(server, step("y"), step("z", "y"), name="high", priority=9)
        for name in ("low", "usual", "high"):
            assert await ended(server, name) == "Succeeded"
    assert ran(server) == ["a", "y", "z", "x", "b", "c"]
