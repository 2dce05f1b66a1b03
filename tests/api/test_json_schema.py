"""The JSON Schemas for editors: what is committed is what the models say, and they judge as the CRD's schema does."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kipu.api import json_schema
from kipu.api.crd_kinds import RESOURCES, Custom
from tests.api.test_bounds import sized
from tests.api.test_crd import fields_of
from tests.api.test_three_places import BY_CEL, cases, manifest

ROOT = Path(__file__).parents[2]
VALIDATORS = {custom.kind: jsonschema.Draft7Validator(json_schema.schema(custom)) for custom in RESOURCES}
EXAMPLES = [
    (path.stem, document)
    for path in sorted((ROOT / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
CASES = [sized(case[1], *case, name=f"{case[0]}: {case[1]}"[:80]) for case in cases()]


def faults(value: dict[str, Any]) -> list[str]:
    return [error.message for error in VALIDATORS[value["kind"]].iter_errors(value)]


def without_nulls(value: Any) -> Any:
    """As the API server takes it: it drops such fields, but not entries of lists."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def diamond() -> dict[str, Any]:
    return copy.deepcopy(next(document for name, document in EXAMPLES if name == "diamond"))


@pytest.mark.parametrize("custom", RESOURCES, ids=lambda custom: custom.kind)
def test_the_committed_file_is_up_to_date_and_is_a_schema(custom: Custom) -> None:
    committed = (ROOT / json_schema.path(custom)).read_text(encoding="utf-8")
    assert committed == json_schema.render(custom), "run: make crds"
    jsonschema.Draft7Validator.check_schema(json.loads(committed))


@pytest.mark.parametrize(("name", "document"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_example_is_valid(name: str, document: dict[str, Any]) -> None:
    assert faults(document) == []


@pytest.mark.parametrize(("kind", "rule", "accepted", "refused", "by_schema"), CASES)
def test_it_judges_as_the_schema_of_the_crd_does(
    kind: str, rule: str, accepted: Any, refused: Any, by_schema: bool
) -> None:
    assert faults(manifest(kind, without_nulls(accepted))) == []
    if by_schema or rule in BY_CEL:
        assert faults(manifest(kind, refused)) != []


@pytest.mark.parametrize("field", ["apiVersion", "kind", "metadata", "spec"])
def test_what_every_manifest_has_is_asked_for(field: str) -> None:
    whole = diamond()
    whole.pop(field)
    assert list(VALIDATORS["Workflow"].iter_errors(whole)) != []


@pytest.mark.parametrize(
    ("field", "value"),
    [("apiVersion", "kipu.dev/v2"), ("kind", "WorkFlow"), ("sepc", {}), ("metadata", {"name": "a" * 64})],
)
def test_the_head_of_a_manifest_is_judged_too(field: str, value: object) -> None:
    assert list(VALIDATORS["Workflow"].iter_errors(diamond() | {field: value})) != []


def test_a_field_that_somebody_has_begun_to_write_is_pointed_at() -> None:
    whole = diamond()
    whole["spec"]["timeout"] = None
    assert faults(whole) == ["None is not of type 'string'"]


def test_metadata_may_hold_whatever_kubernetes_knows() -> None:
    whole = diamond()
    whole["metadata"] = {"generateName": "diamond-", "labels": {"team": "etl"}, "finalizers": ["example.com/one"]}
    assert faults(whole) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("has(self.a) != has(self.b)", [{"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}]),
        ("has(self.a) && !has(self.b)", [{"required": ["a"]}, {"not": {"required": ["b"]}}]),
        ("!has(oldSelf.a) || has(self.a)", []),
        ("self.number >= oldSelf.number", []),
    ],
)
def test_of_a_rule_is_said_which_fields_stand_together(rule: str, said: list[object]) -> None:
    assert list(json_schema.clauses(rule)) == said


@pytest.mark.parametrize("custom", RESOURCES, ids=lambda custom: custom.kind)
def test_only_what_compares_with_before_is_left_out_of_the_rules(custom: Custom) -> None:
    unsaid = [each["rule"] for rules in custom.rules.values() for each in rules]
    assert [rule for rule in unsaid if not list(json_schema.clauses(rule)) and "oldSelf" not in rule] == []


@pytest.mark.parametrize("custom", RESOURCES, ids=lambda custom: custom.kind)
def test_no_description_is_lost(custom: Custom) -> None:
    told = json_schema.render(custom)
    described = [field["description"] for field in fields_of(custom).values() if "description" in field]
    assert len(described) > 20
    assert [text for text in described if json.dumps(text, ensure_ascii=False) not in told] == []


def test_the_files_are_written_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert json_schema.main() == 0
    assert sorted(path.name for path in (tmp_path / "schemas").iterdir()) == [
        "cronworkflow.json",
        "workflow.json",
        "workflowtemplate.json",
    ]
