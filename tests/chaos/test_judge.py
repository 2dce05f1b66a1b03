"""The judge of the chaos: a clean run has no fault, and each kind of fault is found and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e2e.chaos.judge import Evidence, judge
from e2e.chaos.shapes import Shape
from e2e.history import Log
from e2e.namespace import step
from e2e.watching import Change

Json = dict[str, Any]

SHAPE = Shape(
    name="two",
    steps=[step("a"), step("b", after=["a"])],
    end="Succeeded",
    phases={"a": "Succeeded", "b": "Succeeded"},
    attempts={"a": 1, "b": 1},
)
STATUS: Json = {
    "phase": "Succeeded",
    "progress": "2/2",
    "steps": [{"name": name, "phase": "Succeeded", "attempts": 1} for name in "ab"],
}
END = 100  # the version at which the Workflow was seen ended


def pod(
    name: str, version: int, phase: str = "Running", *, kind: str = "MODIFIED", job: str = "", **more: Any
) -> Change:
    """A pod of step `name`; one that does not say otherwise is the pod of its Job's first start, and has run."""
    ran = phase != "Pending"
    body = {
        "metadata": {
            "uid": more.get("uid", f"pod-{name}"),
            "resourceVersion": str(version),
            "labels": {"kipu.dev/step": name, "kipu.dev/attempt": str(more.get("attempt", 1))},
            "ownerReferences": [{"uid": job or f"job-{name}"}],
        },
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": {"running": {}} if ran else {}}]},
    }
    return Change(kind=kind, at=0.0, version=version, body=body)


def job(name: str, version: int, uid: str = "", *, placeholder: bool = False, attempt: int = 1) -> Change:
    """A Job of step `name`."""
    metadata: Json = {
        "uid": uid or f"job-{name}",
        "labels": {"kipu.dev/step": name, "kipu.dev/attempt": str(attempt)},
        "annotations": {"kipu.dev/placeholder": "true"} if placeholder else {},
    }
    return Change(kind="ADDED", at=0.0, version=version, body={"metadata": metadata})


def shown(phase: str, version: int, stored: int | None = None) -> Change:
    """The Workflow; `stored`: its version, where a list told of it after a gap."""
    metadata = {"uid": "w", "resourceVersion": str(stored or version)}
    return Change(kind="MODIFIED", at=0.0, version=version, body={"metadata": metadata, "status": {"phase": phase}})


def record(kind: str, name: str = "", attempt: int = 1) -> Json:
    return {"type": kind, "step": name, "attempt": attempt}


def clean() -> Json:
    """The evidence of a run in which nothing went wrong, its parts open to change."""
    records = [record(kind, name) for name in "ab" for kind in ("StepScheduled", "StepSucceeded")]
    return {
        "status": dict(STATUS),
        "projected": dict(STATUS),
        "records": [*records, record("WorkflowFinished")],
        "pods": [pod("a", 10), pod("a", 20, "Succeeded"), pod("b", 30), pod("b", 40, "Succeeded")],
        "jobs": [job("a", 5), job("b", 25)],
        "shown": [shown("Running", 15), shown("Succeeded", END)],
    }


def faults(parts: Json, shape: Shape = SHAPE) -> set[str]:
    return set(judge(shape, evidence(parts)).faults)


def evidence(parts: Json) -> Evidence:
    log = Log(meta={}, records=parts["records"])
    rest = {key: value for key, value in parts.items() if key != "records"}
    return Evidence(log=log, **rest)


def test_a_clean_run_has_no_fault() -> None:
    assert faults(clean()) == set()


def status(**changes: Any) -> Callable[[Json], None]:
    """Both what is shown and what the log amounts to."""

    def change(parts: Json) -> None:
        parts["status"] |= changes
        parts["projected"] |= changes

    return change


def more(part: str, *items: Any) -> Callable[[Json], None]:
    return lambda parts: parts[part].extend(items)


def less(part: str, place: int) -> Callable[[Json], None]:
    return lambda parts: parts[part].pop(place)


