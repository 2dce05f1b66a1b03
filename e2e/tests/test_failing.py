"""Failures on a real cluster: the three modes of onFailure, exit codes, and a pod that a third party takes away."""

from __future__ import annotations

import pytest

from e2e.apiserver import jobs, pods
from e2e.namespace import Namespace, attempts, failures, phases, retry, step, workflow
from e2e.watching import has_run

pytestmark = pytest.mark.cluster

STEPS = [
    step("bad", "sleep 1; exit 1"),
    step("busy", "sleep 4"),
    step("after-busy", after=["busy"]),
]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("FinishRunning", {"bad": "Failed", "busy": "Succeeded", "after-busy": "Skipped"}),
        ("CancelRunning", {"bad": "Failed", "busy": "Cancelled", "after-busy": "Skipped"}),
        ("Continue", {"bad": "Failed", "busy": "Succeeded", "after-busy": "Succeeded"}),
    ],
)
def test_on_failure_says_what_else_may_run(namespace: Namespace, mode: str, expected: dict[str, str]) -> None:
    namespace.submit(workflow("mode", STEPS, onFailure=mode))
    status = namespace.finished("mode")
    assert (status["phase"], phases(status)) == ("Failed", expected)


def test_an_exit_code_that_is_not_retryable_ends_the_step(namespace: Namespace) -> None:
    rule = {**retry(5), "nonRetryableExitCodes": [42]}
    namespace.submit(workflow("fatal", [step("one", "exit 42", retry=rule)]))
    status = namespace.finished("fatal")
    assert (status["phase"], attempts(status)) == ("Failed", {"one": 1})
    assert failures(status)["one"]["exitCode"] == 42


def test_an_evicted_pod_is_tried_again_outside_the_budget(namespace: Namespace) -> None:
    script = '[ "$KIPU_ATTEMPT" -ge 2 ] || sleep 60'
    with namespace.watch_pods() as seen:
        namespace.submit(workflow("evicted", [step("one", script, retry=retry(1))]))
        (pod,) = seen.wait_for(lambda w: [c for c in w.newest().values() if has_run(c)], 60, "the pod runs")
        name = pod.body["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        namespace.api.create(f"{pods(namespace.name, name)}/eviction", eviction)
        status = namespace.finished("evicted")
    assert (status["phase"], attempts(status)) == ("Succeeded", {"one": 2})


def test_a_job_that_a_third_party_deletes_is_lost_and_tried_again(namespace: Namespace) -> None:
    script = '[ "$KIPU_ATTEMPT" -ge 2 ] || sleep 60'
    with namespace.watch_pods() as seen:
        namespace.submit(workflow("lost", [step("one", script, retry=retry(2))]))
        seen.wait_for(lambda w: [c for c in w.newest().values() if has_run(c)], 60, "the pod runs")
        (job,) = namespace.jobs()
        namespace.api.delete(jobs(namespace.name, job["metadata"]["name"]))
        status = namespace.finished("lost")
    assert (status["phase"], attempts(status)) == ("Succeeded", {"one": 2})
