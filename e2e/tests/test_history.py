"""The log in the cluster, as a person finds it: a head and few chunks, and the commands that read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.history import head, read
from e2e.namespace import Namespace, step, workflow

pytestmark = pytest.mark.cluster

KIPU = Path(sys.executable).parent / "kipu"


def kipu(*arguments: str, code: int = 0) -> str:
    done = subprocess.run([str(KIPU), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_log_is_a_head_a_definition_and_few_chunks(namespace: Namespace) -> None:
    steps = [step("first"), *(step(f"leaf-{number}", after=["first"]) for number in range(9))]
    namespace.submit(workflow("logged", steps))
    status = namespace.finished("logged")
    uid = namespace.uid("logged")
    names = {item["metadata"]["name"] for item in namespace.log_objects(uid)}
    log = read(namespace, uid)
    assert f"kipu-log-{uid}" in names
    assert {chunk["name"] for chunk in log.meta["chunks"]} < names
    assert len(names) <= 5
    assert log.of("WorkflowFinished")[-1] == log.records[-1]
    assert status["log"] == {"position": log.meta["position"], "hash": log.meta["hash"]}


def test_chunks_are_immutable_and_the_head_is_not(namespace: Namespace) -> None:
    namespace.submit(workflow("sealed", [step(f"step-{number}") for number in range(10)]))
    namespace.finished("sealed")
    uid = namespace.uid("sealed")
    sealed = {item["metadata"]["name"]: item.get("immutable", False) for item in namespace.log_objects(uid)}
    assert sealed.pop(f"kipu-log-{uid}") is False
    assert sealed
    assert all(sealed.values())


def test_kipu_history_tells_the_run_and_kipu_verify_accepts_what_it_wrote(namespace: Namespace, tmp_path: Path) -> None:
    namespace.submit(workflow("told", [step("one"), step("two", after=["one"])]))
    namespace.finished("told")
    table = kipu("history", "told", "--namespace", namespace.name)
    assert [word for word in ("WorkflowAccepted", "StepSucceeded", "WorkflowFinished") if word not in table] == []
    file = tmp_path / "told.jsonl"
    file.write_text(kipu("history", "told", "--namespace", namespace.name, "--output", "jsonl"))
    kipu("verify", str(file))
    assert len(file.read_text().splitlines()) == 1 + head(namespace, namespace.uid("told"))["position"]
    file.write_text(file.read_text().replace('"step":"one"', '"step":"oné"', 1))
    kipu("verify", str(file), code=1)
