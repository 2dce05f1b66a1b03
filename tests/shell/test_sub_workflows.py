"""Steps that are Workflows of their own, through the operator that ships, in virtual time (looptime)."""

from __future__ import annotations

import asyncio

import pytest

from kipu.core.events import AttemptFailed, Reason, StepStarted, StepSucceeded
from kipu.core.naming import job_name
from kipu.shell.kube_http import Request
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Delayed, Fault
from tests.fakes.nodes import Program
from tests.shell.nesting import SLOW, by_step, child, children, edit, nested, phase, ran, running, template
from tests.shell.operating import apply, condition, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime


async def test_the_step_is_done_when_its_child_is() -> None:
    server = ApiServer()
    template(server, step("one"), step("two", "one"))
    uid = apply(server, step("before"), nested("train", "before"), step("after", "train"), priority=7)
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert ran(server) == ["before", "one", "two", "after"]
    body = child(server)
    assert body["status"]["phase"] == "Succeeded"
    assert body["metadata"]["labels"]["kipu.dev/step"] == "train"
    assert body["metadata"]["annotations"]["kipu.dev/depth"] == "1"
    assert body["spec"]["priority"] == 7
    events = [record.event for record in (await history(server, uid)).records]
    started = {e.job_uid for e in events if isinstance(e, StepStarted | StepSucceeded) and e.step == "train"}
    assert started == {body["metadata"]["uid"]}
    assert (await replayed(server, uid)).steps[1].exit_code is None


async def test_a_child_is_no_job_that_is_deleted_early() -> None:
    server = ApiServer()
    template(server, step("one"))
    apply(server, nested("train"), step("after", "train"))
    async with operator(server, jobs_kept=0):
        assert await ended(server) == "Succeeded"
        await asyncio.sleep(10)
    deleted = {sent.path.rpartition("/")[2] for sent in server.writes("one") if sent.method == "DELETE"}
    assert child(server)["metadata"]["name"] not in deleted


# -- what it is given --------------------------------------------------------------------------------------------


async def test_params_keep_their_types_and_an_item_reaches_its_child() -> None:
    server = ApiServer()
    params = [{"name": "who"}, {"name": "times", "type": "Int"}, {"name": "all", "type": "List"}]
    template(server, step("one", env=[{"name": "WHO", "value": "${{ params.who }}"}]), params=params)
    given = {"who": "x-${{ item }}$(HOME)", "times": "${{ index + params.base }}", "all": "${{ params.list }}"}
    fan = nested("train", params=given, forEach={"items": ["a", "b"]})
    apply(server, fan, params=[{"name": "base", "value": 40}, {"name": "list", "value": [1, "z"]}])
    async with operator(server):
        assert await ended(server) == "Succeeded"
    found = sorted([param["value"] for param in each["spec"]["params"]] for each in children(server))
    assert found == [["x-a$(HOME)", 40, [1, "z"]], ["x-b$(HOME)", 41, [1, "z"]]]


# -- how it may fail ---------------------------------------------------------------------------------------------


async def test_a_child_that_failed_is_tried_again_as_another_one() -> None:
    fails = iter([1, 0])
    server = ApiServer(programs=lambda _: Program(exit_code=next(fails)))
    template(server, step("one"))
    uid = apply(server, nested("train", retry={"maxAttempts": 2}))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert [each["status"]["phase"] for each in children(server)] == ["Failed", "Succeeded"]
    failed = [r.event for r in (await history(server, uid)).records if isinstance(r.event, AttemptFailed)]
    assert [event.reason for event in failed] == [Reason.CHILD_FAILED]
    name = children(server)[0]["metadata"]["name"]
    assert failed[0].message.startswith(f"Workflow '{name}' has ended as Failed: step 'one' failed (ExitCode)")


async def test_a_template_that_is_not_there_fails_the_step_and_says_so() -> None:
    server = ApiServer()
    apply(server, nested("train"))
    async with operator(server):
        assert await ended(server) == "Failed"
    assert child(server)["status"]["phase"] == "Rejected"
    assert "there is no template 'train' here" in status(server)["message"]


async def test_a_child_that_a_person_cancels_has_failed() -> None:
    server = ApiServer(programs=lambda _: SLOW)
    template(server, step("one"))
    apply(server, nested("train"))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        edit(server, child(server)["metadata"]["name"], shutdown={"mode": "Cancel"})
        assert await ended(server) == "Failed"
    assert "has ended as Cancelled" in status(server)["message"]


