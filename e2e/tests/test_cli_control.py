"""What people ask of Workflows by `kipu`, as they type it: the installed command on a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.apiserver import JsonObject, wait_until, workflows
from e2e.namespace import Namespace, phases, step, workflow

pytestmark = pytest.mark.cluster
KIPU = str(Path(sys.executable).with_name("kipu"))
STUBBORN = 'trap "" TERM; while true; do sleep 0.2; done'
TIMEOUT = ("--timeout", "90s")


def kipu(namespace: Namespace, *arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [KIPU, *arguments, "--namespace", namespace.name]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def submit(
    namespace: Namespace, manifest: JsonObject, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    return kipu(namespace, "submit", "-", *arguments, code=code, stdin=json.dumps(manifest))


@pytest.mark.parametrize(("script", "code"), [("true", 0), ("false", 1)])
def test_a_submitted_workflow_is_followed_to_its_end(namespace: Namespace, script: str, code: int) -> None:
    done = submit(namespace, workflow("followed", [step("only", script)]), "--watch", *TIMEOUT, code=code)
    lines = done.stdout.splitlines()
    assert lines[0] == "workflow.kipu.dev/followed created"
    assert lines[-1].split()[1:3] == ["workflow", "failed:" if code else "succeeded"]


def test_a_server_dry_run_asks_the_policies_and_keeps_nothing(namespace: Namespace) -> None:
    submit(namespace, workflow("dry", [step("only")]), "--dry-run=server")
    assert namespace.api.find(workflows(namespace.name, "dry")) is None
    assert "spec.steps[0].dependsOn" in submit(namespace, workflow("dry", [step("a", after=["b"])]), code=1).stderr


def test_an_approval_is_taken_in_the_callers_name(namespace: Namespace) -> None:
    submit(namespace, workflow("asked", [{"name": "publish", "approval": {}}, step("go", after=["publish"])]))
    wait_until(lambda: phases(namespace.status("asked")).get("publish") == "Suspended", 60, "it asks")
    assert "no step 'publsh'" in kipu(namespace, "approve", "asked", "publsh", code=1).stderr
    kipu(namespace, "approve", "asked", "publish", "--message", "well done")
    assert namespace.finished("asked")["phase"] == "Succeeded"
    (answer,) = namespace.workflow("asked")["spec"]["approvals"]
    assert answer["by"] == namespace.kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}")
    assert "has ended, Succeeded" in kipu(namespace, "approve", "asked", "publish", code=1).stderr


def test_a_suspended_workflow_goes_on_when_it_is_resumed(namespace: Namespace) -> None:
    submit(namespace, workflow("held", [step("first", "sleep 5"), step("second", after=["first"])]))
    kipu(namespace, "suspend", "held")
    namespace.phase("held", "Suspended")
    kipu(namespace, "resume", "held")
    assert namespace.finished("held")["phase"] == "Succeeded"


def test_a_cancel_that_is_waited_for_leaves_no_pod(namespace: Namespace) -> None:
    submit(namespace, workflow("stopped", [step("busy", STUBBORN)]))
    wait_until(lambda: phases(namespace.status("stopped")).get("busy") == "Running", 60, "it runs")
    done = kipu(namespace, "cancel", "stopped", "--wait", *TIMEOUT)
    assert namespace.pods() == []
    assert done.stdout.splitlines()[-1].split()[1:3] == ["workflow", "cancelled:"]
    assert "there is nothing to cancel" in kipu(namespace, "cancel", "stopped", code=1).stderr


def test_a_run_is_run_again_and_what_had_succeeded_stays_done(namespace: Namespace) -> None:
    flaky = '[ "$KIPU_RUN" -ge 2 ]'
    submit(namespace, workflow("again", [step("done"), step("flaky", flaky, after=["done"])]), "--watch", code=1)
    done = kipu(namespace, "rerun", "again", "--watch", *TIMEOUT)
    asked, _, *lines = done.stdout.splitlines()
    assert asked == "workflow.kipu.dev/again: asked for run 2"
    assert not any(line.split()[1].startswith("done") for line in lines)
    assert namespace.status("again")["run"] == 2


def test_what_is_purged_is_gone_with_its_jobs_and_its_log(namespace: Namespace) -> None:
    submit(namespace, workflow("over", [step("only")]), "--watch")
    submit(namespace, workflow("busy", [step("only", "sleep 60")]))
    namespace.phase("busy", "Running")
    uid = namespace.uid("over")
    assert "not ended yet: busy" in kipu(namespace, "purge", "over", "busy", "--yes", code=1).stderr
    assert kipu(namespace, "purge", "--all", "--finished", "--yes").stdout == "workflow.kipu.dev/over deleted\n"
    wait_until(lambda: namespace.api.find(workflows(namespace.name, "over")) is None, 60, "it is gone")
    assert (namespace.jobs(uid), namespace.pods(uid), namespace.log_objects(uid)) == ([], [], [])
    kipu(namespace, "purge", "busy", "--yes", "--force")


def test_it_is_a_plugin_of_kubectl(namespace: Namespace) -> None:
    submit(namespace, workflow("plugged", [step("only")], suspend=True))
    here = ("--namespace", namespace.name)
    assert _beside("kubectl_complete-kipu", "resume", *here, "pl") == "plugged\n:4\n"
    assert "asked to resume" in _beside("kubectl", "kipu", "resume", "plugged", *here)
    assert namespace.finished("plugged")["phase"] == "Succeeded"


def _beside(*command: str) -> str:
    """What a command prints where the programs beside `kipu` are on the PATH."""
    environment = os.environ | {"PATH": f"{Path(KIPU).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
