"""What people ask of a run while it goes on: to drain, to wait, to answer."""

from __future__ import annotations

import time

import pytest

from e2e.apiserver import ApiError, JsonObject, wait_until, workflows
from e2e.namespace import Namespace, condition, phases, step, workflow

pytestmark = pytest.mark.cluster


def edit(namespace: Namespace, name: str, **spec: object) -> None:
    patch: JsonObject = {"spec": spec}
    namespace.api.merge(workflows(namespace.name, name), patch)


def test_a_drain_lets_what_runs_end_and_starts_nothing_new(namespace: Namespace) -> None:
    namespace.submit(workflow("drained", [step("busy", "sleep 8"), step("never", after=["busy"])]))
    namespace.phase("drained", "Running")
    wait_until(lambda: phases(namespace.status("drained")).get("busy") == "Running", 60, "it runs")
    edit(namespace, "drained", shutdown={"mode": "Drain"})
    status = namespace.finished("drained")
    assert (status["phase"], phases(status)) == ("Cancelled", {"busy": "Succeeded", "never": "Cancelled"})


def test_a_suspended_workflow_starts_nothing_until_it_is_resumed(namespace: Namespace) -> None:
    namespace.submit(workflow("held", [step("first"), step("second", after=["first"])], suspend=True))
    wait_until(lambda: namespace.status("held").get("phase") == "Suspended", 30, "it is suspended")
    time.sleep(3)
    assert namespace.jobs() == []
    assert condition(namespace.status("held"), "Suspended") == "True"
    edit(namespace, "held", suspend=False)
    assert namespace.finished("held")["phase"] == "Succeeded"


def test_nobody_answers_in_anothers_name(namespace: Namespace) -> None:
    asking: JsonObject = {"name": "publish", "approval": {"timeout": "1h"}}
    namespace.submit(workflow("asked", [asking]))
    with pytest.raises(ApiError) as refused:
        edit(namespace, "asked", approvals=[{"step": "publish", "decision": "Approve", "by": "somebody-else"}])
    assert "spec.approvals: whoever answers says so in 'by'" in refused.value.message
    edit(namespace, "asked", shutdown={"mode": "Cancel"})
    assert namespace.finished("asked")["phase"] == "Cancelled"