STEPS_OF = {phase: [{"name": n, "phase": phase, "attempts": 1} for n in "ab"] for phase in ("Succeeded", "Failed")}
TWICE = [{"name": "a", "phase": "Succeeded", "attempts": 2}, STATUS["steps"][1]]
AGAIN = (record("StepScheduled", "a", 2), record("AttemptFailed", "a", 2))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("never ended", status(phase="Running")),
        ("wrong end", status(phase="Failed")),
        ("wrong phases of steps", status(steps=STEPS_OF["Failed"])),
        ("wrong phases of steps", status(steps=STATUS["steps"][:1])),
        ("wrong number of attempts", status(steps=TWICE)),
        ("status and log disagree", lambda parts: parts["status"].update(progress="1/2")),
        ("status and log disagree", lambda parts: parts["status"].pop("progress")),
        ("steps that never succeeded", less("pods", 3)),
        ("steps that succeeded twice", more("pods", pod("a", 50, "Succeeded", uid="x", job="y", attempt=2))),
        ("pods begun after their step's success", more("pods", pod("a", 50, "Failed", uid="x", job="y", attempt=2))),
        ("attempts run twice", more("pods", pod("a", 12, "Failed", uid="x", job="y"))),
        ("executions not in the log", more("pods", pod("a", 12, "Failed", uid="x", job="y", attempt=2))),
        ("attempts in the log that never ran", more("records", *AGAIN)),
        ("attempts decided twice", more("records", record("StepScheduled", "a"))),
        ("successes lost or doubled in the log", more("records", record("StepSucceeded", "a"))),
        ("successes lost or doubled in the log", less("records", 1)),
        ("ended more than once", more("records", record("WorkflowFinished"))),
        ("attempts with two Jobs", more("jobs", job("a", 50, "x"))),
        ("Jobs made after the end", more("jobs", job("c", END + 1))),
        ("pods begun after the end", more("pods", pod("a", END + 1, "Succeeded", uid="x"))),
        ("pods left running", more("pods", pod("a", 12, uid="x"))),
        ("attempts of a step that ran at once", more("pods", pod("a", 15, "Failed", uid="x", job="y", attempt=2))),
        ("attempts of a step that ran at once", more("pods", pod("b", 35, uid="x", job="y", attempt=2))),
        ("moved after its end", more("shown", shown("Running", END + 1))),
    ],
)
def test_each_kind_of_fault_is_found(kind: str, change: Callable[[Json], None]) -> None:
    parts = clean()
    change(parts)
    assert kind in faults(parts)


CANCELLED = Shape(name="c", steps=[step("a")], end="Cancelled", phases={"a": "Cancelled"}, attempts={"a": 1})


def cancelled(*pods: Change) -> Json:
    """One step that was given up."""
    told = {"phase": "Cancelled", "steps": [{"name": "a", "phase": "Cancelled", "attempts": 1}]}
    return {
        "status": told,
        "projected": told,
        "records": [record("StepScheduled", "a"), record("AttemptAbandoned", "a"), record("WorkflowFinished")],
        "pods": list(pods),
        "jobs": [job("a", 5), job("a", 60, "x", placeholder=True)],
        "shown": [shown("Cancelled", END)],
    }


@pytest.mark.parametrize("over", [pod("a", 50, kind="DELETED"), pod("a", 50, "Failed"), pod("a", 50, "Succeeded")])
def test_what_a_given_up_attempt_has_done_is_no_fault(over: Change) -> None:
    assert faults(cancelled(pod("a", 10), over), CANCELLED) == set()
    assert faults(cancelled(), CANCELLED) == set()


def test_a_pod_that_outlives_the_phase_cancelled_is_found() -> None:
    parts = cancelled(pod("a", 10), pod("a", END + 1, kind="DELETED"))
    assert faults(parts, CANCELLED) == {"pods alive when it became Cancelled"}


def test_a_given_up_attempt_that_comes_back_before_its_placeholder_is_counted_and_no_fault() -> None:
    parts = cancelled(
        pod("a", 10), pod("a", 20, "Failed"), pod("a", 40, uid="x", job="y"), pod("a", 55, "Failed", uid="x")
    )
    parts["jobs"].insert(1, job("a", 35, "y"))
    judgement = judge(CANCELLED, evidence(parts))
    assert (judgement.faults, judgement.came_back) == ({}, 1)


def test_a_given_up_attempt_that_comes_back_from_behind_its_placeholder_is_found() -> None:
    parts = cancelled(pod("a", 10), pod("a", 20, "Failed"))
    parts["jobs"].append(job("a", 70, "y"))
    assert faults(parts, CANCELLED) == {"attempts that came back from behind their placeholder"}


def test_a_pod_that_the_job_controller_started_twice_is_counted_and_no_fault() -> None:
    parts = clean()
    parts["pods"] += [pod("a", 11, uid="x"), pod("a", 21, "Failed", uid="x")]
    judgement = judge(SHAPE, evidence(parts))
    assert (judgement.faults, judgement.doubled) == ({}, 1)


def test_what_was_seen_only_after_a_gap_is_not_judged_by_when() -> None:
    parts = clean()
    parts["pods"] = [pod("a", 0, "Succeeded"), pod("b", 0, "Succeeded")]
    parts["jobs"] = [job("a", 0), job("b", 0)]
    assert faults(parts) == set()


def test_an_end_that_was_seen_only_after_a_gap_is_the_latest_that_it_can_be() -> None:
    parts = clean()
    parts["shown"] = [shown("Running", 2), shown("Succeeded", 2, stored=END)]
    assert faults(parts) == set()
    parts["jobs"].append(job("b", END + 1, "late"))
    assert "Jobs made after the end" in faults(parts)


def test_a_placeholder_that_was_seen_only_after_a_gap_convicts_nobody() -> None:
    parts = cancelled(pod("a", 10), pod("a", 20, "Failed"))
    parts["jobs"] = [job("a", 5), job("a", 0, "x", placeholder=True)]
    assert faults(parts, CANCELLED) == set()
