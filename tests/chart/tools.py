"""kubectl and helm, as a person would call them. Both, and KUBECONFIG, come from the caller (make e2e)."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "kipu"
COMMAND_SECONDS = 60.0


def run(*command: str, stdin: str = "") -> str:
    """What it prints. Raises AssertionError with its errors."""
    done = attempt(*command, stdin=stdin)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def attempt(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The same, whatever its exit code."""
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)


def create(manifest: object, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`kubectl create`, of one manifest."""
    return attempt("kubectl", "create", "--filename=-", *arguments, stdin=json.dumps(manifest))


def render(*arguments: str, release: str = "kipu", namespace: str = "kipu-system") -> list[dict[str, Any]]:
    """Every object of the chart, hooks included."""
    text = run("helm", "template", release, str(CHART), "--namespace", namespace, *arguments)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the CRDs are long
    return [manifest for manifest in yaml.load_all(text, Loader=loader) if manifest]


@contextmanager
def namespace(**labels: str) -> Iterator[str]:
    """A namespace of our own; its removal is not waited for."""
    name = f"kipu-chart-{uuid.uuid4().hex[:8]}"
    run("kubectl", "create", "--filename=-", stdin=json.dumps(_namespace(name, labels)))
    try:
        yield name
    finally:
        run("kubectl", "delete", "namespace", name, "--wait=false")


def _namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def workflow(name: str, *steps: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Workflow of these steps."""
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"steps": list(steps), **spec},
    }
