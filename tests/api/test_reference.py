"""The reference: what is committed is what the models say, whole, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kipu.api import reference
from kipu.api.crd_kinds import RESOURCES, Custom
from tests.api.test_crd import fields_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / reference.PAGE).read_text()
HEADING = re.compile(r"^### (\S+)$", re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+)` \| (.*) \|$")


def row(heading: str, name: str) -> list[str]:
    """The cells of a field."""
    _, _, section = PAGE.partition(f"### {heading}\n")
    section = section.partition("\n### ")[0]
    found = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", found)[2:-1]]


def test_the_page_is_as_the_models_and_the_examples_have_it() -> None:
    examples = reference.read_examples(ROOT / reference.EXAMPLES)
    assert reference.render(examples) == PAGE, "run `make crds`"


@pytest.mark.parametrize("custom", RESOURCES, ids=lambda custom: custom.kind)
def test_every_field_of_every_resource_is_told(custom: Custom) -> None:
    told = set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE))
    paths = [path for path in fields_of(custom) if path.startswith((".spec.", ".status."))]
    assert {re.split(r"[.]", path)[-1].rstrip("[]{}") for path in paths} <= told
    assert len(paths) > 20


def test_every_row_has_as_many_cells_as_the_table() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {6}


def test_every_object_that_is_pointed_to_is_there_once() -> None:
    headings = [re.sub(r"[^a-z0-9-]", "", heading.lower()) for heading in HEADING.findall(PAGE)]
    assert len(headings) == len(set(headings))
    assert set(re.findall(r"\(#([^)]+)\)", PAGE)) <= set(headings)


def test_a_field_is_told_with_its_type_its_bounds_and_an_example() -> None:
    kind, bounds, what, example = row("Workflow.spec", "timeout")
    assert (kind, bounds) == ("string", "a duration, such as `90s` or `1h30m`")
    assert what.startswith("How long the run may take")
    assert example == "[timeout](../examples/timeout.yaml)"
    assert row("Workflow.spec.rerun", "number")[:2] == ["integer, **required**", "2 to 1,000,000"]
    assert row("Workflow.spec", "steps")[:2] == ["list of [object](#workflowspecsteps)", "1 to 5,000 entries"]
    assert row("Workflow.spec", "onFailure")[1] == "one of `FinishRunning`, `CancelRunning`, `Continue`"


def test_an_object_that_stands_in_several_places_is_told_once() -> None:
    assert "### Workflow.spec.steps[]\n" in PAGE
    assert "Also: `Workflow.spec.finally[]`." in PAGE
    assert "### WorkflowTemplate.spec.steps[]" not in PAGE
    assert row("WorkflowTemplate.spec", "params")[0] == "list of [object](#workflowtemplatespecparams)"
