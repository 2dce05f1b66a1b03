"""Deleting what runs: all of it is collected, whoever deletes and however, and nothing waits for us."""

from __future__ import annotations

import pytest

from e2e.apiserver import ApiServer, wait_until, workflows
from e2e.namespace import Namespace, step, workflow
from e2e.watching import has_run

pytestmark = pytest.mark.cluster

STEPS = [step("done"), step("busy", "sleep 60", after=["done"]), step("next", after=["busy"])]


def run_half(namespace: Namespace) -> str:
    """A workflow in its middle: one step has ended, one runs, one waits."""
    with namespace.watch_pods() as pods:
        namespace.submit(workflow("gone", STEPS))
        pods.wait_for(lambda seen: sum(map(has_run, seen.newest().values())) == 2, 60, "the second pod runs")
    return namespace.uid("gone")


def left_of(namespace: Namespace, uid: str) -> list[str]:
    found = [*namespace.jobs(uid), *namespace.pods(uid), *namespace.log_objects(uid)]
    return [str(item["metadata"]["name"]) for item in found]


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_all_of_a_deleted_running_workflow_is_collected(namespace: Namespace, propagation: str) -> None:
    uid = run_half(namespace)
    assert len(left_of(namespace, uid)) >= 5  # two Jobs, two pods, a log
    path = workflows(namespace.name, "gone")
    namespace.api.delete(path, propagation=propagation)

    def is_gone() -> bool:  # in the foreground the Workflow goes last, and a moment after the last of them
        return not left_of(namespace, uid) and namespace.api.find(path) is None

    wait_until(is_gone, 60, "the Workflow, its Jobs, pods and log are collected")


def test_a_namesake_of_a_deleted_workflow_runs_from_its_beginning(namespace: Namespace) -> None:
    first = run_half(namespace)
    namespace.kubectl("delete", "workflow", "gone")
    namespace.submit(workflow("gone", [step("done"), step("other")]))
    status = namespace.finished("gone")
    assert namespace.uid("gone") != first
    assert (status["phase"], status["progress"]) == ("Succeeded", "2/2")


def test_a_namespace_with_a_running_workflow_can_be_deleted(namespace: Namespace, api: ApiServer) -> None:
    run_half(namespace)
    api.delete(f"/api/v1/namespaces/{namespace.name}")
    wait_until(lambda: not api.find(f"/api/v1/namespaces/{namespace.name}"), 90, "the namespace is gone")
