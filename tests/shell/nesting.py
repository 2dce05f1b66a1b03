"""Workflows below Workflows, for the tests: templates, steps that name them, and their children in the cluster."""

from __future__ import annotations

from typing import Any

from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Json
from tests.fakes.nodes import Program
from tests.shell.operating import status


def template(server: ApiServer, *steps: Json, name: str = "train", **spec: Any) -> None:
    fields = {field.rstrip("_"): value for field, value in spec.items()}
    body = {"defaults": {"image": "busybox:1.36"}, "steps": list(steps), **fields}
    server.create({"kind": "WorkflowTemplate", "metadata": {"name": name}, "spec": body})


def nested(name: str, *needs: str, of: str = "train", params: Json | None = None, **fields: Any) -> Json:
    given = {"params": [{"name": key, "value": value} for key, value in params.items()]} if params else {}
    return {"name": name, "dependsOn": list(needs), "workflow": {"templateRef": {"name": of}, **given}, **fields}


def children(server: ApiServer, of: str = "w") -> list[Json]:
    """Those of this Workflow, in the order of their attempts."""
    uid = (server.get("workflows", "default", of) or {"metadata": {"uid": "?"}})["metadata"]["uid"]
    found = [each for each in server.all("workflows") if owner(each) == uid]
    return sorted(
        found, key=lambda each: [each["metadata"]["labels"][f"kipu.dev/{key}"] for key in ("step", "attempt")]
    )


def owner(body: Json) -> str | None:
    return next((each["uid"] for each in body["metadata"].get("ownerReferences", ())), None)


def child(server: ApiServer, of: str = "w") -> Json:
    (found,) = children(server, of)
    return found


def ran(server: ApiServer) -> list[str]:
    return [run.step for run in server.executions]


SLOW = Program(run_seconds=1_000.0)


def edit(server: ApiServer, name: str = "w", **spec: Any) -> None:
    server.update("workflows", "default", name, lambda each: {**each, "spec": {**each["spec"], **spec}})


def by_step(**programs: Program) -> Any:
    return lambda pod: programs.get(pod["metadata"]["labels"]["kipu.dev/step"], Program())


def phase(server: ApiServer, name: str, of: str = "w") -> str:
    """Of a step."""
    return next((each["phase"] for each in status(server, of).get("steps", ()) if each["name"] == name), "")


def running(server: ApiServer) -> list[str]:
    """The steps of pods that have not ended."""
    pods = server.all("pods")
    open_ones = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    return [pod["metadata"]["labels"]["kipu.dev/step"] for pod in open_ones]
