"""Termination messages on a real kubelet: up to the bound they are taken whole, from there on refused whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.history import read
from e2e.namespace import Namespace

pytestmark = pytest.mark.cluster

RESTRICTED: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}


def container(name: str, command: str) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.36", "command": ["sh", "-c", command], "securityContext": RESTRICTED}


def writing(name: str, length: int, containers: int = 1) -> dict[str, Any]:
    """A step whose message has so many bytes, in a pod of so many containers (all but two of them init ones)."""
    others = [container(f"c{number}", "true") for number in range(containers - 1)]
    template = {"spec": {"containers": others[:1], "initContainers": others[1:]}}
    script = f"printf text= > $KIPU_OUTPUT; head -c {length - 5} /dev/zero | tr '\\0' x >> $KIPU_OUTPUT"
    return {"name": name, "script": script, "outputs": [{"name": "text"}], **({"template": template} if others else {})}


CASES = {
    "whole": (4_095, 1, None),
    "at-the-bound": (4_096, 1, "OutputTooLarge"),
    "beyond": (9_000, 1, "OutputTooLarge"),
    "three": (4_095, 3, None),
    "four": (3_071, 4, None),
    "four-at-the-bound": (3_072, 4, "OutputTooLarge"),
    "eight": (1_535, 8, None),
    "eight-at-the-bound": (1_536, 8, "OutputTooLarge"),
}


def test_a_message_is_taken_whole_or_refused_whole(namespace: Namespace) -> None:
    steps = [writing(name, length, containers) for name, (length, containers, _) in CASES.items()]
    defaults = {
        "image": "busybox:1.36",
        "template": {
            "spec": {"securityContext": POD, "containers": [{"name": "main", "securityContext": RESTRICTED}]},
        },
        "retry": {"maxAttempts": 3, "backoff": {"initial": "1s"}},
    }
    spec = {"defaults": defaults, "onFailure": "Continue", "steps": steps}
    workflow = {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "lengths"}, "spec": spec}
    namespace.kubectl("apply", "--filename", "-", stdin=json.dumps(workflow))
    namespace.kubectl("wait", "--for=condition=Finished", "--timeout=120s", "workflow/lengths")
    log = read(namespace, namespace.uid("lengths"))
    written = {record["step"]: record["outputs"]["text"] for record in log.of("StepSucceeded")}
    failed = {record["step"]: record["reason"] for record in log.of("StepFailed")}
    attempts = [record["step"] for record in log.of("StepScheduled")]
    for name, (length, _, reason) in CASES.items():
        assert failed.get(name) == reason, name
        assert written.get(name) == (None if reason else "x" * (length - 5)), name
        assert attempts.count(name) == 1, f"{name} was tried again: the same program would write the same"
