"""What `make scan` concludes: schemas that let nothing unknown through, findings and their exceptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e2e.scan.findings import EXCEPTIONS, Finding, excepted, found, left
from e2e.scan.schemas import from_crd, from_openapi

SWAGGER: dict[str, Any] = {
    "definitions": {
        "v1.Thing": {
            "description": "left out",
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {"$ref": "#/definitions/v1.Spec"},
                "labels": {"additionalProperties": {"type": "string"}},
            },
            "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "Thing"}],
        },
        "v1.Spec": {
            "type": "object",
            "properties": {
                "format": {"type": "string", "format": "byte"},
                "size": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"},
                "next": {"$ref": "#/definitions/v1.Spec"},
                "any": {"type": "object"},
            },
        },
        "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
        "v1.Unused": {"type": "object"},
    }
}


def test_a_schema_holds_all_that_it_refers_to_and_lets_no_unknown_field_through() -> None:
    schema = from_openapi(SWAGGER, "g", "v1", "Thing")
    assert schema is not None
    spec = schema["definitions"]["v1.Spec"]
    assert schema["definitions"].keys() == SWAGGER["definitions"].keys() - {"v1.Unused"}
    assert (schema["definitions"]["v1.Thing"]["additionalProperties"], spec["additionalProperties"]) == (False, False)
    assert schema["definitions"]["v1.Thing"]["properties"]["labels"] == {"additionalProperties": {"type": "string"}}
    assert spec["properties"]["format"] == {"type": "string"}  # a field of that name, not the schema's word
    assert spec["properties"]["any"] == {"type": "object"}
    quantity = schema["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity == {"type": ["string", "number"]}
    assert from_openapi(SWAGGER, "g", "v2", "Thing") is None


def test_the_schema_of_a_crd_is_that_of_the_version_that_is_asked_for() -> None:
    fields = {"spec": {"type": "object", "properties": {"port": {"x-kubernetes-int-or-string": True, "anyOf": []}}}}
    crd: dict[str, Any] = {
        "spec": {
            "group": "g",
            "names": {"kind": "Thing"},
            "versions": [
                {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}}},
                {"name": "v2", "schema": {"openAPIV3Schema": {"type": "object", "properties": {}}}},
            ],
        }
    }
    schema = from_crd(crd, "g", "v1", "Thing")
    assert schema is not None
    assert schema["properties"]["spec"]["properties"]["port"] == {"type": ["string", "number"]}
    assert schema["properties"]["spec"]["additionalProperties"] is False
    assert schema["properties"]["metadata"] == {"type": "object"}
    assert from_crd(crd, "g", "v2", "Thing") != schema
    assert from_crd(crd, "other", "v1", "Thing") is None


def scored(grade: int, *summaries: str, skipped: bool = False) -> list[dict[str, Any]]:
    comments = [{"summary": each} for each in summaries] or None
    check = {"check": {"id": "habit", "comment": "what it is for"}, "grade": grade, "skipped": skipped}
    return [{"object_name": "Deployment/kipu", "checks": [{**check, "comments": comments}]}]


def test_warnings_are_findings_too_and_what_passed_or_does_not_apply_is_none() -> None:
    assert found(scored(10)) == []
    assert found(scored(0, "x", skipped=True)) == []
    assert found(scored(7, "x", "y")) == [Finding("habit", "Deployment/kipu", each) for each in "xy"]
    assert found(scored(1)) == [Finding("habit", "Deployment/kipu", "what it is for")]


def test_a_finding_is_left_unless_it_is_excepted_and_so_is_an_exception_that_nothing_needs(tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text("- {check: habit, objects: [Deployment/kipu], summaries: [x, gone], reason: r}\n")
    assert left(found(scored(1, "x", "new")), excepted(file)) == [
        "Deployment/kipu: habit: new",
        "exceptions.yaml: nothing needs this any more: Deployment/kipu: habit: gone",
    ]


def test_every_exception_has_a_reason() -> None:
    assert all(len(reason) > 40 for reason in excepted(EXCEPTIONS).values())
