"""`kipu salvage --manifest`: a mended Workflow goes on with what it has left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kipu.api.definition import spec_hash
from kipu.cli.salvage import as_yaml
from tests.api.specs import spec, step
from tests.cli.exports import SPEC, exported, half_done
from tests.cli.histories import STREAM
from tests.cli.terminal import Terminal

ADOPTED = "kipu: adopted 2 (top, left); to run 3 (right, report, bottom)\n"
HALF = exported(half_done())


def mended(folder: Path, given: Mapping[str, Any], **metadata: Any) -> str:
    """The file of a Workflow that is to go on in the place of the old one."""
    file = folder / "mended.yaml"
    head = {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": STREAM.name, **metadata}}
    file.write_text(as_yaml({**head, "spec": given}))
    return str(file)


def changed(name: str, **fields: Any) -> dict[str, Any]:
    """The spec of the history, without its shutdown, in which a step is another one."""
    return spec(*[each if each["name"] != name else {**each, **fields} for each in SPEC["steps"]])


def test_a_mended_manifest_goes_on_with_what_it_has_left_as_it_was(terminal: Terminal, tmp_path: Path) -> None:
    given, labels = changed("right", command=["mended"]), {"team": "etl"}
    file = mended(tmp_path, given, labels=labels)
    outcome = terminal.kipu("salvage", "-", "--dry-run", "--manifest", file, "--name", "nightly-2", stdin=HALF)
    assert (outcome.code, outcome.err) == (0, ADOPTED)
    manifest = yaml.safe_load(outcome.out)
    assert manifest["metadata"] == {"name": "nightly-2", "namespace": "default", "labels": labels}
    assert [each["name"] for each in manifest["spec"].pop("adopt")["steps"]] == ["top", "left"]
    assert manifest["spec"] == given


def test_the_namespace_is_that_of_the_command_or_else_of_the_manifest(terminal: Terminal, tmp_path: Path) -> None:
    file = mended(tmp_path, changed("right", command=["mended"]), namespace="etl")
    for more, namespace in (((), "etl"), (("-n", "team-a"), "team-a")):
        outcome = terminal.kipu("salvage", "-", "--dry-run", "--manifest", file, *more, stdin=HALF)
        assert yaml.safe_load(outcome.out)["metadata"] == {"name": STREAM.name, "namespace": namespace}


def test_what_rests_on_a_step_that_was_mended_runs_again(terminal: Terminal, tmp_path: Path) -> None:
    outcome = terminal.kipu(
        "salvage", "-", "--dry-run", "--manifest", mended(tmp_path, changed("top", command=["x"])), stdin=HALF
    )
    assert outcome.err == "kipu: adopted none; to run 5 (top, left, right, report, bottom)\n"


def test_what_a_salvaged_manifest_adopts_is_not_adopted_from_the_history_before(
    terminal: Terminal, tmp_path: Path
) -> None:
    salvaged = yaml.safe_load(terminal.kipu("salvage", "-", "--dry-run", stdin=HALF).out)["spec"]
    assert [each["name"] for each in salvaged["adopt"]["steps"]] == ["top", "left"]
    given = changed("top", command=["x"])
    file = mended(tmp_path, {**given, "adopt": salvaged["adopt"]})
    outcome = terminal.kipu("salvage", "-", "--dry-run", "--manifest", file, stdin=HALF)
    assert yaml.safe_load(outcome.out)["spec"] == given


@pytest.mark.parametrize(
    ("field", "value"),
    [("params", [{"name": "day", "value": "2"}]), ("defaults", {"image": "busybox:1.37"})],
)
def test_where_params_or_defaults_were_mended_nothing_is_adopted_and_that_is_said(
    terminal: Terminal, tmp_path: Path, field: str, value: Any
) -> None:
    given = spec(*SPEC["steps"], **{field: value})
    outcome = terminal.kipu("salvage", "-", "--dry-run", "--manifest", mended(tmp_path, given), stdin=HALF)
    assert outcome.err.startswith(f"kipu: adopted none (spec.{field} is not as it was); to run 5 (")


def test_a_history_without_a_spec_will_do_beside_a_mended_manifest(terminal: Terminal, tmp_path: Path) -> None:
    file, bare = mended(tmp_path, changed("right", command=["mended"])), exported(half_done(), None, spec_hash(SPEC))
    assert terminal.kipu("salvage", "-", "--dry-run", "--manifest", file, stdin=bare).err == ADOPTED


def test_a_manifest_that_is_wrong_still_is_answered_with_all_its_faults(terminal: Terminal, tmp_path: Path) -> None:
    file = mended(tmp_path, spec(step("a", dependsOn=["b"]), step("a")))
    outcome = terminal.kipu("salvage", "-", "--dry-run", "--manifest", file, stdin=HALF)
    assert (outcome.code, outcome.out) == (2, "")
    assert "there is no step 'b'" in outcome.err
    assert "'a'" in outcome.err


def test_a_manifest_that_is_not_there_is_named(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "nowhere.yaml"
    outcome = terminal.kipu("salvage", "-", "--dry-run", "--manifest", str(file), stdin=HALF)
    assert outcome == (2, "", f"kipu: cannot read {file}: No such file or directory\n")
