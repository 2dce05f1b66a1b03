"""Workflows that name a WorkflowTemplate, through the operator that ships, in virtual time (looptime)."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.core.events import WorkflowAccepted
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Fault, Status
from tests.fakes.nodes import Program
from tests.shell.operating import condition, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime
STEPS = [step("one"), step("two", "one")]


def template(server: ApiServer, name: str = "etl", **spec: Any) -> None:
    body = {"defaults": {"image": "busybox:1.36"}, "steps": STEPS, **spec}
    server.create({"kind": "WorkflowTemplate", "metadata": {"name": name}, "spec": body})


def submit(server: ApiServer, *params: dict[str, Any], name: str = "w", of: str = "etl") -> str:
    spec = {"templateRef": {"name": of}, "params": list(params)}
    return str(server.create({"kind": "Workflow", "metadata": {"name": name}, "spec": spec})["metadata"]["uid"])


async def test_it_runs_what_the_template_says_and_records_it_whole() -> None:
    server = ApiServer()
    template(server, params=[{"name": "who"}, {"name": "times", "type": "Int", "default": 1}])
    uid = submit(server, {"name": "who", "value": "x"})
    async with operator(server):
        assert await ended(server) == "Succeeded"
    (accepted,) = [r.event for r in (await history(server, uid)).records if isinstance(r.event, WorkflowAccepted)]
    assert [each.name for each in accepted.definition.steps] == ["one", "two"]
    assert accepted.definition.params == {"who": "x", "times": 1}
    assert condition(server, "SpecChanged") == {}


async def test_an_edit_or_the_end_of_the_template_changes_nothing_that_has_begun() -> None:
    server = ApiServer(programs=lambda _pod: Program(run_seconds=20))
    template(server)
    uid = submit(server)
    async with operator(server):
        await until(lambda: len(server.executions) == 1)
        server.delete("workflowtemplates", "default", "etl")
    template(server, steps=[step("another")])
    async with operator(server, "two"):
        assert await ended(server) == "Succeeded"
    assert [run.step for run in server.executions] == ["one", "two"]
    assert (await replayed(server, uid)).phase == "Succeeded"


async def test_a_template_that_is_not_there_rejects_the_workflow_and_says_what_to_do() -> None:
    server = ApiServer()
    template(server, "other")
    submit(server)
    async with operator(server):
        await until(lambda: status(server).get("phase") == "Rejected")
        assert "there is no template 'etl' here" in condition(server, "Accepted")["message"]
        assert server.all("jobs") == []


async def test_a_value_that_does_not_fit_rejects_it() -> None:
    server = ApiServer()
    template(server, params=[{"name": "times", "type": "Int"}])
    submit(server, {"name": "times", "value": "many"})
    async with operator(server):
        await until(lambda: status(server).get("phase") == "Rejected")
        assert "spec.params[0].value: must be a whole number" in condition(server, "Accepted")["message"]


async def test_a_template_that_cannot_be_read_now_is_waited_for() -> None:
    server = ApiServer()
    template(server)
    submit(server)
    is_down = True

    def down(_index: int, request: Any) -> Fault | None:
        return Status(code=503) if is_down and "workflowtemplates" in request.path else None

    server.faults = down
    async with operator(server):
        await until(lambda: server.clock.now() % 100_000 > 20_000)
        assert server.all("jobs") == []
        is_down = False
        assert await ended(server) == "Succeeded"


async def test_the_template_is_of_the_same_namespace() -> None:
    server = ApiServer()
    body = {"defaults": {"image": "busybox:1.36"}, "steps": STEPS}
    server.create({"kind": "WorkflowTemplate", "metadata": {"name": "etl"}, "spec": body}, namespace="other")
    submit(server)
    async with operator(server):
        await until(lambda: status(server).get("phase") == "Rejected")
