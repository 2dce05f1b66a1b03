"""Jobs, pods and Event objects of an attempt, as a cluster would show them: as bodies, and as a Sight."""

from __future__ import annotations

from typing import Any

import msgspec

from kipu.cli.explanation import Notice, Sight
from kipu.shell.kube_views import JobView, PodView
from tests.cli.api_server import ApiServer
from tests.cli.histories import STREAM
from tests.core.given import Flow

PULL = "Back-off pulling image 'no/such'"
QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3'
TIME = "2023-11-14T22:13:20Z"


def job(name: str = "job", *, suspend: bool = False, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"suspend": suspend}, "status": {}}


def pod(
    name: str = "pod",
    phase: str = "Pending",
    *,
    waiting: str = "",
    message: str = "",
    unschedulable: str = "",
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels or {}}
    state = {"waiting": {"reason": waiting, "message": message}} if waiting else {}
    status: dict[str, Any] = {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}
    if unschedulable:
        scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unschedulable}
        status["conditions"] = [scheduled]
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": status}


def sight(*pods: dict[str, Any], of: dict[str, Any] | None = None, warning: str = "") -> Sight:
    """Of a Job that is there, unless another one is given."""
    notices = (Notice(about="Job job", reason="FailedCreate", message=warning, warning=True),) if warning else ()
    return Sight(
        job=msgspec.convert(of or job(), JobView),
        pods=tuple(msgspec.convert(each, PodView) for each in pods),
        notices=notices,
    )


def labels(given: Flow, step: str, attempt: int = 1, **more: str) -> dict[str, str]:
    """Those of the pods of this attempt."""
    return {
        "kipu.dev/workflow-uid": STREAM.uid,
        "kipu.dev/run": str(given.state.run),
        "kipu.dev/step": step,
        "kipu.dev/attempt": str(attempt),
        **{f"kipu.dev/{key}": value for key, value in more.items()},
    }


def put(server: ApiServer, plural: str, body: dict[str, Any]) -> None:
    """Into the server."""
    group = "/apis/batch/v1" if plural == "jobs" else "/api/v1"
    server.objects[f"{group}/namespaces/default/{plural}/{body['metadata']['name']}"] = body


def put_event(server: ApiServer, about: dict[str, Any], kind: str, reason: str, message: str) -> None:
    """A Warning about an object."""
    involved = {"kind": kind, "name": about["metadata"]["name"], "uid": about["metadata"]["uid"]}
    name = f"{involved['name']}.{reason}"
    body = {"metadata": {"name": name}, "involvedObject": involved, "reason": reason, "message": message}
    put(server, "events", {**body, "type": "Warning", "count": 3, "lastTimestamp": TIME})
