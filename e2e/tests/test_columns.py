"""What `kubectl get` and `kubectl explain` show a person."""

from __future__ import annotations

import pytest

from e2e.apiserver import kubectl
from e2e.namespace import Namespace, condition, step, workflow

pytestmark = pytest.mark.cluster


def table(namespace: Namespace, *arguments: str) -> dict[str, str]:
    """The header's columns with the cells of the only row, cut where the header's words begin."""
    header, row = namespace.kubectl("get", "workflows", *arguments).splitlines()
    names = header.split()
    starts = [header.index(name) for name in names] + [len(row) + 1]
    return {name: row[starts[i] : starts[i + 1]].strip() for i, name in enumerate(names)}


def test_kubectl_get_shows_phase_progress_and_times(namespace: Namespace) -> None:
    namespace.submit(workflow("shown", [step("one"), step("two", after=["one"])]))
    namespace.finished("shown")
    shown = table(namespace)
    assert list(shown) == ["NAME", "PHASE", "PROGRESS", "FAILED", "STARTED", "DURATION", "AGE"]
    assert (shown["NAME"], shown["PHASE"], shown["PROGRESS"], shown["FAILED"]) == ("shown", "Succeeded", "2/2", "0")
    assert shown["STARTED"][0].isdigit()
    assert shown["DURATION"][0].isdigit()
    assert shown["AGE"][0].isdigit()


def test_wide_adds_the_message_and_the_reason(namespace: Namespace) -> None:
    namespace.submit(workflow("broken", [step("one", "exit 3")]))
    status = namespace.finished("broken")
    shown = table(namespace, "--output", "wide")
    assert set(list(shown)[-2:]) == {"MESSAGE", "REASON"}
    assert shown["FAILED"] == "1"
    assert "'one'" in shown["MESSAGE"]
    assert shown["REASON"] == "StepFailed"
    assert [condition(status, kind) for kind in ("Accepted", "Finished", "Succeeded")] == ["True", "True", "False"]


def test_a_running_workflow_shows_no_duration_and_is_not_finished(namespace: Namespace) -> None:
    namespace.submit(workflow("slow", [step("one", "sleep 30")]))
    status = namespace.phase("slow", "Running")
    assert condition(status, "Finished") == "False"
    shown = table(namespace)
    assert (shown["PROGRESS"], shown["DURATION"]) == ("0/1", "")


def test_the_short_name_is_kw(namespace: Namespace) -> None:
    namespace.submit(workflow("named", [step("one")]))
    assert "named" in namespace.kubectl("get", "kw")


def test_kubectl_explain_describes_every_field_of_a_step() -> None:
    explained = kubectl("explain", "workflow.spec.steps")
    fields, text = 0, explained.splitlines()
    for number, line in enumerate(text):
        if line.startswith("  ") and line[2] != " " and "\t<" in line:
            fields += 1
            assert text[number + 1].strip(), f"no description follows {line!r}"
            assert "<no description>" not in text[number + 1], line
    assert fields > 10