async def test_a_name_that_somebody_else_holds_is_left_alone() -> None:
    server = ApiServer()
    template(server, step("one"))
    uid = apply(server, step("before"), nested("train", "before"))
    name = job_name(workflow="w", workflow_uid=uid, run=1, step="train", attempt=1)
    apply(server, step("theirs"), name=name)
    async with operator(server):
        assert await ended(server) == "Failed"
    assert "(JobNameTaken)" in status(server)["message"]
    assert ran(server).count("theirs") == 1


async def test_who_forges_a_child_of_ours_is_not_believed() -> None:
    server = ApiServer(programs=by_step(one=Program(run_seconds=30.0)))
    template(server, step("one"))
    uid = apply(server, nested("train"), step("after", "train"))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        labels = child(server)["metadata"]["labels"]
        forged = {
            "kind": "Workflow",
            "metadata": {"name": "forged", "labels": labels, "annotations": {"kipu.dev/intent": "2:00"}},
            "spec": {"templateRef": {"name": "none"}},
        }
        server.create(forged)
        await until(lambda: status(server, "forged").get("phase") == "Rejected")
        await asyncio.sleep(5)
        assert phase(server, "train") == "Running"
        assert await ended(server) == "Succeeded"
    assert (await replayed(server, uid)).phase == "Succeeded"


# -- how it is ended ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["Cancel", "Terminate"])
async def test_who_cancels_the_workflow_cancels_its_child_and_cancelled_means_gone(mode: str) -> None:
    server = ApiServer(programs=by_step(one=Program(run_seconds=1_000.0, stop_seconds=8.0)))
    template(server, step("one"), finally_=[step("tidy")])
    apply(server, nested("train"))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        edit(server, shutdown={"mode": mode})
        await until(lambda: phase(server, "train") == "Cancelled")
        assert running(server) == []
        assert await ended(server) == "Cancelled"
    assert child(server)["status"]["phase"] == "Cancelled"
    assert child(server)["spec"]["shutdown"] == {"mode": mode, "run": 1}
    assert ran(server) == ["one"] + ["tidy"] * (mode == "Cancel")


async def test_a_termination_reaches_a_child_that_is_being_cancelled_already() -> None:
    server = ApiServer(programs=by_step(one=SLOW, tidy=SLOW))
    template(server, step("one"), finally_=[step("tidy")])
    apply(server, nested("train"))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        edit(server, shutdown={"mode": "Cancel"})
        await until(lambda: running(server) == ["tidy"])
        edit(server, shutdown={"mode": "Terminate"})
        assert await ended(server) == "Cancelled"
    assert running(server) == []


async def test_a_drain_lets_the_child_end_by_itself() -> None:
    server = ApiServer()
    template(server, step("one"), step("two", "one"))
    apply(server, nested("train"), step("after", "train"))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        edit(server, shutdown={"mode": "Drain"})
        assert await ended(server) == "Cancelled"
    assert phase(server, "train") == "Succeeded"
    assert ran(server) == ["one", "two"]


async def test_a_step_s_timeout_takes_its_child_down() -> None:
    server = ApiServer(programs=lambda _: SLOW)
    template(server, step("one"))
    apply(server, nested("train", timeout="20s"))
    async with operator(server):
        assert await ended(server) == "Failed"
    assert running(server) == []
    assert child(server)["status"]["phase"] == "Cancelled"
    assert "step not finished within 20 s" in status(server)["message"]


async def test_a_cancel_before_the_child_exists_leaves_a_placeholder_that_runs_nothing() -> None:
    server = ApiServer()
    template(server, step("one"), finally_=[step("tidy")])
    apply(server, nested("train"))

    created: list[Request] = []

    def slow_create(_index: int, request: Request) -> Fault | None:
        if (
            request.method != "POST"
            or not request.path.endswith("/workflows")
            or b"placeholder" in (request.body or b"")
        ):
            return None
        created.append(request)
        return Delayed(seconds=5.0)

    async with operator(server, faults=slow_create):
        await until(lambda: created)
        edit(server, shutdown={"mode": "Cancel"})
        assert await ended(server) == "Cancelled"
        await asyncio.sleep(20)
    body = child(server)
    assert body["metadata"]["annotations"]["kipu.dev/placeholder"] == "true"
    assert body["status"]["phase"] == "Cancelled"
    assert ran(server) == []


