"""The cluster as the tests see it: plain JSON over HTTPS, and kubectl where people would type it.

Promises: no cache and no view of its own, so that a test reads what the API server says; every wait has a
bound and names what it waited for. Must never use the operator's own client: a fault in it would hide itself.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

from kubernetes import config
from urllib3 import BaseHTTPResponse, PoolManager, Timeout

JsonObject = dict[str, Any]
T = TypeVar("T")

REQUEST_SECONDS = 30.0
POLL_SECONDS = 0.2
KUBECTL_SECONDS = 120.0
# What to ask for where labels and versions are enough: a tenth of the bytes.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ApiError(AssertionError):
    """The API server refused; `status` is the HTTP status, the text its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class ApiServer:
    """One connection pool; thread-safe. Paths begin with a slash, queries are keywords."""

    def __init__(self) -> None:
        client = config.new_client_from_config()  # type: ignore[no-untyped-call]
        settings = client.configuration
        self._host: str = settings.host
        self._pool: PoolManager = client.rest_client.pool_manager
        token = settings.get_api_key_with_prefix("authorization")
        self._headers = {"Authorization": token} if token else {}

    def request(self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] = {}) -> bytes:
        """One request; raises ApiError for any status from 400 on."""
        sent = {"Content-Type": "application/json", **self._headers, **headers}
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(
            method, self._host + path, body=data, headers=sent, retries=False, timeout=REQUEST_SECONDS
        )
        if answer.status >= 400:
            raise ApiError(answer.status, _message(answer.data))
        return answer.data

    def get(self, path: str, *, accept: str = "application/json", **query: str) -> JsonObject:
        """An object or a consistent list."""
        return _object(self.request("GET", _with(path, query), headers={"Accept": accept}))

    def find(self, path: str) -> JsonObject | None:
        """An object, or None where there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, selector: str = "") -> list[JsonObject]:
        """The items of a consistent list."""
        found: list[JsonObject] = self.get(path, **({"labelSelector": selector} if selector else {}))["items"]
        return found

    def create(self, path: str, body: JsonObject, *, as_user: str = "") -> JsonObject:
        """Create, as the given user where one is given."""
        headers = {"Impersonate-User": as_user} if as_user else {}
        return _object(self.request("POST", path, body, headers=headers))

    def merge(self, path: str, body: JsonObject, *, as_user: str = "") -> JsonObject:
        """A JSON merge patch, as the given user where one is given."""
        headers = {"Content-Type": "application/merge-patch+json"}
        headers |= {"Impersonate-User": as_user} if as_user else {}
        return _object(self.request("PATCH", path, body, headers=headers))

    def delete(
        self, path: str, *, propagation: str = "Background", grace_seconds: int | None = None, as_user: str = ""
    ) -> None:
        """Delete with a propagation policy, as the given user; `grace_seconds=0` is `kubectl delete --force`."""
        headers = {"Impersonate-User": as_user} if as_user else {}
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        self.request("DELETE", path, options, headers=headers)

    def open_watch(self, path: str, *, accept: str = "application/json", **query: str) -> BaseHTTPResponse:
        """The answer to a watch, to be read with `lines`; `shut` ends a read in another thread."""
        answer: BaseHTTPResponse = self._pool.request(
            "GET",
            self._host + _with(path, {**query, "watch": "true"}),
            headers={"Accept": accept, **self._headers},
            preload_content=False,
            retries=False,
            timeout=Timeout(connect=REQUEST_SECONDS, read=None),
        )
        if answer.status >= 400:
            raise ApiError(answer.status, _message(answer.data))
        return answer


def lines(answer: BaseHTTPResponse) -> Iterator[JsonObject]:
    """The events of a watch until it ends."""
    rest = b""
    for piece in answer.stream(65_536):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line:
                yield _object(line)


def shut(answer: BaseHTTPResponse) -> None:
    """End a read of it in another thread; nothing where it has ended by itself (urllib3 has three ways to say so)."""
    with suppress(OSError, RuntimeError, ValueError):
        answer.shutdown()


def kubectl(*arguments: str, stdin: str = "", check: bool = True) -> str:
    """What kubectl prints; with `check=False` its errors too, and its exit code is ignored."""
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, capture_output=True, text=True, timeout=KUBECTL_SECONDS, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(arguments)} failed: {done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def wait_until(
    condition: Callable[[], T | None], timeout_seconds: float, what: str, *, poll_seconds: float = POLL_SECONDS
) -> T:
    """Poll until the condition yields something true. Raises AssertionError that says what never came."""
    end = time.monotonic() + timeout_seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_seconds:g} s: {what}; last seen: {found!r}")
        time.sleep(poll_seconds)


def workflows(namespace: str, name: str = "") -> str:
    """The path of the Workflows of a namespace, or of one."""
    return _path("/apis/kipu.dev/v1alpha1", namespace, "workflows", name)


def jobs(namespace: str, name: str = "") -> str:
    """The path of the Jobs of a namespace, or of one."""
    return _path("/apis/batch/v1", namespace, "jobs", name)


def pods(namespace: str, name: str = "") -> str:
    """The path of the pods of a namespace, or of one."""
    return _path("/api/v1", namespace, "pods", name)


def config_maps(namespace: str, name: str = "") -> str:
    """The path of the ConfigMaps of a namespace, or of one."""
    return _path("/api/v1", namespace, "configmaps", name)


def leases(namespace: str, name: str) -> str:
    """The path of a Lease."""
    return _path("/apis/coordination.k8s.io/v1", namespace, "leases", name)


def deployments(namespace: str, name: str) -> str:
    """The path of a Deployment."""
    return _path("/apis/apps/v1", namespace, "deployments", name)


def events(namespace: str) -> str:
    """The path of the Kubernetes Events of a namespace."""
    return _path("/apis/events.k8s.io/v1", namespace, "events", "")


def roles(namespace: str, kind: str) -> str:
    """The path of the `roles` or `rolebindings` of a namespace."""
    return _path("/apis/rbac.authorization.k8s.io/v1", namespace, kind, "")


def _path(prefix: str, namespace: str, plural: str, name: str) -> str:
    return f"{prefix}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _object(data: bytes) -> JsonObject:
    parsed: JsonObject = json.loads(data)
    return parsed


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", data[:500]))
    except (ValueError, AttributeError):
        return data[:500].decode(errors="replace")
