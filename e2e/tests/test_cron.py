"""CronWorkflows on a real cluster: the example's first time, at most a minute away, and who may write one."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from e2e.apiserver import ApiError, JsonObject, wait_until
from e2e.namespace import Namespace, condition, step, workflow
from e2e.tests.test_admission import grant

pytestmark = pytest.mark.cluster

EXAMPLE = Path(__file__).parents[2] / "examples" / "cron.yaml"
FIRE_SECONDS = 75.0  # a minute, and what a busy API server may take


def path(namespace: Namespace, name: str = "") -> str:
    return f"/apis/kipu.dev/v1alpha1/namespaces/{namespace.name}/cronworkflows" + (f"/{name}" if name else "")


def children(namespace: Namespace, cron: str) -> list[JsonObject]:
    workflows = f"/apis/kipu.dev/v1alpha1/namespaces/{namespace.name}/workflows"
    return namespace.api.items(workflows, f"kipu.dev/cron-workflow={cron}")


def manifest(name: str, **spec: object) -> JsonObject:
    template = {"spec": workflow("x", [step("one")])["spec"]}
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": name},
        "spec": {"schedule": "0 0 1 1 *", "workflowTemplate": template, **spec},
    }


def test_the_example_starts_a_workflow_at_the_next_minute(namespace: Namespace) -> None:
    namespace.kubectl("apply", "--filename", str(EXAMPLE))
    name = "cron"
    wait_until(lambda: children(namespace, name), FIRE_SECONDS, "a first Workflow")
    first = children(namespace, name)[0]["metadata"]
    due = datetime.fromisoformat(first["annotations"]["kipu.dev/scheduled-time"])
    assert first["name"] == f"{name}-{int(due.timestamp()) // 60}"
    assert 0 <= (datetime.fromisoformat(first["creationTimestamp"]) - due).total_seconds() <= 5
    namespace.api.merge(path(namespace, name), {"spec": {"suspend": True}})
    assert namespace.finished(first["name"])["phase"] == "Succeeded"

    def noted() -> bool:
        status = namespace.api.get(path(namespace, name))["status"]
        return bool(status.get("lastSuccessfulTime")) and status["activeCount"] == 0

    wait_until(noted, 10, "the end is noted")
    shown = namespace.kubectl("get", "kcw", name).splitlines()
    assert shown[0].split() == ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST", "SCHEDULE", "AGE"]
    assert "Europe/Berlin" in shown[1]
    namespace.kubectl("delete", "kcw", name)
    wait_until(lambda: not children(namespace, name), 30, "its Workflows are gone, too")


def serve_the_last(namespace: Namespace, name: str, schedule: str) -> None:
    """Let the last time of this schedule be due now, as after a downtime: nobody has to wait for the next."""
    generation = namespace.api.merge(path(namespace, name), {"spec": {"schedule": schedule}})["metadata"]["generation"]

    def observed() -> bool:
        status = namespace.api.get(path(namespace, name)).get("status", {})
        return bool(status.get("observedGeneration") == generation)

    wait_until(observed, 10, "the schedule is observed")
    since = {"schedule": schedule, "since": "2020-01-01T00:00:00Z"}
    namespace.api.merge(path(namespace, f"{name}/status"), {"status": {"observedSchedule": since}})


def test_replace_cancels_what_runs(namespace: Namespace) -> None:
    long_one = {"spec": workflow("x", [step("one", "sleep 300")])["spec"]}
    cron = manifest("replaced", concurrencyPolicy="Replace", workflowTemplate=long_one)
    namespace.api.create(path(namespace), cron)
    serve_the_last(namespace, "replaced", "@yearly")
    (first,) = wait_until(lambda: children(namespace, "replaced"), 10, "a first Workflow")
    namespace.phase(first["metadata"]["name"], "Running")
    serve_the_last(namespace, "replaced", "@hourly")
    both = wait_until(lambda: two(namespace, "replaced"), 10, "a second Workflow")
    (second,) = [each for each in both if each["metadata"]["name"] != first["metadata"]["name"]]
    assert namespace.finished(first["metadata"]["name"])["phase"] == "Cancelled"
    assert namespace.phase(second["metadata"]["name"], "Running")["phase"] == "Running"


def two(namespace: Namespace, cron: str) -> list[JsonObject] | None:
    found = children(namespace, cron)
    return found if len(found) == 2 else None


def test_a_schedule_that_never_comes_is_said_in_the_status(namespace: Namespace) -> None:
    namespace.api.create(path(namespace), manifest("never", schedule="0 0 30 2 *"))

    def refused() -> JsonObject | None:
        status: JsonObject = namespace.api.get(path(namespace, "never")).get("status", {})
        return status if condition(status, "Accepted") == "False" else None

    status = wait_until(refused, 10, "it is refused")
    assert "spec.schedule" in json.dumps(status["conditions"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schedule": "0 0 * * * *"}, "spec.schedule"),
        ({"concurrencyPolicy": "Never"}, "spec.concurrencyPolicy"),
        ({"startingDeadlineSeconds": 0}, "spec.startingDeadlineSeconds"),
    ],
)
def test_a_wrong_shape_is_refused_at_once(namespace: Namespace, change: JsonObject, told: str) -> None:
    with pytest.raises(ApiError) as refused:
        namespace.api.create(path(namespace), manifest("wrong", **change))
    assert told in refused.value.message


def test_a_template_cannot_ask_for_the_end_of_its_workflows(namespace: Namespace) -> None:
    stopped = {"spec": workflow("x", [step("one")], shutdown={"mode": "Cancel"})["spec"]}
    with pytest.raises(ApiError) as refused:
        namespace.api.create(path(namespace), manifest("stopped", workflowTemplate=stopped))
    assert "not for a template" in refused.value.message


def test_who_may_not_create_jobs_may_write_no_template(namespace: Namespace) -> None:
    templates = f"/apis/kipu.dev/v1alpha1/namespaces/{namespace.name}/workflowtemplates"
    both = ["workflowtemplates", "workflows"]
    grant(namespace, "eve", {"apiGroups": ["kipu.dev"], "resources": both, "verbs": ["create"]})
    body = {"apiVersion": "kipu.dev/v1alpha1", "kind": "WorkflowTemplate", "metadata": {"name": "eves"}}
    body |= {"spec": workflow("x", [step("one")])["spec"]}

    def refusal() -> str | None:
        with pytest.raises(ApiError) as refused:
            namespace.api.create(templates, body, as_user="eve")
        return refused.value.message if "jobs.batch" in refused.value.message else None

    assert "eve may not create" in wait_until(refusal, 30, "the policy's refusal")
    namespace.api.create(templates, body)


def test_who_may_not_create_workflows_and_jobs_may_neither_create_nor_edit_one(namespace: Namespace) -> None:
    crons: JsonObject = {"apiGroups": ["kipu.dev"], "resources": ["cronworkflows"], "verbs": ["create", "get", "patch"]}
    grant(namespace, "bob", crons, {"apiGroups": ["kipu.dev"], "resources": ["workflows"], "verbs": ["create"]})

    def refusal() -> str | None:
        with pytest.raises(ApiError) as refused:
            namespace.api.create(path(namespace), manifest("bobs"), as_user="bob")
        return refused.value.message if "jobs.batch" in refused.value.message else None

    assert "bob may not create" in wait_until(refusal, 30, "the policy's refusal")
    namespace.api.create(path(namespace), manifest("theirs"))
    with pytest.raises(ApiError) as edit:
        namespace.api.merge(path(namespace, "theirs"), {"spec": {"schedule": "@daily"}}, as_user="bob")
    assert "jobs.batch" in edit.value.message
