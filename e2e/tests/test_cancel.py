"""Cancel: a promise about pods, proven by etcd's own order of what happened."""

from __future__ import annotations

import pytest

from e2e.apiserver import ApiError, jobs, workflows
from e2e.namespace import Namespace, condition, is_placeholder, phases, step, workflow
from e2e.watching import Change, Watch, has_run

pytestmark = pytest.mark.cluster


def cancel(namespace: Namespace, name: str, mode: str = "Cancel") -> None:
    namespace.api.merge(workflows(namespace.name, name), {"spec": {"shutdown": {"mode": mode, "run": 1}}})


def running(pods: Watch) -> int:
    return sum(has_run(change) for change in pods.newest().values())


def is_over(change: Change) -> bool:
    return change.kind == "DELETED" or change.phase in ("Succeeded", "Failed")


@pytest.mark.parametrize("mode", ["Cancel", "Terminate"])
def test_no_pod_is_left_when_the_phase_becomes_cancelled(namespace: Namespace, mode: str) -> None:
    # A program that ignores SIGTERM: its pod lasts as long as its grace period lets it.
    stubborn = 'trap "" TERM; while true; do sleep 0.2; done'
    steps = [step(f"busy-{number}", stubborn) for number in range(3)]
    with namespace.watch_pods() as pods, namespace.watch_workflows() as workflows_seen:
        namespace.submit(workflow("stop", [*steps, step("never", after=["busy-0"])]))
        pods.wait_for(lambda seen: running(seen) == 3, 60, "three pods run")
        cancel(namespace, "stop", mode)
        cancelled = workflows_seen.wait_for(
            lambda seen: seen.first(lambda change: change.phase == "Cancelled"), 60, "phase Cancelled"
        )
        # A consistent list made after that moment, and the exact order before it.
        left = [p["metadata"]["name"] for p in namespace.pods() if p["status"]["phase"] in ("Pending", "Running")]
        pods.wait_for(lambda seen: all(map(is_over, seen.newest().values())), 10, "the watch has caught up")
        ends = [next(c.version for c in pods.history if c.uid == uid and is_over(c)) for uid in pods.newest()]
    assert left == []
    assert len(ends) == 3
    assert all(end < cancelled.version for end in ends)
    assert set(phases(namespace.status("stop")).values()) == {"Cancelled"}


def test_a_cancelled_attempt_keeps_its_name_in_a_suspended_placeholder(namespace: Namespace) -> None:
    with namespace.watch_pods() as pods:
        namespace.submit(workflow("held", [step("busy", "sleep 60")]))
        pods.wait_for(lambda seen: running(seen) == 1, 60, "the pod runs")
        (before,) = namespace.jobs()
        cancel(namespace, "held")
        namespace.finished("held")
    (job,) = namespace.jobs()
    assert is_placeholder(job)
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["name"] == before["metadata"]["name"]
    assert job["metadata"]["uid"] != before["metadata"]["uid"]
    # A create that was sent long ago finds the name taken: this is what the placeholder is for.
    late = {"metadata": {"name": before["metadata"]["name"]}, "spec": {"template": before["spec"]["template"]}}
    late["spec"]["template"]["metadata"] = {}  # the selector's labels are another Job's now
    with pytest.raises(ApiError) as refused:
        namespace.api.create(jobs(namespace.name), late)
    assert refused.value.status == 409


def test_what_has_succeeded_before_the_cancel_stays_succeeded(namespace: Namespace) -> None:
    namespace.submit(workflow("half", [step("done"), step("busy", "sleep 60", after=["done"])]))
    with namespace.watch_pods() as pods:
        pods.wait_for(lambda seen: running(seen) == 2, 60, "the second step's pod runs")
        cancel(namespace, "half")
        status = namespace.finished("half")
    assert phases(status) == {"done": "Succeeded", "busy": "Cancelled"}
    assert (status["phase"], status["counts"]["succeeded"], status["counts"]["cancelled"]) == ("Cancelled", 1, 1)
    assert condition(status, "Succeeded") == "False"


def test_a_cancel_may_escalate_but_not_be_taken_back(namespace: Namespace) -> None:
    namespace.submit(workflow("firm", [step("busy", 'trap "" TERM; while true; do sleep 0.2; done')]))
    namespace.phase("firm", "Running")
    cancel(namespace, "firm", "Terminate")
    with pytest.raises(ApiError) as refused:
        cancel(namespace, "firm", "Cancel")
    assert "shutdown" in refused.value.message.lower()
    assert namespace.finished("firm")["phase"] == "Cancelled"