async def test_who_deletes_the_workflow_deletes_its_children() -> None:
    server = ApiServer(programs=lambda _: SLOW)
    template(server, nested("deeper", of="leaf"))
    template(server, step("one"), name="leaf")
    apply(server, nested("train"))
    async with operator(server):
        await until(lambda: running(server) == ["one"])
        assert len(server.all("workflows")) == 3
        server.delete("workflows", "default", "w")
        await until(lambda: not server.all("workflows") and not server.all("pods") and not server.all("configmaps"))


# -- bounds ------------------------------------------------------------------------------------------------------


async def test_with_one_place_in_the_operator_nested_workflows_do_not_lock_each_other_out() -> None:
    server = ApiServer()
    template(server, nested("x", of="leaf"), nested("y", of="leaf"), step("z"))
    template(server, step("one"), name="leaf")
    apply(server, nested("a"), nested("b"), step("c"), parallelism=1)
    async with operator(server, parallelism=1):
        assert await ended(server) == "Succeeded"
    assert sorted(ran(server)) == ["c", "one", "one", "one", "one", "z", "z"]


@pytest.mark.proof
async def test_a_fan_out_of_children_has_ten_at_once_unless_it_says_otherwise() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0))
    template(server, step("one"))
    apply(server, nested("train", forEach={"count": 25}))
    most = 0

    def watched() -> bool:
        nonlocal most
        most = max(most, sum(each.get("status", {}).get("phase") != "Succeeded" for each in children(server)))
        return condition(server, "Finished").get("status") == "True"

    async with operator(server):
        await until(watched)
    assert status(server)["phase"] == "Succeeded"
    assert most == 10
    assert len(children(server)) == 25


async def test_a_template_that_names_itself_comes_to_an_end() -> None:
    server = ApiServer()
    template(server, nested("again"))
    apply(server, nested("train"))
    async with operator(server):
        assert await ended(server) == "Failed"
    assert len(server.all("workflows")) == 9
    (deepest,) = [
        w for w in server.all("workflows") if w["metadata"].get("annotations", {}).get("kipu.dev/depth") == "8"
    ]
    assert deepest["status"]["phase"] == "Rejected"
    assert "sub-workflows may stand 8 deep" in deepest["status"]["message"]


async def test_a_child_is_kept_until_its_parent_goes() -> None:
    server = ApiServer()
    template(server, step("one"), ttlAfterFinished="1s")
    apply(server, nested("train"), step("after", "train"), ttlAfterFinished="100s")
    async with operator(server, ttl_after_finished="1s"):
        assert await ended(server) == "Succeeded"
        await asyncio.sleep(60)
        assert len(children(server)) == 1
        await until(lambda: not server.all("workflows"))


# -- more than one life ------------------------------------------------------------------------------------------


async def test_a_child_that_ends_while_no_operator_looks_is_heard_of_at_the_next_start() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=30.0))
    template(server, step("one"))
    uid = apply(server, nested("train"), step("after", "train"))
    async with operator(server, "first"):
        await until(lambda: running(server) == ["one"])
    async with operator(server, "second"):
        assert await ended(server) == "Succeeded"
    assert ran(server) == ["one", "after"]
    assert len(children(server)) == 1
    assert (await replayed(server, uid)).phase == "Succeeded"


async def test_a_child_that_is_deleted_while_no_operator_looks_is_lost() -> None:
    server = ApiServer(programs=lambda _: SLOW)
    template(server, step("one"))
    apply(server, nested("train"))
    async with operator(server, "first"):
        await until(lambda: phase(server, "train") == "Running" and running(server) == ["one"])
    server.delete("workflows", "default", child(server)["metadata"]["name"])
    async with operator(server, "second"):
        assert await ended(server) == "Failed"
    assert "(Lost)" in status(server)["message"]
    assert running(server) == []


async def test_a_child_that_is_run_again_before_its_end_was_heard_counts_by_its_newest_run() -> None:
    fails = iter([1, 0])
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0, exit_code=next(fails)))
    template(server, step("one"))
    apply(server, nested("train"))
    async with operator(server, "first"):
        await until(lambda: running(server) == ["one"])
        name = child(server)["metadata"]["name"]
        edit(server, name, rerun={"number": 2})
        assert await ended(server) == "Succeeded"
    assert child(server)["status"]["run"] == 2
