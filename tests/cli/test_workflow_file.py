"""Files with a Workflow: read as kubectl reads them, and refused with the place of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.cli import manifests, workflow_file
from kipu.cli.errors import CannotTell
from kipu.core.errors import UserError
from tests.core.laws import LAW

SOUND = """
apiVersion: kipu.dev/v1alpha1
kind: Workflow
metadata: {name: nightly}
spec:
  defaults: {image: busybox}
  steps:
    - {name: a, script: echo a}
"""


def read(tmp_path: Path, text: str | bytes) -> workflow_file.Manifest:
    file = tmp_path / "workflow.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return workflow_file.read(file)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises((CannotTell, UserError)) as caught:
        read(tmp_path, text)
    return str(caught.value)


def test_a_sound_file_gives_its_name_spec_and_definition(tmp_path: Path) -> None:
    found = read(tmp_path, SOUND)
    assert (found.name, [step.name for step in found.definition.steps]) == ("nightly", ["a"])


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = SOUND.replace("v1alpha1", "v2").replace("nightly", "Nightly").replace("script", "skript")
    said = refusal(tmp_path, text)
    for part in (
        "apiVersion: must be kipu.dev/v1alpha1",
        "metadata.name",
        "spec.steps[0].skript",
        "did you mean 'script'",
    ):
        assert part in said


def test_what_looks_like_a_date_stays_a_string(tmp_path: Path) -> None:
    text = SOUND.replace("script: echo a", "script: echo a, env: [{name: DAY, value: 2026-11-23}]")
    pod = read(tmp_path, text).definition.steps[0].pod
    assert "2026-11-23" in str(pod)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SOUND + "kind: Workflow\n", "line 9: the key 'kind' stands here twice"),
        (SOUND.replace("name: a", "1: a"), "is not a field of this object"),
        (SOUND + "---\n" + SOUND, "holds 2 documents"),
        ("", "holds 0 documents"),
        ("- a\n", "holds no object"),
        ("a: [", "line 1"),
        (b"\xff\xfe\x00", "line 1"),
        ("a: *b\n", "undefined alias"),
        ("a: !!python/name:os.system x\n", "is not a type of JSON"),
        ("[" * 102 + "]" * 102, "nested more than 100 levels deep"),
        ("#" * (manifests.FILE_BYTES_MAX + 1), "the file has more than"),
        (SOUND + "surprise: 1\n", "surprise: is not a field"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_a_few_aliases_that_stand_for_very_many_values_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a smaller bound: the true one is kept by tests/cli/test_manifests.py."""
    monkeypatch.setattr(manifests, "NODES_MAX", 1_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert f"more than {manifests.NODES_MAX} values" in refusal(tmp_path, "\n".join(lines))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="cannot read"):
        workflow_file.read(tmp_path / "none.yaml")


@LAW
@given(st.one_of(st.binary(max_size=200), st.text(st.sampled_from("abc:[]{}-&*! \n'\"|>?,#%@1"), max_size=60)))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((CannotTell, UserError)):
        workflow_file.read(file)


TEMPLATED = """
apiVersion: kipu.dev/v1alpha1
kind: WorkflowTemplate
metadata: {name: etl}
spec:
  params: [{name: who}]
  steps: [{name: a, image: i, script: echo a}]
---
apiVersion: kipu.dev/v1alpha1
kind: Workflow
metadata: {name: nightly}
spec:
  templateRef: {name: etl}
  params: [{name: who, value: x}]
"""


def test_a_workflow_takes_its_template_from_the_same_file(tmp_path: Path) -> None:
    found = read(tmp_path, TEMPLATED)
    assert (found.name, [step.name for step in found.definition.steps]) == ("nightly", ["a"])
    assert found.definition.params == {"who": "x"}
    assert "there is no template 'etl' here" in refusal(tmp_path, TEMPLATED.partition("---")[2])
    assert "holds 0 documents, one Workflow is expected" in refusal(tmp_path, TEMPLATED.partition("---")[0])
