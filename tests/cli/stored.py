"""Workflows as the API server stores them, with the status that the operator would write of a flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kipu.api import status
from kipu.api.definition import parse
from kipu.cli.asking import Change
from kipu.cli.seen import Seen
from kipu.shell import requests
from tests.cli.api_server import WORKFLOWS, ApiServer
from tests.core.given import IDENTITY, Flow
from tests.fakes.patches import JSON_PATCH, apply

Body = dict[str, Any]
NAMESPACE = "default"
AT = WORKFLOWS.format(NAMESPACE)


def flow_of(spec: Mapping[str, Any]) -> Flow:
    """A run of this spec that was just accepted, and told what the spec asks for."""
    flow = Flow(parse(spec))
    flow.tell(*requests.read(spec))
    return flow


def stored(
    spec: Mapping[str, Any],
    flow: Flow | None = None,
    *,
    name: str = IDENTITY.name,
    generation: int = 1,
    **metadata: Any,
) -> Body:
    """The object; without a flow no operator has taken it up."""
    body: Body = {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "uid": f"uid-of-{name}",
            "generation": generation,
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-24T04:05:06Z",
            **metadata,
        },
        "spec": dict(spec),
    }
    return body if flow is None else body | {"status": shown(flow, spec, generation)}


def shown(flow: Flow, spec: Mapping[str, Any], generation: int = 1) -> Body:
    """The status."""
    ignored = requests.ignored(spec, flow.state)
    return status.project(
        flow.state,
        generation=generation,
        log_position=max(1, len(flow.log)),
        log_hash="ab",
        waiting={},
        spec_changed=False,
        warnings={"RequestIgnored": ignored} if ignored else {},
    )


def put(server: ApiServer, body: Body) -> Body:
    """Into the server; a later version of what is there already."""
    path = f"{AT}/{body['metadata']['name']}"
    if path in server.objects:
        version = int(server.objects[path]["metadata"]["resourceVersion"])
        body["metadata"]["resourceVersion"] = str(version + 1)
    server.objects[path] = body
    return body


def seen(spec: Mapping[str, Any], flow: Flow | None = None) -> Seen:
    """As the CLI has it."""
    return Seen.of(stored(spec, flow))


def taken(change: Change, spec: Mapping[str, Any], flow: Flow) -> Body:
    """The spec with the change, which the operator has read."""
    assert change.operations
    body = apply(JSON_PATCH, list(change.operations), {"spec": dict(spec)})
    edited: Body = body["spec"]
    assert requests.ignored(edited, flow.state) == ""
    flow.tell(*requests.read(edited))
    return edited
