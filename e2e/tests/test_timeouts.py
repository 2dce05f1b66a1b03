"""Every clock of a workflow, on real time: what is too late is taken down, and the reason says so."""

from __future__ import annotations

import pytest

from e2e.namespace import Namespace, attempts, failures, is_placeholder, phases, retry, step, workflow

pytestmark = pytest.mark.cluster


def test_a_workflow_past_its_timeout_fails_and_leaves_nothing_running(namespace: Namespace) -> None:
    namespace.submit(workflow("late", [step("slow", "sleep 60"), step("next", after=["slow"])], timeout="3s"))
    status = namespace.finished("late")
    assert status["phase"] == "Failed"
    assert status["reason"] == "TimedOut"
    assert phases(status)["next"] in ("Cancelled", "Skipped")
    assert all(p["status"]["phase"] not in ("Pending", "Running") for p in namespace.pods())


def test_an_attempt_past_its_timeout_is_tried_again(namespace: Namespace) -> None:
    script = '[ "$KIPU_ATTEMPT" -ge 2 ] || sleep 60'
    namespace.submit(workflow("again", [step("slow", script, attemptTimeout="5s", retry=retry(2))]))
    status = namespace.finished("again")
    assert (status["phase"], attempts(status)) == ("Succeeded", {"slow": 2})
    assert sorted(map(is_placeholder, namespace.jobs())) == [False, True]


def test_a_step_past_its_own_timeout_gets_no_further_attempt(namespace: Namespace) -> None:
    namespace.submit(workflow("over", [step("slow", "sleep 60", timeout="2s", retry=retry(5))]))
    status = namespace.finished("over")
    assert (status["phase"], attempts(status)) == ("Failed", {"slow": 1})
    assert failures(status)["slow"]["reason"] == "TimedOut"


def test_an_image_that_cannot_be_pulled_fails_by_start_timeout_with_the_clusters_reason(namespace: Namespace) -> None:
    # An address of this machine where nothing listens: refused at once, no registry is asked.
    image = "127.0.0.1:9/nobody/has-this:1"
    namespace.submit(workflow("stuck", [step("pull", image=image, startTimeout="5s")]))
    status = namespace.finished("stuck")
    assert status["phase"] == "Failed"
    failed = failures(status)["pull"]
    assert failed["reason"] == "StartTimedOut"
    assert "ImagePull" in failed["message"]
    assert namespace.pods() == []
