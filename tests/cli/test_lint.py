"""`kipu lint` as a person and as a program meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
WRONG = """\
apiVersion: kipu.dev/v1alpha1
kind: Workflow
metadata: {name: load}
spec:
  steps:
    - name: fetch
      image: busybox:1.36
    - name: load
      scrip: ./load
      image: busybox:1.36
      dependsOn: [fetsh]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
---
apiVersion: kipu.dev/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedule: "0 0 30 2 *"
  timeZone: Europe/Brelin
  workflowTemplate:
    spec:
      steps:
        - {name: a, script: "true"}
"""
SPEC = "spec: {steps: [{name: a, image: i}]}\n"
TOLD = """\
{file}:9: Workflow/load: spec.steps[1].scrip: is not a field of this object (did you mean 'script'?)
{file}:11: Workflow/load: spec.steps[1].dependsOn[0]: there is no step 'fetsh' (did you mean 'fetch'?)
{file}:21: CronWorkflow/nightly: spec.schedule: '0 0 30 2 *': the day of month is wrong, or never comes
{file}:22: CronWorkflow/nightly: spec.timeZone: 'Europe/Brelin' is not a time zone (did you mean Europe/Berlin?)
{file}:26: CronWorkflow/nightly: spec.workflowTemplate.spec.steps[0]: there is no image to run \
(set spec.steps[0].image or spec.defaults.image)
"""


def written(folder: Path, text: str) -> str:
    file = folder / "manifests.yaml"
    file.write_text(text)
    return str(file)


def test_the_examples_have_no_fault(terminal: Terminal) -> None:
    assert terminal.kipu("lint", *map(str, EXAMPLES)) == (0, "", f"kipu: {len(EXAMPLES) + 2} manifests, no fault\n")


def test_every_fault_of_every_document_is_told_with_its_line(terminal: Terminal, tmp_path: Path) -> None:
    file = written(tmp_path, WRONG)
    outcome = terminal.kipu("lint", file)
    assert outcome == (1, TOLD.format(file=file), "kipu: 2 manifests, 5 faults in 2 of them\n")


def test_it_is_told_to_programs_as_json(terminal: Terminal, tmp_path: Path) -> None:
    file = written(tmp_path, WRONG)
    outcome = terminal.kipu("lint", file, "-o", "json")
    found = json.loads(outcome.out)
    assert (outcome.code, outcome.err, found["manifests"], len(found["problems"])) == (1, "", 2, 5)
    assert found["problems"][0] == {
        "file": file,
        "line": 9,
        "kind": "Workflow",
        "name": "load",
        "path": "spec.steps[1].scrip",
        "reason": "is not a field of this object",
        "hint": "did you mean 'script'?",
    }


def test_no_fault_is_json_too(terminal: Terminal) -> None:
    outcome = terminal.kipu("lint", str(EXAMPLES[0]), "--output=json")
    assert (outcome.code, json.loads(outcome.out)) == (0, {"manifests": 1, "problems": []})


def test_standard_input_is_a_file(terminal: Terminal) -> None:
    outcome = terminal.kipu("lint", "-", stdin=EXAMPLES[0].read_bytes())
    assert (outcome.code, outcome.err) == (0, "kipu: 1 manifest, no fault\n")


def test_what_is_listed_is_judged_where_it_stands(terminal: Terminal, tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        ("- " if number == 0 else "  ") + line + "\n" for number, line in enumerate(WRONG.split("---")[0].splitlines())
    )
    outcome = terminal.kipu("lint", written(tmp_path, text))
    assert [line.split(":")[1] for line in outcome.out.splitlines()] == ["12", "14"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "1: while parsing"),
        ("apiVersion: kipu.dev/v1\nkind: Workflow\n", "1: Workflow/: apiVersion: 'kipu.dev/v1' is not known"),
        (
            "apiVersion: kipu.dev/v1alpha1\nkind: Workflows\n",
            "2: Workflows/: kind: 'Workflows' is not a kind of kipu.dev/v1alpha1 (did you mean 'Workflow'?)",
        ),
        ("apiVersion: kipu.dev/v1alpha1\n", "1: kind: this is not a kind of kipu.dev/v1alpha1"),
    ],
)
def test_what_cannot_be_read_or_is_unknown_is_a_fault(terminal: Terminal, tmp_path: Path, text: str, told: str) -> None:
    file = written(tmp_path, text)
    outcome = terminal.kipu("lint", file)
    assert outcome.code == 1
    assert told.partition(":")[0] == outcome.out.removeprefix(f"{file}:").partition(":")[0]
    assert told.startswith("1: while") or outcome.out.startswith(f"{file}:{told}")


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ("", "metadata: is required"),
        ("metadata: x", "metadata: must be an object"),
        ("metadata: {}", "metadata.name: is required"),
        ("metadata: {name: 5}", "metadata.name: must be a string"),
        ("metadata: {name: A}", "metadata.name: 'A' is not a name"),
        ("metadata: {name: " + "n" * 64 + "}", "metadata.name: must have at most 63 characters"),
        ("metadata: {name: a}\nspecs: {}", "specs: is not a field of this object (did you mean 'spec'?)"),
    ],
)
def test_what_stands_around_the_spec_is_judged_too(
    terminal: Terminal, tmp_path: Path, metadata: str, told: str
) -> None:
    text = f"apiVersion: kipu.dev/v1alpha1\nkind: Workflow\n{metadata}\n" + SPEC
    outcome = terminal.kipu("lint", written(tmp_path, text))
    assert outcome.code == 1
    assert told in outcome.out
    assert len(outcome.out.splitlines()) == 1


@pytest.mark.parametrize("metadata", ["{name: a.b-c}", "{generateName: a-}", "{name: " + "n" * 63 + "}"])
def test_a_name_that_a_cluster_takes_is_taken(terminal: Terminal, tmp_path: Path, metadata: str) -> None:
    text = f"apiVersion: kipu.dev/v1alpha1\nkind: Workflow\nmetadata: {metadata}\n" + SPEC
    assert terminal.kipu("lint", written(tmp_path, text)).code == 0


def test_a_spec_must_be_there(terminal: Terminal, tmp_path: Path) -> None:
    text = "apiVersion: kipu.dev/v1alpha1\nkind: Workflow\nmetadata: {name: a}\n"
    assert "spec: is required" in terminal.kipu("lint", written(tmp_path, text)).out


def test_files_without_anything_of_ours_are_not_called_well(terminal: Terminal, tmp_path: Path) -> None:
    outcome = terminal.kipu("lint", written(tmp_path, "kind: Pod\napiVersion: v1\n---\n- 1\n"))
    assert outcome == (2, "", "kipu: no manifest of kipu.dev in these files\n")


def test_a_file_that_is_not_there_is_wrong_usage(terminal: Terminal) -> None:
    assert terminal.kipu("lint", "nowhere.yaml").code == 2
    assert terminal.kipu("lint").code == 2


PAIR = """\
apiVersion: kipu.dev/v1alpha1
kind: WorkflowTemplate
metadata: {name: etl}
spec:
  params: [{name: times, type: Int}]
  steps: [{name: a, image: i}]
---
apiVersion: kipu.dev/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  templateRef: {name: etl}
  params: [{name: times, value: many}]
"""


def test_a_workflow_is_judged_with_its_template_where_that_is_at_hand(terminal: Terminal, tmp_path: Path) -> None:
    file = written(tmp_path, PAIR)
    wrong = "spec.params[0].value: must be a whole number: 'times' is of type Int"
    assert terminal.kipu("lint", file).out == f"{file}:13: Workflow/w: {wrong}\n"
    alone = written(tmp_path, PAIR.partition("---\n")[2])
    assert terminal.kipu("lint", alone) == (0, "", "kipu: 1 manifest, no fault\n")
