"""Workflows as the API server stores them, with the status that the operator would write of a flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import groupby
from typing import Any

from kipu.api import status
from kipu.api.definition import parse
from kipu.cli.asking import Change
from kipu.cli.seen import Seen
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import Head, StreamId
from kipu.shell import requests
from tests.cli import histories
from tests.cli.api_server import WORKFLOWS, ApiServer, StoredConfigMaps
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


class Operator:
    """Of one Workflow: what its flow decides goes into the log, and then the status shows it."""

    def __init__(self, server: ApiServer, flow: Flow, *, uid: str = f"uid-of-{IDENTITY.name}") -> None:
        self._server = server
        self._flow = flow
        self._log = ConfigMapLog(StoredConfigMaps(server))
        self._stream = StreamId(namespace=NAMESPACE, name=IDENTITY.name, uid=uid)
        self._head: Head | None = None
        self._recorded = 0

    def take_up(self, spec: Mapping[str, Any]) -> None:
        """The Workflow, with all that has happened so far."""
        put(self._server, stored(spec, uid=self._stream.uid))
        self.tells(lambda: None)

    def tells(self, deed: Callable[[], object]) -> dict[str, Any]:
        """Something happens, and becomes a change of the Workflow."""
        self.records(deed)
        assert self._head is not None
        body = self._server.objects[f"{AT}/{self._stream.name}"]
        generation = body["metadata"]["generation"]
        after = stored(body["spec"], self._flow, generation=generation, uid=self._stream.uid)
        after["status"]["log"] = {"position": self._head.position, "hash": self._head.hash}
        return {"type": "MODIFIED", "object": put(self._server, after)}

    def records(self, deed: Callable[[], object]) -> None:
        """Something happens, and the status does not show it yet."""
        deed()
        for ts, group in groupby(self._flow.log[self._recorded :], key=lambda pair: pair[1]):
            events = [event for event, _ in group]
            written = self._log.append(self._stream, self._head, events, ts=ts, spec_hash="5pec" * 16)
            self._head, _ = histories.run(written)
        self._recorded = len(self._flow.log)

    def story(self, *deeds: Callable[[], object]) -> list[Callable[[], dict[str, Any]]]:
        """Changes for a watch to tell, one after the other."""
        return [partial(self.tells, deed) for deed in deeds]


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
