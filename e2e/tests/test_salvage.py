"""A damaged log: what was exported before is salvaged into a new Workflow, which runs only the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.apiserver import JsonObject, config_maps, wait_until
from e2e.history import read
from e2e.namespace import Namespace, phases, step, workflow

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
KIPU = str(Path(sys.executable).with_name("kipu"))
NAME = "nightly"
# The third step ends after the damage is done: its end is the commit at which the operator finds out.
STEPS = [step("one"), step("two", after=["one"]), step("three", "sleep 12", ["two"]), step("four", after=["three"])]


def kipu(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KIPU, *arguments, "-n", namespace.name], capture_output=True, text=True, check=False)


def head_path(namespace: Namespace) -> str:
    return config_maps(namespace.name, f"kipu-log-{namespace.uid(NAME)}")


def delete_head(namespace: Namespace, _before: JsonObject) -> None:
    namespace.api.delete(head_path(namespace))


def restore_head(namespace: Namespace, before: JsonObject) -> None:
    """As a restore of etcd would: the head is sound, and an older one than the status has seen."""
    namespace.api.merge(head_path(namespace), {"data": before["data"]})


def reason_of_stall(namespace: Namespace) -> str:
    stalled = [c for c in namespace.status(NAME).get("conditions", []) if c["type"] == "Stalled"]
    return next((str(c["reason"]) for c in stalled if c["status"] == "True"), "")


def half_done(namespace: Namespace) -> JsonObject:
    """Two steps have succeeded and the third runs; returns the head as it was in the beginning."""
    namespace.submit(workflow(NAME, STEPS))
    namespace.phase(NAME, "Running")
    before = namespace.api.get(head_path(namespace))
    wait_until(lambda: phases(namespace.status(NAME)).get("three") == "Running", 60, "the third step runs")
    return before


@pytest.mark.parametrize(("damage", "reason"), [(delete_head, "LogMissing"), (restore_head, "HistoryRollback")])
def test_what_was_exported_before_the_damage_goes_on_in_a_new_workflow(
    namespace: Namespace,
    tmp_path: Path,
    damage: Callable[[Namespace, JsonObject], None],
    reason: str,
) -> None:
    before = half_done(namespace)
    file = str(tmp_path / "nightly.jsonl")
    exported = kipu(namespace, "export", NAME, "--output", file)
    assert (exported.returncode, exported.stderr) == (0, "")
    namespace.kubectl("label", "namespace", namespace.name, "kipu.dev/log-guard=off")
    damage(namespace, before)
    wait_until(lambda: reason_of_stall(namespace) == reason, 60, f"the condition says {reason}")
    assert kipu(namespace, "export", NAME).returncode == 1

    salvaged = kipu(namespace, "salvage", file, "--name", "again")
    assert salvaged.stdout == "workflow.kipu.dev/again created\n", salvaged.stderr
    assert salvaged.stderr == "kipu: adopted 2 (one, two); to run 2 (three, four)\n"
    status = namespace.finished("again")
    assert (status["phase"], status["progress"]) == ("Succeeded", "4/4")
    uid = namespace.uid("again")
    ran = sorted(pod["metadata"]["labels"]["kipu.dev/step"] for pod in namespace.pods(uid))
    assert ran == ["four", "three"]
    log = read(namespace, uid)
    assert [record["step"] for record in log.of("StepAdopted")] == ["one", "two"]
    assert {record["sourceUid"] for record in log.of("StepAdopted")} == {namespace.uid(NAME)}
    assert log.attempts() == {("three", 1), ("four", 1)}


def test_an_adoption_that_is_not_sound_is_rejected_and_named(namespace: Namespace) -> None:
    adopt = {
        "workflowUid": "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11",
        "run": 1,
        "steps": [{"name": "two", "position": 7, "hash": "ab" * 32}],
    }
    namespace.submit(workflow("unsound", STEPS, adopt=adopt))
    status = namespace.finished("unsound")
    assert status["phase"] == "Rejected"
    assert "step 'two' needs 'one', which is not adopted and runs again" in status["message"]
    assert namespace.jobs() == []
