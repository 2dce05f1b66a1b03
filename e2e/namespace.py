"""One namespace of one test: where it submits Workflows, and what it asks of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from .apiserver import ApiServer, JsonObject, config_maps, jobs, kubectl, pods, wait_until, workflows
from .watching import Watch

OPERATOR_NAMESPACE = os.environ.get("KIPU_OPERATOR_NAMESPACE", "kipu-system")
OPERATOR_SELECTOR = "app.kubernetes.io/name=kipu"
RUN_SECONDS = 90.0  # of one workflow of a few steps, with another one beside it on a node of two cores

ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted"}  # a label of every namespace that we make
# What it asks of every pod.
RESTRICTED: JsonObject = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
    "terminationGracePeriodSeconds": 1,
    "containers": [
        {"name": "main", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
}


def step(name: str, script: str = "true", after: Sequence[str] = (), **fields: object) -> JsonObject:
    """A step of the spec; `after` is its dependsOn."""
    return {"name": name, "script": script, **({"dependsOn": list(after)} if after else {}), **fields}


def workflow(name: str, steps: Sequence[JsonObject], **spec: object) -> JsonObject:
    """A Workflow whose pods pass PodSecurity `restricted`."""
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"defaults": {"image": "busybox:1.36", "template": {"spec": RESTRICTED}}, "steps": list(steps), **spec},
    }


def retry(attempts: int, wait: str = "100ms") -> JsonObject:
    """A retry with a short, even backoff."""
    return {"maxAttempts": attempts, "backoff": {"initial": wait, "factor": 1, "max": wait, "jitter": "None"}}


def fail_until(attempt: int) -> str:
    """A script that fails with exit code 1 before its n-th attempt."""
    return f'[ "$KIPU_ATTEMPT" -ge {attempt} ]'


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace that exists for one test."""

    api: ApiServer
    name: str

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints, in this namespace."""
        return kubectl("--namespace", self.name, *arguments, stdin=stdin)

    def submit(self, manifest: JsonObject) -> JsonObject:
        """Create a Workflow."""
        return self.api.create(workflows(self.name), manifest)

    def workflow(self, name: str) -> JsonObject:
        """The Workflow as it stands."""
        return self.api.get(workflows(self.name, name))

    def status(self, name: str) -> JsonObject:
        """Its status; empty before the first."""
        found: JsonObject = self.workflow(name).get("status", {})
        return found

    def uid(self, name: str) -> str:
        """The Workflow's uid."""
        return str(self.workflow(name)["metadata"]["uid"])

    def finished(self, name: str, timeout_seconds: float = RUN_SECONDS) -> JsonObject:
        """The status once the condition Finished is True."""

        def look() -> JsonObject | None:
            status = self.status(name)
            return status if condition(status, "Finished") == "True" else None

        return wait_until(look, timeout_seconds, f"Workflow {name} finished")

    def phase(self, name: str, *phases: str, timeout_seconds: float = RUN_SECONDS) -> JsonObject:
        """The status once its phase is one of these."""

        def look() -> JsonObject | None:
            status = self.status(name)
            return status if status.get("phase") in phases else None

        return wait_until(look, timeout_seconds, f"Workflow {name} is {' or '.join(phases)}")

    def watch_pods(self, uid: str = "") -> Watch:
        """Every change of our pods here."""
        return Watch(self.api, pods(self.name), ours(uid))

    def watch_workflows(self) -> Watch:
        """Every change of the Workflows here."""
        return Watch(self.api, workflows(self.name))

    def jobs(self, uid: str = "") -> list[JsonObject]:
        """Our Jobs here, placeholders included."""
        return self.api.items(jobs(self.name), ours(uid))

    def pods(self, uid: str = "") -> list[JsonObject]:
        """Our pods here."""
        return self.api.items(pods(self.name), ours(uid))

    def log_objects(self, uid: str = "") -> list[JsonObject]:
        """The ConfigMaps of the logs here."""
        return self.api.items(config_maps(self.name), ours(uid))


def ours(uid: str = "") -> str:
    """The label selector of what belongs to one workflow, or to any."""
    return f"kipu.dev/workflow-uid={uid}" if uid else "kipu.dev/workflow-uid"


def condition(status: JsonObject, kind: str) -> str:
    """The status of a condition: True, False, Unknown, or empty where there is none."""
    return next((str(c["status"]) for c in status.get("conditions", []) if c["type"] == kind), "")


def phases(status: JsonObject) -> dict[str, str]:
    """The phase of each step by its name."""
    return {s["name"]: s["phase"] for s in status["steps"]}


def failures(status: JsonObject) -> dict[str, JsonObject]:
    """The report of each failed step by its name."""
    return {report["step"]: report for report in status["failed"]}


def attempts(status: JsonObject) -> dict[str, int]:
    """The number of attempts of each step by its name."""
    return {s["name"]: s.get("attempts", 0) for s in status["steps"]}


def is_placeholder(job: JsonObject) -> bool:
    """Whether this Job only holds the name of an attempt that was given up."""
    return bool(job["metadata"].get("annotations", {}).get("kipu.dev/placeholder") == "true")
