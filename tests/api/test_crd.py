"""The CRD: what is committed is what the models say, structural, bounded, and cheap at every write of the status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from kipu.api import crd
from kipu.api.crd_kinds import CRON_WORKFLOW, RESOURCES, WORKFLOW, WORKFLOW_TEMPLATE, Custom
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.naming import JOB_NAME_LENGTH_MAX

ROOT = Path(__file__).parents[2]
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


def version_of(custom: Custom) -> dict[str, Any]:
    version: dict[str, Any] = crd.definition(custom)["spec"]["versions"][0]
    return version


def fields_of(custom: Custom) -> dict[str, dict[str, Any]]:
    return dict(fields(version_of(custom)["schema"]["openAPIV3Schema"]))


PARAMS = ("params[].value", "params[].default", "params[].enum[]")
GIVEN = ("steps[].workflow.params[].value", "finally[].workflow.params[].value")
ANY_VALUE = {
    f"{spec}.{path}"
    for spec in (".spec", ".spec.workflowTemplate.spec")
    for path in ("steps[].forEach.items[]", "finally[].forEach.items[]", *PARAMS, *GIVEN)
}
FIELDS = {custom.kind: fields_of(custom) for custom in RESOURCES}
EACH = pytest.mark.parametrize("kind", list(FIELDS))
# Where the spec of a Workflow stands.
SPECS = {"Workflow": ".spec", "CronWorkflow": ".spec.workflowTemplate.spec", "WorkflowTemplate": ".spec"}


@pytest.mark.parametrize("custom", RESOURCES, ids=lambda custom: custom.kind)
def test_the_committed_copies_are_up_to_date(custom: Custom) -> None:
    for path in crd.copies(custom):
        assert (ROOT / path).read_text(encoding="utf-8") == crd.render(custom), "run: make crds"


@EACH
def test_every_field_is_described(kind: str) -> None:
    missing = {
        path
        for path, field in FIELDS[kind].items()
        if not field.get("description") and path not in OF_KUBERNETES and not path.endswith(("[]", "{}"))
    }
    assert missing == set()


@EACH
def test_every_list_and_text_is_bounded(kind: str) -> None:
    own = {path: field for path, field in FIELDS[kind].items() if path not in OF_KUBERNETES}
    lists = {path for path, field in own.items() if field.get("type") == "array" and "maxItems" not in field}
    texts = {
        path
        for path, field in own.items()
        if field.get("type") == "string" and not {"maxLength", "enum", "format"} & set(field)
    }
    maps = {path for path, field in own.items() if "additionalProperties" in field and "maxProperties" not in field}
    assert (lists, texts, maps) == (set(), set(), set())


@EACH
def test_every_number_has_a_least_value(kind: str) -> None:
    spec = {path for path, field in FIELDS[kind].items() if path.startswith(".spec") and field.get("type") == "integer"}
    assert {path for path in spec if not {"minimum", "maximum"} <= set(FIELDS[kind][path])} == set()


@EACH
def test_lists_are_atomic_but_the_conditions(kind: str) -> None:
    granular = {
        path
        for path, field in FIELDS[kind].items()
        if field.get("type") == "array" and field["x-kubernetes-list-type"] != "atomic"
    }
    assert granular == ({".status.conditions"} if ".status" in FIELDS[kind] else set())


@EACH
def test_nothing_has_a_default_and_few_rules_run_at_a_write(kind: str) -> None:
    assert not [path for path, field in FIELDS[kind].items() if "default" in field]
    ruled = {path for path, field in FIELDS[kind].items() if "x-kubernetes-validations" in field}
    workspace = f"{SPECS[kind]}.workspace"
    workflow = {".spec", ".spec.shutdown", ".spec.rerun"}
    allowed = {"Workflow": workflow, "CronWorkflow": {SPECS["CronWorkflow"]}, "WorkflowTemplate": {".spec"}}
    assert ruled == {*allowed[kind], workspace}  # nothing below a list: their cost is constant


@EACH
def test_the_schema_is_structural(kind: str) -> None:
    for path, field in FIELDS[kind].items():
        assert isinstance(field.get("type"), str) or path in ANY_VALUE, path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "title"} & set(field), path
        kinds = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"} & set(field)
        assert len(kinds) <= 1, path


@EACH
def test_only_what_core_v1_owns_passes_through(kind: str) -> None:
    through = {path for path, field in FIELDS[kind].items() if "x-kubernetes-preserve-unknown-fields" in field}
    spec = SPECS[kind]
    within = ("template.spec", "env[].valueFrom", "envFrom[]", "resources", "securityContext", "volumeMounts[]")
    steps = {f"{spec}.{field}[].{each}" for field in ("steps", "finally") for each in (*within, "forEach.items[]")}
    # The outputs of what is adopted are what another log holds.
    params = {path for path in ANY_VALUE if ".params[]." in path and path in FIELDS[kind]}
    language = {*params, f"{spec}.adopt.steps[].outputs"}
    templates = {f"{spec}.defaults.template.spec", f"{spec}.workspace.claimTemplate.spec"}
    assert through == {*templates, *steps, *language}


@pytest.mark.parametrize(("custom", "rest"), [(WORKFLOW, 0), (CRON_WORKFLOW, len("-29712960") + 2)])
def test_a_name_fits_a_label(custom: Custom, rest: int) -> None:
    """That of a CronWorkflow with the minutes behind it, of which there may be two digits more some day."""
    name = version_of(custom)["schema"]["openAPIV3Schema"]["properties"]["metadata"]["properties"]["name"]
    assert name["maxLength"] == JOB_NAME_LENGTH_MAX - rest


def test_the_phase_can_be_selected_by() -> None:
    version = crd.definition()["spec"]["versions"][0]
    assert version["selectableFields"] == [{"jsonPath": ".status.phase"}]
    assert FIELDS["Workflow"][".status.phase"]["enum"] == [phase.value for phase in WorkflowPhase]


@pytest.mark.parametrize(
    ("custom", "narrow", "wide"),
    [
        (WORKFLOW, ["Phase", "Progress", "Failed", "Started", "Duration", "Age"], ["Reason", "Message"]),
        (
            CRON_WORKFLOW,
            ["Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"],
            ["Next Schedule", "Accepted", "On Schedule", "Message"],
        ),
        (WORKFLOW_TEMPLATE, ["Age"], []),
    ],
    ids=["Workflow", "CronWorkflow", "WorkflowTemplate"],
)
def test_every_column_shows_a_field_that_there_is(custom: Custom, narrow: list[str], wide: list[str]) -> None:
    columns = version_of(custom)["additionalPrinterColumns"]
    shown = {column["jsonPath"].partition("[?")[0] for column in columns}
    assert shown - set(FIELDS[custom.kind]) == {".metadata.creationTimestamp"}
    assert [column["name"] for column in columns if not column.get("priority")] == narrow
    assert [column["name"] for column in columns if column.get("priority")] == wide


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


@pytest.mark.proof
def test_the_files_are_written_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert crd.main() == 0
    for custom in RESOURCES:
        assert {(tmp_path / path).read_text(encoding="utf-8") for path in crd.copies(custom)} == {crd.render(custom)}
