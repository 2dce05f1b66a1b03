"""Params from the command line: typed by the file, put where a person would have written them, or refused."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.cli import params, workflow_file
from kipu.cli.errors import CannotTell
from kipu.core.errors import UserError
from tests.cli.test_workflow_file import SOUND, TEMPLATED
from tests.core.laws import LAW

SPEC = {
    "params": [
        {"name": "text", "value": "x"},
        {"name": "count", "value": 1},
        {"name": "flag", "value": True},
        {"name": "list", "value": [1]},
        {"name": "object", "value": {"a": 1}},
    ],
    "steps": [],
}


def value(name: str, text: str) -> Any:
    spec = params.put(SPEC, None, {name: text})
    assert isinstance(spec, Mapping)
    return {each["name"]: each["value"] for each in spec["params"]}[name]


def refusal(spec: object, template: Any, **texts: str) -> str:
    with pytest.raises(UserError) as caught:
        params.put(spec, template, texts)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("text", "", ""),
        ("text", "007", "007"),
        ("text", "2026-11-24", "2026-11-24"),
        ("text", '{"a": 1}', '{"a": 1}'),
        ("text", "a=b", "a=b"),
        ("count", "-12", -12),
        ("flag", "false", False),
        ("list", '["a", 2]', ["a", 2]),
        ("object", '{"b": null}', {"b": None}),
    ],
)
def test_a_text_becomes_a_value_of_the_type_that_the_param_has_in_the_file(
    name: str, text: str, expected: object
) -> None:
    found = value(name, text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "text", "must"),
    [
        ("count", "x", "must be a whole number"),
        ("count", "1.5", "must be a whole number"),
        ("count", "true", "must be a whole number"),
        ("count", "", "must be a whole number"),
        ("count", "NaN", "must be a whole number"),
        ("count", "9" * 5_000, "must be a whole number"),
        ("flag", "yes", "must be true or false"),
        ("list", "[" * 100_000, "must be a list"),
        ("object", "[]", "must be an object"),
    ],
)
def test_a_text_of_another_type_is_refused_with_its_param(name: str, text: str, must: str) -> None:
    assert f"--param {name}: {must}" in refusal(SPEC, None, **{name: text})


def test_a_name_that_is_not_in_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert "--param cuont: there is no param of this name (did you mean 'count'?)" in refusal(SPEC, None, cuont="1")
    assert "give it a value in the file first" in refusal({"steps": []}, None, who="x")


def test_all_that_is_wrong_with_params_is_told_at_once() -> None:
    said = refusal(SPEC, None, count="x", flag="x")
    assert "--param count" in said
    assert "--param flag" in said


def test_a_template_says_of_which_type_a_param_is_and_the_workflow_need_not_name_it() -> None:
    template = {"params": [{"name": "who"}, {"name": "times", "type": "Int", "default": 1}]}
    spec = {"templateRef": {"name": "etl"}, "params": [{"name": "who", "value": "x"}]}
    expected = [{"name": "who", "value": "1"}, {"name": "times", "value": 2}]
    assert params.put(spec, template, {"who": "1", "times": "2"}) == {**spec, "params": expected}
    assert "--param times: must be a whole number" in refusal(spec, template, times="two")


def test_of_several_texts_for_one_name_the_last_counts() -> None:
    assert params.named(["a=1", "b=", "a=2=3"]) == {"a": "2=3", "b": ""}


@pytest.mark.parametrize("text", ["", "a", "=1"])
def test_what_is_no_name_with_a_value_is_refused(text: str) -> None:
    with pytest.raises(CannotTell, match="must be NAME=VALUE"):
        params.named([text])


def test_a_file_is_judged_with_the_params_that_were_given(tmp_path: Path) -> None:
    file = tmp_path / "workflow.yaml"
    file.write_text(TEMPLATED.replace("  params: [{name: who, value: x}]\n", ""))
    with pytest.raises(UserError, match="lacks 'who'"):
        workflow_file.read(file)
    found = workflow_file.read(file, {"who": "me"})
    assert (found.definition.params, found.spec["params"]) == ({"who": "me"}, [{"name": "who", "value": "me"}])
    assert found.template is not None


def test_a_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "workflow.yaml"
    file.write_text(SOUND.replace("spec:\n", "spec:\n  params: [{name: who, value: x}]\n"))
    with pytest.raises(UserError, match=r"spec\.params\[0\]\.value: is not valid Unicode text"):
        workflow_file.read(file, {"who": "\udcff"})


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each, max_size=3))
PARAMS = st.lists(JSON | st.fixed_dictionaries({"name": JSON | st.just("a")}, optional={"value": JSON, "type": JSON}))


@LAW
@given(
    st.fixed_dictionaries({"params": JSON | PARAMS}) | JSON,
    st.none() | st.fixed_dictionaries({"params": JSON | PARAMS}),
    st.text(),
)
def test_any_spec_takes_them_or_they_are_refused(spec: object, template: Any, text: str) -> None:
    with contextlib.suppress(UserError):
        params.put(spec, template, {"a": text})
