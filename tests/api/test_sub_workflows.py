"""The child of a sub-workflow step: what a spec says of it, and the Workflow that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api import crd, sub_workflows
from kipu.api.crd_kinds import WORKFLOW
from kipu.api.definition import parse
from kipu.api.jobs import AttemptRef
from kipu.api.sub_workflows import CHILDREN_AT_ONCE, DEPTH_MAX, depth_of, too_deep
from kipu.core.definition import Definition, Kind
from kipu.core.definition_json import from_json, to_json
from tests.api.specs import spec
from tests.api.structural import refusals

ATTEMPT = AttemptRef(
    namespace="default",
    workflow_name="w",
    workflow_uid="u",
    run=1,
    step="train",
    attempt=2,
    job_name="w-train-0123456789abcdef",
    intent="7:abc",
    values={"workflow.params[1].value": "42"},
)


def definition(priority: int = 0, **fields: Any) -> Definition:
    params = [{"name": "who", "value": {"a": [1, None]}}, {"name": "times", "value": "${{ 40 + 2 }}"}]
    step = {"name": "train", "workflow": {"templateRef": {"name": "train-model"}, "params": params}, **fields}
    return parse(spec(step, priority=priority))


def test_it_says_what_the_step_is_and_survives_the_record() -> None:
    given = definition(retry={"maxAttempts": 3}, timeout="1h")
    (step,) = given.steps
    assert (step.kind, step.retry.max_attempts, step.timeout_ms) == (Kind.WORKFLOW, 3, 3_600_000)
    assert from_json(to_json(given)) == given


def test_nothing_that_is_said_of_jobs_alone_reaches_it() -> None:
    raw = spec(
        {"name": "a", "workflow": {"templateRef": {"name": "t"}}}, defaults={"image": "i", "attemptTimeout": "1m"}
    )
    assert parse(raw).steps[0].attempt_timeout_ms is None


@pytest.mark.parametrize(("said", "at_once"), [({}, CHILDREN_AT_ONCE), ({"parallelism": 700}, 700)])
def test_a_fan_out_of_children_is_narrow_unless_it_says_otherwise(said: dict[str, int], at_once: int) -> None:
    (step,) = definition(forEach={"count": 1_000, **said}).steps
    assert step.for_each is not None
    assert step.for_each.parallelism == at_once


def test_the_child_is_a_workflow_that_the_parent_owns_and_that_the_crd_takes() -> None:
    given = definition(priority=-3)
    child: dict[str, Any] = sub_workflows.manifest(given, given.steps[0], ATTEMPT, depth=2)
    metadata, (owner,) = child["metadata"], child["metadata"]["ownerReferences"]
    assert (child["kind"], metadata["name"]) == ("Workflow", ATTEMPT.job_name)
    assert (owner["uid"], owner["kind"], owner["controller"], owner["blockOwnerDeletion"]) == (
        "u",
        "Workflow",
        True,
        True,
    )
    assert metadata["labels"]["kipu.dev/workflow-uid"] == "u"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "kipu"
    assert metadata["annotations"] == {"kipu.dev/intent": "7:abc", "kipu.dev/depth": "2"}
    assert child["spec"] == {
        "templateRef": {"name": "train-model"},
        "params": [{"name": "who", "value": {"a": [1, None]}}, {"name": "times", "value": 42}],
        "priority": -3,
    }
    schema = crd.definition(WORKFLOW)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert list(refusals(schema, child["spec"])) == []


def test_its_placeholder_starts_nothing_not_even_finally() -> None:
    given = definition()
    child: dict[str, Any] = sub_workflows.placeholder_manifest(given, given.steps[0], ATTEMPT, depth=1)
    assert child["metadata"]["annotations"]["kipu.dev/placeholder"] == "true"
    assert child["spec"]["suspend"] is True
    assert child["spec"]["shutdown"] == {"mode": "Terminate"}


@pytest.mark.parametrize(
    ("text", "depth"), [("1", 1), ("8", 8), ("", 0), ("x", 0), ("-1", 0), ("٣", 0), ("99999999999999", DEPTH_MAX)]
)
def test_the_depth_is_read_from_the_annotation(text: str, depth: int) -> None:
    assert depth_of({"kipu.dev/depth": text}) == depth


def test_who_stands_at_the_bound_may_have_no_children() -> None:
    given = definition()
    assert too_deep(given, DEPTH_MAX - 1) == ()
    (problem,) = too_deep(given, DEPTH_MAX)
    assert str(problem) == (
        "spec.steps[0].workflow: sub-workflows may stand 8 deep, and this Workflow is one at depth 8 "
        "(does a template name itself, or one that names it?)"
    )
    assert too_deep(parse(spec({"name": "a", "image": "i"})), DEPTH_MAX) == ()
