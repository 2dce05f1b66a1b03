"""The installed commands that read, against a real cluster: a person's day."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.apiserver import wait_until
from e2e.namespace import Namespace, fail_until, retry, step, workflow

pytestmark = pytest.mark.cluster

KIPU = Path(sys.executable).parent / "kipu"
SECONDS = 120.0
NO_IMAGE = "127.0.0.1:9/nobody/has-this:1"  # where nothing listens: refused at once, no registry is asked


def kipu(namespace: Namespace, *arguments: str, code: int = 0) -> str:
    """What it prints."""
    command = [str(KIPU), *arguments, "--namespace", namespace.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def test_a_workflow_is_watched_to_its_end_and_then_listed_shown_and_read(namespace: Namespace) -> None:
    steps = [step("first", "echo of the first"), step("second", "echo of the second; sleep 2", after=["first"])]
    namespace.submit(workflow("watched", steps))
    watched = kipu(namespace, "watch", "watched", "--timeout", "90s")
    assert "succeeded" in watched.lower()  # as a line of the log, or at once if it was quicker than the command
    header, row = kipu(namespace, "list", "--phase", "Succeeded").splitlines()
    assert (header.split()[:3], row.split()[:3]) == (["NAME", "PHASE", "PROGRESS"], ["watched", "Succeeded", "2/2"])
    shown = json.loads(kipu(namespace, "get", "watched", "-o", "json"))
    assert [(each["name"], each["phase"]) for each in shown["steps"]] == [
        ("first", "Succeeded"),
        ("second", "Succeeded"),
    ]
    assert kipu(namespace, "logs", "watched", "first") == "of the first\n"
    everything = kipu(namespace, "logs", "watched", "--all").splitlines()
    assert everything == ["[first/1] of the first", "[second/1] of the second"]


def test_a_watch_of_a_failure_ends_with_1_and_of_nothing_with_3(namespace: Namespace) -> None:
    namespace.submit(workflow("fails", [step("bad", "exit 3")]))
    assert "step 'bad' failed" in kipu(namespace, "watch", "fails", "--timeout", "90s", code=1)
    assert "did you mean 'fails'?" in kipu(namespace, "watch", "fail", code=3)


def test_logs_are_followed_over_a_retry(namespace: Namespace) -> None:
    script = f'echo "try $KIPU_ATTEMPT"; {fail_until(2)}'
    namespace.submit(workflow("retried", [step("flaky", script, retry=retry(3, "2s"))]))
    namespace.phase("retried", "Running")
    assert kipu(namespace, "logs", "retried", "flaky", "--follow").splitlines()[-1] == "try 2"
    assert kipu(namespace, "logs", "retried", "flaky", "--attempt", "1") == "try 1\n"


def test_a_step_whose_image_cannot_be_pulled_is_explained(namespace: Namespace) -> None:
    namespace.submit(workflow("stuck", [step("pull", image=NO_IMAGE), step("after", after=["pull"])]))
    namespace.phase("stuck", "Running")

    def explained() -> str | None:
        told = kipu(namespace, "explain", "stuck", "pull")
        return told if "its image cannot be pulled" in told else None

    answer = wait_until(explained, SECONDS, "the image is named as the cause", poll_seconds=1.0)
    assert answer.startswith("step 'pull' has not started: its image cannot be pulled: ")
    assert kipu(namespace, "explain", "stuck", "after").startswith("step 'after' waits for 1 dependency: pull (")
    assert "did you mean 'pull'?" in kipu(namespace, "explain", "stuck", "pul", code=2)


def test_history_shows_the_tree_at_any_position(namespace: Namespace) -> None:
    namespace.submit(workflow("told", [step("one"), step("two", after=["one"])]))
    end = namespace.finished("told")["log"]["position"]
    at, root, *_ = kipu(namespace, "history", "told", "--at", "2").splitlines()
    assert at.startswith("at position 2, ")
    assert root.split()[0] == "told"
    assert kipu(namespace, "history", "told", "--at", str(end)).splitlines()[1].split()[1] == "Succeeded"
    assert f"those of 'told' are 1 to {end}" in kipu(namespace, "history", "told", "--at", str(end + 1), code=2)
    assert "Succeeded" in kipu(namespace, "graph", "told", "--output", "svg")
