"""Steps that are Workflows of their own, through the operator that ships, in virtual time (looptime)."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.core.events import StepStarted, StepSucceeded
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Json
from tests.fakes.nodes import Program
from tests.shell.operating import apply, condition, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime


def template(server: ApiServer, *steps: Json, name: str = "train", **spec: Any) -> None:
    fields = {field.rstrip("_"): value for field, value in spec.items()}
    body = {"defaults": {"image": "busybox:1.36"}, "steps": list(steps), **fields}
    server.create({"kind": "WorkflowTemplate", "metadata": {"name": name}, "spec": body})


def nested(name: str, *needs: str, of: str = "train", params: Json | None = None, **fields: Any) -> Json:
    given = {"params": [{"name": key, "value": value} for key, value in params.items()]} if params else {}
    return {"name": name, "dependsOn": list(needs), "workflow": {"templateRef": {"name": of}, **given}, **fields}


def children(server: ApiServer, of: str = "w") -> list[Json]:
    """Those of this Workflow, oldest first."""
    uid = (server.get("workflows", "default", of) or {"metadata": {"uid": "?"}})["metadata"]["uid"]
    found = [each for each in server.all("workflows") if owner(each) == uid]
    return sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))


def owner(body: Json) -> str | None:
    return next((each["uid"] for each in body["metadata"].get("ownerReferences", ())), None)


def child(server: ApiServer, of: str = "w") -> Json:
    (found,) = children(server, of)
    return found


def ran(server: ApiServer) -> list[str]:
    return [run.step for run in server.executions]


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
