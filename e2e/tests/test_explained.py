"""Failures explained on a real cluster: what keeps a step from starting, and what a program said before it failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.apiserver import JsonObject, wait_until
from e2e.history import read
from e2e.namespace import Namespace, failures, step, workflow

pytestmark = pytest.mark.cluster

KIPU = Path(sys.executable).parent / "kipu"
NO_REGISTRY = "127.0.0.1:9/nobody/has-this:1"  # of this machine, where nothing listens: no registry is asked
SECRET = {"valueFrom": {"secretKeyRef": {"name": "nope", "key": "k"}}}
SHOWN_SECONDS = 30.0  # of a status that is due after 5, on a busy machine


def explained(namespace: Namespace, name: str, *steps: str) -> dict[str, str]:
    """What the status says of these steps, once it says something of each."""

    def look() -> dict[str, str] | None:
        running = namespace.status(name).get("running", [])
        said = {report["step"]: str(report.get("message", "")) for report in running}
        return said if all(said.get(each) for each in steps) else None

    return wait_until(look, SHOWN_SECONDS, f"Workflow {name} says why {steps} wait")


def test_what_keeps_a_pod_from_starting_is_in_the_status_although_no_timeout_was_set(namespace: Namespace) -> None:
    nowhere = {"spec": {"nodeSelector": {"kipu.dev/nowhere": "true"}}}
    mounted = {"spec": {"volumes": [{"name": "v", "secret": {"secretName": "nope"}}]}}
    steps = [
        step("image", image=NO_REGISTRY),
        step("node", template=nowhere),
        step("variable", env=[{"name": "K", **SECRET}]),
        step("volume", template=mounted, volumeMounts=[{"name": "v", "mountPath": "/v"}]),
    ]
    namespace.submit(workflow("stuck", steps))
    said = explained(namespace, "stuck", "image", "node", "variable", "volume")
    assert said["image"].startswith(("ErrImagePull: ", "ImagePullBackOff: "))
    assert said["node"].startswith("Unschedulable: 0/")
    assert said["variable"] == 'CreateContainerConfigError: secret "nope" not found'
    assert said["volume"].startswith("FailedMount: ")
    assert 'secret "nope" not found' in said["volume"]
    status = namespace.status("stuck")
    assert (status["phase"], status["reason"]) == ("Running", "Waiting")
    assert "(and 3 more): " in status["message"]


def test_once_it_is_mended_the_step_runs_and_nothing_is_said_any_more(namespace: Namespace) -> None:
    namespace.submit(workflow("mended", [step("one", "sleep 20", env=[{"name": "K", **SECRET}])]))
    explained(namespace, "mended", "one")
    secret = {"metadata": {"name": "nope"}, "stringData": {"k": "v"}}
    namespace.api.create(f"/api/v1/namespaces/{namespace.name}/secrets", secret)

    def runs() -> bool:
        status = namespace.status("mended")
        reports = status.get("running", [])
        return bool(reports) and reports[0]["reason"] == "Running" and "message" not in {**reports[0], **status}

    wait_until(runs, 60, "the step runs, and its status says nothing of a secret")
    assert namespace.finished("mended")["phase"] == "Succeeded"


def test_a_job_that_may_have_no_pod_says_whose_word_that_is(namespace: Namespace) -> None:
    quota = {"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}}
    namespace.api.create(f"/api/v1/namespaces/{namespace.name}/resourcequotas", quota)
    path = f"/api/v1/namespaces/{namespace.name}/resourcequotas/no-pods"
    wait_until(lambda: namespace.api.get(path).get("status", {}).get("hard"), 30, "the quota holds")
    namespace.submit(workflow("refused", [step("one")]))
    said = explained(namespace, "refused", "one")["one"]
    assert said.startswith("FailedCreate: Error creating: pods ")
    assert "exceeded quota: no-pods" in said


@pytest.mark.parametrize("fields", [{}, {"outputs": [{"name": "rows"}]}], ids=["plain", "with outputs"])
def test_the_last_lines_of_a_failed_script_are_in_its_status_and_its_history(
    namespace: Namespace, fields: JsonObject
) -> None:
    script = "seq 1 100; printf '\\033[31mno such table\\033[0m\\n'; exit 3"
    namespace.submit(workflow("failing", [{**step("load", script), **fields}]))
    failed = failures(namespace.finished("failing"))["load"]
    assert failed["message"] == "exit code 3: no such table"
    assert failed["logTail"] == "99\n100\nno such table"
    (record,) = read(namespace, namespace.uid("failing")).of("AttemptFailed")
    assert record["logTail"].split("\n") == [*map(str, range(22, 101)), "no such table"]
    command = [str(KIPU), "history", "failing", "-n", namespace.name]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "load/1 said last:\n" in shown
    assert " | no such table\n" in shown
