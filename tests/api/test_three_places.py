"""Every rule is judged in three places, which agree: the operator, `kipu lint`, and, where it can say it, the CRD.

The rules are the tables of test_bounds and test_cron: a manifest at the bound and one beyond. The CRD is asked by its
schema as it is generated; tests/api/test_on_a_cluster.py asks a real API server, and tests/chart the admission policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kipu.api import crd, reuse
from kipu.api.crd_kinds import CRON_WORKFLOW, WORKFLOW, WORKFLOW_TEMPLATE, Custom
from kipu.api.manifests import check
from kipu.api.reuse import OF_ONE_RUN
from kipu.api.v1alpha1 import WorkflowSpec
from kipu.cli.lint import lint
from tests.api.structural import refusals
from tests.api.test_bounds import RULES, sized
from tests.api.test_cron import BOUNDS, cron
from tests.api.test_cron import problems as cron_problems
from tests.api.test_on_a_cluster import PARSER_ALONE
from tests.api.test_reuse import ALONE, TEMPLATES
from tests.api.test_reuse import told as reuse_problems

# Of the rules of a CronWorkflow: what no pattern can say, and what a rule of CEL says (x-kubernetes-validations).
CRON_PARSER_ALONE = {"schedule", "schedule that never comes", "zone", "labels", "the rules of a Workflow"}
CRON_BY_CEL = {"a request of one run", "adoption"}
BY_CEL = {"steps must be given", "a workspace has one claim"}
TEMPLATE_BY_SCHEMA = {message for *_, message in TEMPLATES if "must have at most" in message} | {
    "spec.params[0].name",
    "spec.params[0].type: must be one of",
    "spec.params[0].enum: must not be empty",
}


def manifest(kind: str, spec: object) -> dict[str, Any]:
    return {"apiVersion": "kipu.dev/v1alpha1", "kind": kind, "metadata": {"name": "bounds"}, "spec": spec}


def spec_schema(custom: Custom) -> dict[str, Any]:
    root = crd.definition(custom)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema: dict[str, Any] = root["properties"]["spec"]
    return schema


SCHEMAS = {custom.kind: spec_schema(custom) for custom in (WORKFLOW, CRON_WORKFLOW, WORKFLOW_TEMPLATE)}


def cases() -> Iterator[tuple[str, str, Any, Any, bool]]:
    """Kind, rule, accepted, refused, and whether the schema can say it."""
    for rule, (accepted, refused, _) in RULES.items():
        yield "Workflow", rule, accepted, refused, rule not in PARSER_ALONE | BY_CEL
    for rule, more, wrong, _ in BOUNDS:
        yield "CronWorkflow", rule, cron() | more, cron() | wrong, rule not in CRON_PARSER_ALONE | CRON_BY_CEL
    for taken, not_taken, message in ALONE:
        yield "Workflow", message, taken, not_taken, "templateRef.name" in message or "not a field" in message
    for taken, not_taken, message in TEMPLATES:
        yield "WorkflowTemplate", message, taken, not_taken, message in TEMPLATE_BY_SCHEMA


CASES = list(cases())
EACH = pytest.mark.parametrize(
    ("kind", "accepted", "refused", "by_schema"),
    [sized(rule, kind, *values, name=f"{kind}: {rule}") for kind, rule, *values in CASES],
)


def test_the_exceptions_are_rules() -> None:
    assert {rule for rule, *_ in BOUNDS} >= CRON_PARSER_ALONE | CRON_BY_CEL
    assert len(CASES) > 100


@EACH
def test_what_is_at_the_bound_is_taken_in_all_places(kind: str, accepted: Any, refused: Any, by_schema: bool) -> None:
    verdict = check(manifest(kind, accepted))
    assert verdict is not None
    assert verdict.problems == ()
    assert list(refusals(SCHEMAS[kind], accepted, "spec")) == []


@EACH
def test_what_is_beyond_it_is_told_by_lint_as_by_the_operator(
    kind: str, accepted: Any, refused: Any, by_schema: bool
) -> None:
    by_operator = {
        "Workflow": lambda: reuse_problems(reuse.check, refused),
        "CronWorkflow": lambda: cron_problems(refused, "bounds"),
        "WorkflowTemplate": lambda: reuse_problems(reuse.check_template, refused),
    }[kind]()
    verdict = check(manifest(kind, refused))
    assert verdict is not None
    assert [str(problem) for problem in verdict.problems] == by_operator
    assert by_operator != []


@EACH
def test_and_by_the_crd_where_it_can_say_it(kind: str, accepted: Any, refused: Any, by_schema: bool) -> None:
    assert bool(list(refusals(SCHEMAS[kind], refused, "spec"))) is by_schema


def test_what_the_crd_says_by_cel_is_what_the_operator_says() -> None:
    there = {field for field in OF_ONE_RUN if field in WorkflowSpec.model_fields}
    for custom, path in ((CRON_WORKFLOW, "spec.workflowTemplate.spec"), (WORKFLOW_TEMPLATE, "spec")):
        whole, *rules = custom.rules[path]
        assert "has(self.steps)" in whole["rule"]
        assert {rule["fieldPath"]: rule["rule"] for rule in rules} == {f".{f}": f"!has(self.{f})" for f in there}


@pytest.mark.proof
def test_lint_reads_a_file_of_all_of_them_and_finds_each() -> None:
    """As JSON, one manifest a document: the shapes of 5,000 steps are left out, they are only long."""
    short = [case for case in CASES if len(json.dumps(case[3])) < 100_000 and len(json.dumps(case[2])) < 100_000]
    texts = [json.dumps(manifest(kind, refused)) for kind, _, _, refused, _ in short]
    report = lint([("all.yaml", "\n---\n".join(texts).encode())])
    assert report.manifests == len(short)
    lines = {finding.line for finding in report.findings}
    assert lines == {1 + 2 * number for number in range(len(short))}
