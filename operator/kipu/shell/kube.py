"""The one Kubernetes client: the few calls that Kipu makes, each with its preconditions.

Promises: one request per call and a deadline on each; every HTTP status of a write comes back as an Answer, no
answer is Unanswered; reads are consistent (no resourceVersion is sent) and retry themselves a bounded number of
times; writes never do: whether a second one is harmless, only the caller knows. A 429 is told when its Retry-After
has passed (10 s at most), so that nobody comes again sooner. No write is begun while `may_write` says no. A Job's
delete always names its uid and is Foreground, because the server's default orphans the pods. Must never cache and
never decide.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from kipu.eventlog.ports import Answer, ObjectName, Unanswered

from .kube_http import Reply, Request, Transport
from .kube_lease import LeaseView
from .kube_resources import CONFIG_MAPS, JOBS, PODS, WORKFLOW_TEMPLATES, WORKFLOWS, Resource
from .kube_views import Discovery, JobView, Page, PodView, T, WorkflowView
from .meter import NOBODY, Meter

R = TypeVar("R")
V = TypeVar("V")  # a view

REQUEST_SECONDS = 10.0
LIST_SECONDS = 30.0
LIST_LIMIT = 500  # x about 4 KB = 2 MB a page
LIST_RESTARTS_MAX = 3  # a continue token lives 5 to 10 minutes: two expiries in a row mean trouble
BACKOFF_SECONDS = (0.1, 0.3, 1.0)  # between the tries of a read, each jittered by half: 1.4 s in all at most
READ_TRIES_MAX = len(BACKOFF_SECONDS) + 1
RETRY_AFTER_SECONDS_MAX = 10.0

EVENTS = "/apis/events.k8s.io/v1", "events"
CLAIMS = "/api/v1", "persistentvolumeclaims"
LEASES = "/apis/coordination.k8s.io/v1", "leases"
JSON_PATCH = "application/json-patch+json"


class Kube:
    """Calls to one API server over a Transport."""

    def __init__(
        self, transport: Transport, *, meter: Meter = NOBODY, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self._transport = transport
        self.meter = meter
        self._may_write = may_write  # asked at the last moment before a write is sent

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    # -- ConfigMaps (eventlog.ports.ConfigMapApi) --------------------------------------------------------

    async def create_config_map(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST."""
        return await self._create(CONFIG_MAPS.group_path, CONFIG_MAPS.plural, namespace, manifest)

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        """A consistent GET, not retried."""
        return await self._call("get", CONFIG_MAPS.plural, Request(method="GET", path=_config_map(namespace, name)))

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        """JSON Patch (RFC 6902). A failed `test` is 422."""
        body = msgspec.json.encode(operations)
        return await self._patch(CONFIG_MAPS.plural, _config_map(namespace, name), body, JSON_PATCH)

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        """DELETE of just this ConfigMap; 409 where another one of that name stands."""
        body = msgspec.json.encode({"preconditions": {"uid": uid}})
        request = Request(method="DELETE", path=_config_map(namespace, name), body=body)
        return await self._call("delete", CONFIG_MAPS.plural, request)

    async def list_config_maps(self, namespace: str, label_selector: str) -> list[ObjectName]:
        """A consistent list of metadata, read in pages. Raises Unanswered."""
        views = await self._list_all(CONFIG_MAPS, namespace, label_selector)
        return [ObjectName(name=view.metadata.name, uid=view.metadata.uid) for view in views]

    # -- Jobs and pods -----------------------------------------------------------------------------------

    async def create_job(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST. 201, or 409 AlreadyExists where something holds the name."""
        return await self._create(JOBS.group_path, JOBS.plural, namespace, manifest)

    async def get_job(self, namespace: str, name: str) -> JobView | None:
        """A consistent read: None is proof of absence. Raises Unanswered."""
        return await self._get(JOBS, JobView, namespace, name)

    async def delete_job(self, namespace: str, name: str, uid: str) -> Answer:
        """DELETE of just this Job, its pods first. 409 where another one of that name stands."""
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        path = _path(JOBS.group_path, JOBS.plural, namespace, name)
        return await self._call(
            "delete", "jobs", Request(method="DELETE", path=path, body=msgspec.json.encode(options))
        )

    async def suspend_job(self, namespace: str, name: str, uid: str, *, suspend: bool) -> Answer:
        """JSON Patch of spec.suspend of just this Job. 422 where another one of that name stands."""
        operations = [
            _test_uid(uid),
            {"op": "replace", "path": "/spec/suspend", "value": suspend},
        ]
        path = _path(JOBS.group_path, JOBS.plural, namespace, name)
        return await self._patch("jobs", path, msgspec.json.encode(operations), JSON_PATCH)

    async def create_claim(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST of a PersistentVolumeClaim. 201, or 409 AlreadyExists."""
        return await self._create(*CLAIMS, namespace, manifest)

    async def list_pods(self, namespace: str, label_selector: str) -> list[PodView]:
        """A consistent list, read in pages. Raises Unanswered."""
        return await self._list_all(PODS, namespace, label_selector)

    # -- Workflows and notices ---------------------------------------------------------------------------

    async def serves_workflows(self) -> bool:
        """Whether the CRD is there and served. Raises Unanswered."""
        request = Request(method="GET", path=WORKFLOWS.group_path)
        reply = await self._read("get", "apiresources", request)
        if reply.status != HTTPStatus.OK:
            return False
        served = _decode(request, lambda: msgspec.json.decode(reply.body, type=Discovery))
        return any(resource.name == WORKFLOWS.plural for resource in served.resources)

    async def get_workflow(self, namespace: str, name: str) -> WorkflowView | None:
        """A consistent read: None is proof of absence. Raises Unanswered."""
        return await self._get(WORKFLOWS, WorkflowView, namespace, name)

    async def get_workflow_template(self, namespace: str, name: str) -> WorkflowView | None:
        """A consistent read: None is proof of absence. Raises Unanswered."""
        return await self._get(WORKFLOW_TEMPLATES, WorkflowView, namespace, name)

    async def list_workflows(self, namespace: str | None = None) -> list[WorkflowView]:
        """All of a namespace, or (None) of the cluster; consistent, read in pages. Raises Unanswered."""
        return await self._list_all(WORKFLOWS, namespace, "")

    async def patch_workflow_status(
        self,
        namespace: str,
        name: str,
        uid: str,
        status: Mapping[str, object],
        *,
        resource_version: str,
        resource: Resource[WorkflowView] = WORKFLOWS,  # or another one of ours
    ) -> Answer:
        """Replace the status of just this version of this Workflow; 409 where another one stands by now.

        So a request that is carried out late can never put an old status over a newer one. Not a merge patch with
        metadata.uid: for the status of a custom resource the API server takes the stored metadata before it
        compares, so a namesake would accept it (tests/conformance shows it). Keys whose value is None are left out.
        """
        value = {key: each for key, each in status.items() if each is not None}
        operations = [
            _test_uid(uid),
            {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/status", "value": value},
        ]
        path = _path(resource.group_path, resource.plural, namespace, name) + "/status"
        answer = await self._patch(f"{resource.plural}/status", path, msgspec.json.encode(operations), JSON_PATCH)
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and not _names_causes(answer):
            why = f"it is not, or no longer, version {resource_version} of {uid}"
            return replace(answer, status=HTTPStatus.CONFLICT.value, reason="Conflict", message=why)
        return answer

    async def amend_workflow_status(self, namespace: str, name: str, uid: str, changes: Mapping[str, object]) -> Answer:
        """Change some keys of the status of just this Workflow and keep the others. For rare use: two requests.

        404 where it is gone, or another one has its name; 409 where it was changed between the two requests.
        """
        view = await self.get_workflow(namespace, name)
        if view is None or view.metadata.uid != uid:
            return Answer(status=HTTPStatus.NOT_FOUND.value, reason="NotFound", message="it is gone", body={})
        version = view.metadata.resource_version
        return await self.patch_workflow_status(
            namespace, name, uid, {**view.status, **changes}, resource_version=version
        )

    async def delete_workflow(self, namespace: str, name: str, uid: str, resource_version: str) -> Answer:
        """DELETE of just this version of just this Workflow; the collector takes what it owns. 409 for any other."""
        guards = {"uid": uid, "resourceVersion": resource_version}
        options = {"propagationPolicy": "Background", "preconditions": guards}
        request = Request(method="DELETE", path=workflow_path(namespace, name), body=msgspec.json.encode(options))
        return await self._call("delete", "workflows", request)

    async def create_event(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST of an events.k8s.io/v1 Event (a notice for people)."""
        return await self._create(*EVENTS, namespace, manifest)

    # -- Leases: each call has the deadline of its caller, whose time is running out -----------------------

    async def get_lease(self, namespace: str, name: str, *, timeout_seconds: float) -> LeaseView | None:
        """A consistent read, not retried: None is proof of absence. Raises Unanswered."""
        request = Request(method="GET", path=_path(*LEASES, namespace, name))
        return _found(request, await self._send("get", "leases", request, timeout_seconds), LeaseView)

    async def create_lease(self, namespace: str, manifest: Mapping[str, object], *, timeout_seconds: float) -> Answer:
        """POST. 409 where there is one."""
        request = Request(method="POST", path=_path(*LEASES, namespace), body=msgspec.json.encode(manifest))
        return _answer(await self._send("create", "leases", request, timeout_seconds))

    async def update_lease(
        self, namespace: str, name: str, manifest: Mapping[str, object], *, timeout_seconds: float
    ) -> Answer:
        """PUT of just the version that the manifest names. 409 where there is another one by now."""
        request = Request(method="PUT", path=_path(*LEASES, namespace, name), body=msgspec.json.encode(manifest))
        return _answer(await self._send("update", "leases", request, timeout_seconds))

    # -- what the watch needs ----------------------------------------------------------------------------

    async def list_page(
        self, resource: Resource[T], *, namespace: str | None, query: Mapping[str, str], once: bool = False
    ) -> Page[T] | None:
        """One page of a list, `once`: not tried again; None when its token has expired (410). Raises Unanswered."""
        path = _path(resource.group_path, resource.plural, namespace)
        request = Request(method="GET", path=path, query={"limit": str(LIST_LIMIT), **query}, accept=resource.accept)
        read = self._send if once else self._read
        reply = await read("list", resource.plural, request, LIST_SECONDS)
        if reply.status == HTTPStatus.GONE:
            return None
        if reply.status != HTTPStatus.OK:
            raise _refused(request, reply)
        return _decode(request, lambda: resource.page.decode(reply.body))

    def watch(
        self, resource: Resource[T], *, namespace: str | None, query: Mapping[str, str], silence_seconds: float
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """The stream of watch events, as lines. See Transport.stream."""
        path = _path(resource.group_path, resource.plural, namespace)
        request = Request(method="GET", path=path, query={"watch": "true", **query})
        return self._transport.stream(request, timeout_seconds=silence_seconds)

    # -- one request -------------------------------------------------------------------------------------

    async def _create(self, group: str, plural: str, namespace: str, manifest: Mapping[str, object]) -> Answer:
        request = Request(method="POST", path=_path(group, plural, namespace), body=msgspec.json.encode(manifest))
        return await self._call("create", plural, request)

    async def _patch(self, resource: str, path: str, body: bytes, content_type: str) -> Answer:
        request = Request(method="PATCH", path=path, body=body, content_type=content_type)
        return await self._call("patch", resource, request)

    async def _call(self, verb: str, resource: str, request: Request) -> Answer:
        reply = await self._send(verb, resource, request, REQUEST_SECONDS)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            await asyncio.sleep(_retry_after_seconds(reply))  # told only then: so nobody comes again sooner
        return _answer(reply)

    async def _send(self, verb: str, resource: str, request: Request, seconds: float) -> Reply:
        if request.method != "GET" and not self._may_write():
            raise Unanswered(f"{request.method} {request.path}: not sent, this replica does not lead")
        now = asyncio.get_running_loop().time
        sent_at = now()
        try:
            reply = await self._transport.send(request, timeout_seconds=seconds)
        except Unanswered:
            self.meter.count_request(verb, resource, "unanswered", now() - sent_at)
            raise
        self.meter.count_request(verb, resource, str(reply.status), now() - sent_at)
        return reply

    # -- reads -------------------------------------------------------------------------------------------

    async def _get(self, resource: Resource[T], view: type[T], namespace: str, name: str) -> T | None:
        request = Request(method="GET", path=_path(resource.group_path, resource.plural, namespace, name))
        return _found(request, await self._read("get", resource.plural, request), view)

    async def _list_all(self, resource: Resource[T], namespace: str | None, label_selector: str) -> list[T]:
        query = {"labelSelector": label_selector} if label_selector else {}
        for _ in range(LIST_RESTARTS_MAX):
            items: list[T] = []
            page = await self.list_page(resource, namespace=namespace, query=query)
            while page is not None:
                items += page.items
                if not page.metadata.continue_:
                    return items
                token = {"continue": page.metadata.continue_}
                page = await self.list_page(resource, namespace=namespace, query=query | token)
        raise Unanswered(f"list {resource.plural}: the continue token expired {LIST_RESTARTS_MAX} times")

    async def _read(self, verb: str, resource: str, request: Request, seconds: float = REQUEST_SECONDS) -> Reply:
        """Send a read until it is answered by anything but 429 or 5xx, at most READ_TRIES_MAX times."""
        for backoff_seconds in BACKOFF_SECONDS:
            wait_seconds = backoff_seconds * (0.5 + random.random() / 2)
            try:
                reply = await self._send(verb, resource, request, seconds)
            except Unanswered:
                pass
            else:
                if not _is_overloaded(reply):
                    return reply
                wait_seconds = max(wait_seconds, _retry_after_seconds(reply))
            await asyncio.sleep(wait_seconds)
        return await self._send(verb, resource, request, seconds)


def _path(group: str, plural: str, namespace: str | None, name: str | None = None) -> str:
    parts = [group]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/".join(parts)


def workflow_path(namespace: str, name: str) -> str:
    """Where a Workflow is served."""
    return _path(WORKFLOWS.group_path, WORKFLOWS.plural, namespace, name)


def _config_map(namespace: str, name: str) -> str:
    return _path(CONFIG_MAPS.group_path, CONFIG_MAPS.plural, namespace, name)


def _answer(reply: Reply) -> Answer:
    """The object or the metav1.Status. A body that is neither (a proxy's page) is only a message."""
    try:
        body: Any = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        if reply.status < HTTPStatus.BAD_REQUEST:  # carried out or not: nobody can say
            raise Unanswered(f"status {reply.status} with a body that is not an object")
        body = {"message": reply.body[:1024].decode(errors="replace")}
    if reply.status < HTTPStatus.BAD_REQUEST:
        return Answer(status=reply.status, reason="", message="", body=body)
    reason, message = str(body.get("reason", "")), str(body.get("message", ""))
    return Answer(status=reply.status, reason=reason, message=message, body=body)


def _test_uid(uid: str) -> Mapping[str, object]:
    return {"op": "test", "path": "/metadata/uid", "value": uid}


def _names_causes(answer: Answer) -> bool:
    """Whether a 422 says which field is wrong. A failed `test` does not: nothing but the guard can fail here."""
    details = answer.body.get("details")
    return isinstance(details, dict) and bool(details.get("causes"))


def _found(request: Request, reply: Reply, view: type[V]) -> V | None:
    """What a read by name has found. Raises Unanswered for an answer that says neither yes nor no."""
    if reply.status == HTTPStatus.NOT_FOUND:
        return None
    if reply.status != HTTPStatus.OK:
        raise _refused(request, reply)
    return _decode(request, lambda: msgspec.json.decode(reply.body, type=view))


def _decode(request: Request, decode: Callable[[], R]) -> R:
    try:
        return decode()
    except msgspec.MsgspecError as error:
        raise Unanswered(f"{request.method} {request.path}: the answer cannot be read: {error}") from error


def _refused(request: Request, reply: Reply) -> Unanswered:
    """A read that was refused has told nothing: to its caller it is as good as unanswered."""
    answer = _answer(reply)
    return Unanswered(f"{request.method} {request.path}: {answer.status} {answer.reason}: {answer.message}")


def _is_overloaded(reply: Reply) -> bool:
    return reply.status == HTTPStatus.TOO_MANY_REQUESTS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _retry_after_seconds(reply: Reply) -> float:
    text = reply.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if text.isascii() and text.isdigit() else 0.0
