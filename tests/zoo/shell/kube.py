"""Mutants of kipu/shell/kube.py: requests and their preconditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from kipu.eventlog.ports import Answer, Unanswered
from kipu.shell.kube import JSON_PATCH, REQUEST_SECONDS, Kube, _path
from kipu.shell.kube_http import Reply, Request
from kipu.shell.kube_resources import JOBS, WORKFLOWS, Resource
from kipu.shell.kube_views import WorkflowView
from tests.zoo.mutants import mutant

CLIENT = "tests/kube/test_client.py"
_call, _read = Kube._call, Kube._read


async def _delete(kube: Kube, namespace: str, name: str, options: Mapping[str, object]) -> Answer:
    path = _path(JOBS.group_path, JOBS.plural, namespace, name)
    return await kube._call("delete", "jobs", Request(method="DELETE", path=path, body=msgspec.json.encode(options)))


@mutant("Kube.delete_job", breaks="I8, I11, delete without uid", caught_by=CLIENT)
async def a_delete_names_no_uid(self: Kube, namespace: str, name: str, uid: str) -> Answer:
    """A delete takes whatever stands under the name by then."""
    return await _delete(self, namespace, name, {"propagationPolicy": "Foreground"})


@mutant("Kube.delete_job", breaks="I11, I12, pods orphaned on delete", caught_by=CLIENT)
async def a_delete_leaves_the_pods(self: Kube, namespace: str, name: str, uid: str) -> Answer:
    """A delete says nothing about the pods, and by default they are orphaned."""
    return await _delete(self, namespace, name, {"preconditions": {"uid": uid}})


@mutant("Kube._call", breaks="I18, blind resend without guards", caught_by=CLIENT)
async def the_client_sends_a_write_again(self: Kube, verb: str, resource: str, request: Request) -> Answer:
    """A write without an answer is sent a second time, below everybody who knows what that means."""
    try:
        return await _call(self, verb, resource, request)
    except Unanswered:
        return await _call(self, verb, resource, request)


@mutant("Kube._read", breaks="I8, trust the watch for absence", caught_by=CLIENT)
async def a_read_is_served_from_a_cache(
    self: Kube, verb: str, resource: str, request: Request, seconds: float = REQUEST_SECONDS
) -> Reply:
    """A read takes any version that an API server still remembers."""
    lenient = replace(request, query={**request.query, "resourceVersion": "0"})
    return await _read(self, verb, resource, lenient, seconds)


@mutant("Kube.patch_workflow_status", breaks="I14", caught_by="tests/conformance/test_workflows.py")
async def the_status_is_written_to_whoever_has_the_name(
    self: Kube,
    namespace: str,
    name: str,
    uid: str,
    status: Mapping[str, object],
    *,
    resource_version: str,
    resource: Resource[WorkflowView] = WORKFLOWS,
) -> Answer:
    """A status of long ago takes the place of a newer one, and a namesake takes that of the deleted Workflow."""
    value = {key: each for key, each in status.items() if each is not None}
    path = _path(resource.group_path, resource.plural, namespace, name) + "/status"
    body = msgspec.json.encode([{"op": "add", "path": "/status", "value": value}])
    return await self._patch(f"{resource.plural}/status", path, body, JSON_PATCH)


@mutant("Kube._send", breaks="I8, I18", caught_by=("tests/kube/test_client.py", "tests/shell/test_replicas.py"))
async def whether_we_lead_is_not_asked(self: Kube, verb: str, resource: str, request: Request, seconds: float) -> Reply:
    """A leader that was stopped past its lease sends what it was about to send."""
    try:
        reply = await self._transport.send(request, timeout_seconds=seconds)
    except Unanswered:
        self.meter.count_request(verb, resource, "unanswered")
        raise
    self.meter.count_request(verb, resource, str(reply.status))
    return reply
