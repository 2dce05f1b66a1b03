"""HTTP as the fake API server speaks it: a request's path to a kind, an answer's object to bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import msgspec

from kipu.shell.kube_http import Reply, Request

from . import patches
from .etcd import Json, Stored
from .kinds import KINDS, Kind
from .lists import Lists
from .refusals import Refused, bad_request, no_such_path, too_large
from .registry import Make, Registry

BODY_BYTES_MAX = 3_145_728
_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str | None
    name: str | None
    is_status: bool


@lru_cache(maxsize=4_096)  # the paths of one world; what is refused is not kept
def target_of(path: str) -> Target:
    """Raises Refused (404) for a path that nothing is served at."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise no_such_path()
    group, version = found["group"] or "", found["core"] or found["version"]
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, unquote(found["plural"])):
            if found["sub"] and (found["sub"] != "status" or not kind.has_status):
                raise no_such_path()
            namespace = unquote(found["namespace"]) if found["namespace"] else None
            name = unquote(found["name"]) if found["name"] else None
            return Target(kind=kind, namespace=namespace, name=name, is_status=found["sub"] == "status")
    raise no_such_path()


class Wire:
    """Requests other than watches, answered at once."""

    def __init__(self, registry: Registry, lists: Lists) -> None:
        self._registry = registry
        self._lists = lists
        self.serves_workflows = True

    def answer(self, user: str, request: Request) -> Reply:
        """Carry the request out. Never raises."""
        try:
            if request.body is not None and len(request.body) > BODY_BYTES_MAX:
                raise too_large()
            if request.path == "/apis/kipu.dev/v1alpha1":
                return self._discovery()
            target = target_of(request.path)
            if target.kind.plural == "workflows" and not self.serves_workflows:
                raise no_such_path()
            return self._dispatch(user, request, target)
        except Refused as refused:
            return refusal(refused)

    def _dispatch(self, user: str, request: Request, target: Target) -> Reply:
        if target.name is None:
            if request.method == "GET":
                return reply(HTTPStatus.OK, self._lists.answer(target.kind, target.namespace, request))
            if request.method == "POST" and target.namespace is not None:
                created = self._registry.create(target.kind, target.namespace, _object(request), user=user)
                return _stored(HTTPStatus.CREATED, created)
            raise Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        namespace, name = target.namespace or "", target.name
        match request.method:
            case "GET":
                return _stored(HTTPStatus.OK, self._registry.get(target.kind, namespace, name))
            case "PATCH":
                patch = _parse(request)
                return self._update(
                    user, target, lambda stored: patches.apply(request.content_type, patch, stored.object), True
                )
            case "PUT":
                given = _object(request)
                return self._update(user, target, lambda _: given, False)
            case "DELETE":
                return self._delete(user, target, request)
        raise Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _update(self, user: str, target: Target, make: Make, is_patch: bool) -> Reply:
        namespace, name = target.namespace or "", target.name or ""
        updated = self._registry.update(
            target.kind, namespace, name, make, status=target.is_status, is_patch=is_patch, user=user
        )
        return _stored(HTTPStatus.OK, updated)

    def _delete(self, user: str, target: Target, request: Request) -> Reply:
        options = _object(request) if request.body else {}
        for key in ("propagationPolicy", "gracePeriodSeconds"):
            if key in request.query:
                options.setdefault(key, request.query[key])
        namespace, name = target.namespace or "", target.name or ""
        stored, gone = self._registry.delete(target.kind, namespace, name, options, user=user)
        if gone and target.kind.plural != "pods":
            details = {"name": target.name, "kind": target.kind.plural, "uid": stored.uid}
            success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
            return reply(HTTPStatus.OK, success)
        return _stored(HTTPStatus.OK, stored)

    def _discovery(self) -> Reply:
        if not self.serves_workflows:
            raise no_such_path()
        names = [{"name": "workflows"}, {"name": "workflows/status"}]
        return reply(
            HTTPStatus.OK, {"kind": "APIResourceList", "groupVersion": "kipu.dev/v1alpha1", "resources": names}
        )


def _parse(request: Request) -> Any:
    try:
        return msgspec.json.decode(request.body or b"")
    except msgspec.DecodeError as error:
        raise bad_request(f"json parse error: {error}") from error


def _object(request: Request) -> Json:
    body = _parse(request)
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized")
    return body


def _stored(status: int, stored: Stored) -> Reply:
    return Reply(status=status, headers={"Content-Type": "application/json"}, body=stored.encoded())


def reply(status: int, body: Json) -> Reply:
    """An answer that is no stored object."""
    return Reply(status=status, headers={"Content-Type": "application/json"}, body=msgspec.json.encode(body))


def refusal(refused: Refused) -> Reply:
    """A metav1.Status, and when to come again."""
    answer = reply(refused.status, refused.body())
    seconds = refused.details.get("retryAfterSeconds")
    if seconds is None:
        return answer
    return Reply(status=answer.status, headers={**answer.headers, "Retry-After": str(seconds)}, body=answer.body)
