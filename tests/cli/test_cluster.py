"""The installed command against a real cluster that runs Kipu: `make e2e`."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
KIPU = str(Path(sys.executable).with_name("kipu"))
NAMESPACE = f"kipu-cli-{uuid.uuid4().hex[:8]}"  # each of pytest's workers has one of its own
WORKFLOW = {
    "apiVersion": "kipu.dev/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "two-knots", "namespace": NAMESPACE},
    "spec": {
        "defaults": {"image": "busybox:1.36"},
        "steps": [
            {"name": "first", "script": "echo one"},
            {"name": "second", "dependsOn": ["first"], "script": "echo two"},
        ],
    },
}


def kubectl(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished() -> Iterator[str]:
    """The name of a Workflow that has run to its end."""
    kubectl("create", "namespace", NAMESPACE)
    try:
        kubectl("create", "-f", "-", stdin=json.dumps(WORKFLOW))
        kubectl("-n", NAMESPACE, "wait", "--for=condition=Finished", "--timeout=180s", "workflows.kipu.dev/two-knots")
        yield "two-knots"
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_a_real_history_is_printed_written_and_verified(finished: str) -> None:
    table = subprocess.run([KIPU, "history", finished, "-n", NAMESPACE], capture_output=True, text=True, check=True)
    assert "StepSucceeded" in table.stdout
    assert table.stdout.rstrip().endswith("phase Succeeded")
    lines = subprocess.run(
        [KIPU, "history", finished, "-n", NAMESPACE, "-o", "jsonl"], capture_output=True, check=True
    ).stdout
    verdict = subprocess.run([KIPU, "verify", "-"], input=lines, capture_output=True, check=True).stdout.decode()
    assert verdict.startswith(f"OK: {len(lines.splitlines()) - 1} events, head ")
    changed = subprocess.run([KIPU, "verify", "-"], input=lines.replace(b"second", b"zecond"), capture_output=True)
    assert changed.returncode == 1


def test_a_name_that_is_nearly_right_is_answered_by_the_right_one(finished: str) -> None:
    done = subprocess.run([KIPU, "history", "two-knot", "-n", NAMESPACE], capture_output=True, text=True)
    assert done.returncode == 3
    assert f"did you mean '{finished}'?" in done.stderr
