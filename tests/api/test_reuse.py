"""Workflows that name a WorkflowTemplate: each rule accepted and refused, and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api import definition, reuse
from kipu.api.v1alpha1_language import PARAMS_MAX
from kipu.api.v1alpha1_template import DESCRIPTION_LENGTH_MAX, ENUM_MAX
from kipu.core.errors import UserError
from tests.api.specs import spec, step

REFERENCE = {"templateRef": {"name": "etl"}}


def template(*params: dict[str, Any], **fields: Any) -> dict[str, Any]:
    steps = fields.pop("steps", [step("only")])
    return {"steps": steps, **({"params": list(params)} if params else {}), **fields}


def reference(*params: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    given = [{"name": name, "value": value} for name, value in params]
    return {**REFERENCE, **({"params": given} if given else {}), **fields}


def told(call: Any, *arguments: Any) -> list[str]:
    try:
        call(*arguments)
    except UserError as error:
        return [str(problem) for problem in error.problems]
    return []


# -- what comes out --------------------------------------------------------------------------------------


def test_without_params_the_definition_is_that_of_the_template() -> None:
    given = template(parallelism=3, steps=[step("a"), step("b", dependsOn=["a"])])
    assert reuse.resolve(reference(), given) == definition.parse(given)


def test_values_are_those_of_the_workflow_and_else_the_defaults() -> None:
    offered = template({"name": "who"}, {"name": "times", "type": "Int", "default": 1}, {"name": "note", "default": ""})
    found = reuse.resolve(reference(("who", "x"), ("times", 3)), offered)
    assert found.params == {"who": "x", "times": 3, "note": ""}
    assert reuse.resolve(reference(("who", "y")), offered).params == {"who": "y", "times": 1, "note": ""}


def test_the_steps_may_read_them() -> None:
    greet = step("greet", env=[{"name": "WHO", "value": "${{ params.who }}"}])
    assert reuse.resolve(reference(("who", "x")), template({"name": "who"}, steps=[greet])).steps[0].name == "greet"


def test_what_is_about_the_run_is_said_by_the_workflow() -> None:
    asked = reference(ttlAfterFinished="1h", shutdown={"mode": "Cancel"})
    assert told(reuse.check, asked) == []
    assert reuse.resolve(asked, template()) == definition.parse(template())


def test_a_spec_without_a_template_is_judged_as_ever() -> None:
    assert told(reuse.check, spec()) == []
    assert told(reuse.check, {"steps": []}) == ["spec.steps: must not be empty"]
    assert reuse.template_name(spec()) is None
    assert reuse.template_name(REFERENCE) == "etl"
    for wrong in (None, 3, {"templateRef": None}, {"templateRef": "etl"}, {"templateRef": {"name": 3}}):
        assert reuse.template_name(wrong) is None


# -- what is refused -------------------------------------------------------------------------------------


def test_a_template_that_is_not_there_is_told_with_what_to_do() -> None:
    assert told(reuse.resolve, reference(), None) == [
        "spec.templateRef.name: there is no template 'etl' here "
        "(create it, then delete this Workflow and create it anew)"
    ]


TYPED = [
    ("String", "", 0, "a string"),
    ("Int", 0, "0", "a whole number"),
    ("Int", -5, True, "a whole number"),
    ("Int", 2.0, 2.5, "a whole number"),
    ("Bool", False, 0, "true or false"),
    ("List", [], {}, "a list"),
    ("Object", {}, [], "an object"),
]


@pytest.mark.parametrize(("kind", "fits", "does_not", "words"), TYPED)
def test_a_value_is_of_its_params_type(kind: str, fits: Any, does_not: Any, words: str) -> None:
    offered = template({"name": "p", "type": kind})
    assert told(reuse.resolve, reference(("p", fits)), offered) == []
    wrong = f"must be {words}: 'p' is of type {kind}"
    assert told(reuse.resolve, reference(("p", does_not)), offered) == [f"spec.params[0].value: {wrong}"]
    bad = template({"name": "p", "type": kind, "default": does_not, "enum": [does_not]})
    assert told(reuse.check_template, bad) == [f"spec.params[0].enum[0]: {wrong}", f"spec.params[0].default: {wrong}"]


OFFERED = template({"name": "who"}, {"name": "times", "type": "Int", "default": 1, "enum": [1, 2]})
WORKFLOWS = [
    (reference(("who", "x")), reference(), "spec.params: lacks 'who', for which the template has no default"),
    (
        reference(("who", "x"), ("times", 2)),
        reference(("who", "x"), ("times", 3)),
        "spec.params[1].value: must be one of 1, 2",
    ),
    (
        reference(("who", "x")),
        reference(("whom", "x"), ("who", "y")),
        "spec.params[0].name: the template has no param 'whom' (did you mean 'who'?)",
    ),
]


@pytest.mark.parametrize(("accepted", "refused", "message"), WORKFLOWS)
def test_a_workflow_gives_what_the_template_asks_for(accepted: Any, refused: Any, message: str) -> None:
    assert told(reuse.resolve, accepted, OFFERED) == []
    assert told(reuse.resolve, refused, OFFERED) == [message]


ALONE = [
    (reference(), {"templateRef": {}}, "spec.templateRef.name: is required"),
    (reference(), {"templateRef": {"name": "A"}}, "spec.templateRef.name: 'A' is not a name"),
    (
        reference(ttlAfterFinished="1h"),
        reference(timeout="1h"),
        "spec.timeout: cannot stand beside templateRef (the template says it)",
    ),
    (reference(), reference(steps=[step("a")]), "spec.steps: cannot stand beside templateRef (the template says it)"),
    (
        reference(("a", 1), ("b", 1)),
        reference(("a", 1), ("a", 1)),
        "spec.params[1].name: 'a' is already the name of a param",
    ),
    (
        reference(),
        reference(templatRef=1),
        "spec.templatRef: is not a field of this object (did you mean 'templateRef'?)",
    ),
]


@pytest.mark.parametrize(("accepted", "refused", "message"), ALONE)
def test_a_reference_is_judged_without_its_template(accepted: Any, refused: Any, message: str) -> None:
    assert told(reuse.check, accepted) == []
    (found,) = told(reuse.check, refused)
    assert found.startswith(message)


TEMPLATES = [
    (
        template({"name": "a"}, {"name": "b"}),
        template({"name": "a"}, {"name": "a"}),
        "spec.params[1].name: 'a' is already",
    ),
    (template({"name": "a"}), template({"name": "a-b"}), "spec.params[0].name"),
    (
        template({"name": "a", "type": "List"}),
        template({"name": "a", "type": "Lst"}),
        "spec.params[0].type: must be one of",
    ),
    (
        template({"name": "a", "default": "x", "enum": ["x"]}),
        template({"name": "a", "default": "y", "enum": ["x"]}),
        "spec.params[0].default: must be one of x",
    ),
    (
        template({"name": "a", "enum": ["x"]}),
        template({"name": "a", "enum": []}),
        "spec.params[0].enum: must not be empty",
    ),
    (
        template({"name": "a", "enum": [str(n) for n in range(ENUM_MAX)]}),
        template({"name": "a", "enum": [str(n) for n in range(ENUM_MAX + 1)]}),
        "spec.params[0].enum: must have at most 100",
    ),
    (
        template({"name": "a", "description": "x" * DESCRIPTION_LENGTH_MAX}),
        template({"name": "a", "description": "x" * (DESCRIPTION_LENGTH_MAX + 1)}),
        "spec.params[0].description: must have at most 1024",
    ),
    (
        template(*({"name": f"p{n}"} for n in range(PARAMS_MAX))),
        template(*({"name": f"p{n}"} for n in range(PARAMS_MAX + 1))),
        "spec.params: must have at most 100",
    ),
    (template(), {"params": []}, "spec.steps: is required"),
    (template(), template(shutdown={"mode": "Cancel"}), "spec.shutdown: is for one Workflow, not for a template"),
    (template(), template(**REFERENCE), "spec.templateRef: is for one Workflow, not for a template"),
    (
        template({"name": "who"}, steps=[step("a", env=[{"name": "WHO", "value": "${{ params.who }}"}])]),
        template({"name": "who"}, steps=[step("a", env=[{"name": "WHO", "value": "${{ params.whom }}"}])]),
        "spec.steps[0].env[0].value: ${{ params.whom }}: there is no param 'whom'",
    ),
    (
        template({"name": "n", "type": "Int"}, steps=[step("a", when="params.n > 3")]),
        template({"name": "n"}, steps=[step("a", when="params.n > 3")]),
        "spec.steps[0].when",
    ),
]


@pytest.mark.parametrize(("accepted", "refused", "message"), TEMPLATES)
def test_a_template_is_judged_alone_with_values_that_fit(accepted: Any, refused: Any, message: str) -> None:
    assert told(reuse.check_template, accepted) == []
    (found,) = told(reuse.check_template, refused)
    assert found.startswith(message)


def test_what_is_wrong_within_the_template_is_told_of_the_workflow() -> None:
    broken = template(steps=[step("a", dependsOn=["b"])])
    (found,) = told(reuse.resolve, reference(), broken)
    assert found.startswith(
        "spec.templateRef: in WorkflowTemplate 'etl', spec.steps[0].dependsOn[0]: there is no step 'b'"
    )
    assert told(reuse.resolve, reference(), {"params": 3}) != []


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"steps": 3}, {"params": [{}]}, {"params": [{"name": 1}]}])
def test_no_json_value_raises_anything_but_its_problems(raw: Any) -> None:
    assert told(reuse.check_template, raw) != []
    assert told(reuse.check, {**REFERENCE, "params": raw}) != [] or raw in (None, [])
