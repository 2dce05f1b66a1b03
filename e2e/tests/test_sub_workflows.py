"""Steps that are Workflows of their own, on a real cluster: the example, and what a cancel and a deletion mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.apiserver import JsonObject, jobs, wait_until, workflows
from e2e.namespace import Namespace, phases, retry, step, workflow
from e2e.tests.test_cancel import cancel, is_over, running

pytestmark = pytest.mark.cluster

EXAMPLE = Path(__file__).parents[2] / "examples" / "sub-workflow.yaml"
STUBBORN = 'trap "" TERM; while true; do sleep 0.2; done'
IN_TIME_SECONDS = 60.0


def children(namespace: Namespace, parent: str) -> list[JsonObject]:
    found = namespace.api.items(workflows(namespace.name), f"kipu.dev/workflow-uid={namespace.uid(parent)}")
    return sorted(found, key=lambda each: str(each["metadata"]["name"]))


def template(namespace: Namespace, name: str, *steps: JsonObject) -> None:
    spec = workflow(name, steps)["spec"]
    path = workflows(namespace.name).removesuffix("workflows") + "workflowtemplates"
    body = {"apiVersion": "kipu.dev/v1alpha1", "kind": "WorkflowTemplate", "metadata": {"name": name}, "spec": spec}
    namespace.api.create(path, body)


def nested(name: str, of: str, **fields: object) -> JsonObject:
    return {"name": name, "workflow": {"templateRef": {"name": of}}, **fields}


def test_the_example_runs_a_child_for_each_region(namespace: Namespace) -> None:
    namespace.kubectl("apply", "--filename", str(EXAMPLE))
    status = namespace.finished("sub-workflow")
    assert (status["phase"], set(phases(status).values())) == ("Succeeded", {"Succeeded"})
    found = children(namespace, "sub-workflow")
    assert [each["status"]["phase"] for each in found] == ["Succeeded"] * 2
    said = [namespace.kubectl("logs", "--selector", f"kipu.dev/workflow={each['metadata']['name']}") for each in found]
    assert [text.count("epoch 3") for text in said] == [1, 1]
    assert sorted("eu" if "loading eu" in text else "us" for text in said) == ["eu", "us"]
    shown = namespace.kubectl("get", "kw", "--selector", "!kipu.dev/workflow-uid").splitlines()
    assert [line.split()[0] for line in shown[1:]] == ["sub-workflow"]


def test_who_cancels_the_parent_cancels_the_child_and_its_pods(namespace: Namespace) -> None:
    template(namespace, "inner", step("busy", STUBBORN))
    with namespace.watch_pods() as pods, namespace.watch_workflows() as seen:
        namespace.submit(workflow("outer", [nested("train", "inner")]))
        pods.wait_for(lambda watched: running(watched) == 1, IN_TIME_SECONDS, "the pod of the child runs")
        cancel(namespace, "outer")
        cancelled = seen.wait_for(
            lambda watched: watched.first(
                lambda change: change.body["metadata"]["name"] == "outer" and change.phase == "Cancelled"
            ),
            IN_TIME_SECONDS,
            "phase Cancelled",
        )
        pods.wait_for(lambda watched: all(map(is_over, watched.newest().values())), 10, "the watch has caught up")
        ends = [next(c.version for c in pods.history if c.uid == uid and is_over(c)) for uid in pods.newest()]
    assert all(end < cancelled.version for end in ends)
    (child,) = children(namespace, "outer")
    assert child["status"]["phase"] == "Cancelled"
    assert phases(namespace.status("outer")) == {"train": "Cancelled"}


def test_a_child_that_somebody_deletes_is_lost_and_its_pods_are_awaited_before_the_next(namespace: Namespace) -> None:
    # Whoever comes first goes on until it is killed; whoever comes second ends.
    template(namespace, "inner", step("busy", 'trap "" TERM; sleep 20'))
    namespace.submit(workflow("outer", [nested("train", "inner", retry=retry(2))]))
    with namespace.watch_pods() as pods:
        pods.wait_for(lambda watched: running(watched) == 1, IN_TIME_SECONDS, "the pod of the child runs")
        (child,) = children(namespace, "outer")
        namespace.kubectl("delete", "kw", child["metadata"]["name"], "--wait=false")
        pods.wait_for(lambda watched: len(watched.newest()) == 2, IN_TIME_SECONDS, "the next child has a pod")
        first, second = sorted(pods.newest(), key=lambda uid: next(c.version for c in pods.history if c.uid == uid))
        over = next(change.version for change in pods.history if change.uid == first and is_over(change))
        begun = next(change.version for change in pods.history if change.uid == second)
    assert over < begun
    assert namespace.finished("outer")["phase"] == "Succeeded"
    assert len(children(namespace, "outer")) == 2  # the placeholder, and the one that has done it


def test_who_deletes_the_parent_deletes_all_that_is_below_it(namespace: Namespace) -> None:
    template(namespace, "leaf", step("busy", "sleep 300"))
    template(namespace, "inner", nested("deeper", "leaf"))
    namespace.submit(workflow("outer", [nested("train", "inner")]))
    wait_until(lambda: namespace.pods(), IN_TIME_SECONDS, "a pod of the leaf")
    namespace.kubectl("delete", "kw", "outer", "--wait=false")
    wait_until(lambda: not namespace.api.items(workflows(namespace.name), ""), IN_TIME_SECONDS, "no Workflow is left")
    wait_until(lambda: not namespace.api.items(jobs(namespace.name), ""), IN_TIME_SECONDS, "nor a Job")
    wait_until(lambda: not namespace.pods(), IN_TIME_SECONDS, "nor a pod")
    wait_until(lambda: not namespace.log_objects(), IN_TIME_SECONDS, "nor a log")


def test_a_failed_child_says_why_in_its_parent(namespace: Namespace) -> None:
    template(namespace, "inner", step("fails", "exit 3"))
    namespace.submit(workflow("outer", [nested("train", "inner")]))
    status = namespace.finished("outer")
    assert status["phase"] == "Failed"
    assert "ChildFailed" in status["message"]
    assert "step 'fails' failed (ExitCode): exit code 3" in status["message"]
