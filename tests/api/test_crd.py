"""The CRD: what is committed is what the models say, structural, bounded, and cheap at every write of the status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from kipu.api import crd
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.naming import JOB_NAME_LENGTH_MAX

ROOT = Path(__file__).parents[2]
SCHEMA = crd.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
OF_KUBERNETES = {".apiVersion", ".kind", ".metadata"}


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below this one, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from fields(schema["additionalProperties"], f"{path}{{}}")


FIELDS = dict(fields(SCHEMA))


@pytest.mark.parametrize("path", crd.COPIES, ids=str)
def test_the_committed_copy_is_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == crd.render(), "run: make crds"


def test_every_field_is_described() -> None:
    missing = {
        path
        for path, field in FIELDS.items()
        if not field.get("description") and path not in OF_KUBERNETES and not path.endswith(("[]", "{}"))
    }
    assert missing == set()


def test_every_list_and_text_is_bounded() -> None:
    own = {path: field for path, field in FIELDS.items() if path not in OF_KUBERNETES}
    lists = {path for path, field in own.items() if field["type"] == "array" and "maxItems" not in field}
    texts = {
        path
        for path, field in own.items()
        if field["type"] == "string" and not {"maxLength", "enum", "format"} & set(field)
    }
    maps = {path for path, field in own.items() if "additionalProperties" in field and "maxProperties" not in field}
    assert (lists, texts, maps) == (set(), set(), set())


def test_every_number_has_a_least_value() -> None:
    spec = {path for path, field in FIELDS.items() if path.startswith(".spec") and field["type"] == "integer"}
    assert {path for path in spec if not {"minimum", "maximum"} <= set(FIELDS[path])} == set()


def test_lists_are_atomic_but_the_conditions() -> None:
    granular = {
        path
        for path, field in FIELDS.items()
        if field["type"] == "array" and field["x-kubernetes-list-type"] != "atomic"
    }
    assert granular == {".status.conditions"}


def test_nothing_has_a_default_and_few_rules_run_at_a_write() -> None:
    assert not [path for path, field in FIELDS.items() if "default" in field]
    ruled = {path for path, field in FIELDS.items() if "x-kubernetes-validations" in field}
    assert ruled == {".spec", ".spec.shutdown", ".spec.rerun"}  # nothing below a list: their cost is constant


def test_the_schema_is_structural() -> None:
    for path, field in FIELDS.items():
        assert isinstance(field["type"], str), path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "title"} & set(field), path
        kinds = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"} & set(field)
        assert len(kinds) <= 1, path


def test_only_what_core_v1_owns_passes_through() -> None:
    through = {path for path, field in FIELDS.items() if "x-kubernetes-preserve-unknown-fields" in field}
    within = ("template.spec", "env[].valueFrom", "envFrom[]", "resources", "securityContext", "volumeMounts[]")
    steps = {f".spec.{field}[].{each}" for field in ("steps", "finally") for each in within}
    assert through == {".spec.defaults.template.spec", *steps}


def test_a_name_fits_a_label() -> None:
    assert SCHEMA["properties"]["metadata"]["properties"]["name"]["maxLength"] == JOB_NAME_LENGTH_MAX


def test_the_phase_can_be_selected_by() -> None:
    version = crd.definition()["spec"]["versions"][0]
    assert version["selectableFields"] == [{"jsonPath": ".status.phase"}]
    assert FIELDS[".status.phase"]["enum"] == [phase.value for phase in WorkflowPhase]


def test_every_column_shows_a_field_that_there_is() -> None:
    columns = crd.definition()["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = {column["jsonPath"] for column in columns}
    assert shown - set(FIELDS) == {".metadata.creationTimestamp"}
    wide = [column["name"] for column in columns if column.get("priority")]
    narrow = [column["name"] for column in columns if not column.get("priority")]
    assert narrow == ["Phase", "Progress", "Failed", "Started", "Duration", "Age"]
    assert wide == ["Reason", "Message"]


class Union(BaseModel):
    field: int | str


class Tuple(BaseModel):
    field: tuple[int, str]


class Itself(BaseModel):
    field: Itself | None = None


class Exclusive(BaseModel):
    field: dict[str, Any] = {}
    model_config = {"json_schema_extra": {"patternProperties": {}}}


@pytest.mark.parametrize("model", [Union, Tuple, Itself, Exclusive])
def test_a_model_that_a_crd_cannot_say_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(crd.NotStructuralError):
        crd.structural(model)


def test_the_files_are_written_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert crd.main() == 0
    assert [(tmp_path / path).read_text(encoding="utf-8") for path in crd.COPIES] == [crd.render()] * 2
