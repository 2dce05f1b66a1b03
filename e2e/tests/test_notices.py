"""Kubernetes Events: a few for people (start, retry, failure, end), never one for each fact."""

from __future__ import annotations

from collections import Counter

import pytest

from e2e.apiserver import JsonObject, events, wait_until
from e2e.namespace import Namespace, fail_until, retry, step, workflow

pytestmark = pytest.mark.cluster


def notices(namespace: Namespace, end: str) -> list[JsonObject]:
    """All notices of ours, once the one of the end is there: they are sent in order."""

    def look() -> list[JsonObject] | None:
        found = [e for e in namespace.api.items(events(namespace.name)) if e["regarding"]["kind"] == "Workflow"]
        return found if any(e["reason"] == end for e in found) else None

    return wait_until(look, 20, f"a notice {end}")


def test_a_run_tells_its_start_its_retries_its_failures_and_its_end_only(namespace: Namespace) -> None:
    steps = [
        step("flaky", fail_until(2), retry=retry(3)),
        step("bad", "exit 1", after=["flaky"]),
        step("never", after=["bad"]),
    ]
    namespace.submit(workflow("told", steps))
    namespace.finished("told")
    found = notices(namespace, "WorkflowFailed")
    counts = Counter(e["reason"] for e in found)
    assert counts.pop("StepStarted", 0) <= 3
    assert counts == {"WorkflowAccepted": 1, "StepRetrying": 1, "StepFailed": 1, "WorkflowFailed": 1}
    warnings = {e["reason"] for e in found if e["type"] == "Warning"}
    assert warnings == {"StepRetrying", "StepFailed", "WorkflowFailed"}
    assert {e["regarding"]["uid"] for e in found} == {namespace.uid("told")}
    assert all(e["note"] for e in found)


def test_kubectl_describe_shows_them(namespace: Namespace) -> None:
    namespace.submit(workflow("described", [step("one")]))
    namespace.finished("described")
    notices(namespace, "WorkflowSucceeded")
    assert "WorkflowSucceeded" in namespace.kubectl("describe", "workflow", "described")
