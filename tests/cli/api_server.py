"""Objects by path behind real HTTP on this machine's own address: what the official client is tested against.

It answers GETs and takes creates; the production log writes its ConfigMaps straight into `objects`, as
`StoredConfigMaps`.
What a real API server says to writes is tests/conformance's business.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kipu.eventlog.ports import Answer, ObjectName, StreamId
from tests.fakes.selectors import select

WORKFLOWS = "/apis/kipu.dev/v1alpha1/namespaces/{}/workflows"
PLURALS = {"workflows", "pods", "jobs", "events", "configmaps"}


class ApiServer:
    """Fill `objects` by path; put a path into `refusals` to have it refused."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}  # by the beginning of a path: the status and what is said
        self.lists_nothing = False  # for want of the right
        self.page_not_found = False  # as for an API that no CRD serves

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[ApiServer]:
        http = _Server(("127.0.0.1", 0), _Handler)
        server = cls(f"http://127.0.0.1:{http.server_port}")
        http.api = server  # type: ignore[attr-defined]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
            http.server_close()

    def kubeconfig(self, namespace: str | None = None) -> str:
        context = {"cluster": "here", "user": "me"} | ({"namespace": namespace} if namespace else {})
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "here", "cluster": {"server": self.url}}],
                "users": [{"name": "me", "user": {"token": "secret"}}],
                "contexts": [{"name": "here", "context": context}],
                "current-context": "here",
            }
        )

    def add_workflow(
        self,
        stream: StreamId,
        log: Mapping[str, object] | None = None,
        *,
        spec: Mapping[str, object] | None = None,
        condition: str = "",
        labels: Mapping[str, str] | None = None,
        **shown: object,
    ) -> None:
        """`shown`: more of its status, in its own names."""
        status: dict[str, object] = dict(shown) if log is None else {"log": log, **shown}
        if condition:
            status["conditions"] = [{"type": condition, "status": "True"}]
        self.objects[f"{WORKFLOWS.format(stream.namespace)}/{stream.name}"] = {
            "metadata": {
                "namespace": stream.namespace,
                "name": stream.name,
                "uid": stream.uid,
                "labels": dict(labels or {}),
                "creationTimestamp": "2023-11-14T22:13:19Z",
            },
            "spec": dict(spec or {}),
            "status": status,
        }

    def create(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        for beginning, (status, message) in self.refusals.items():
            if path.startswith(beginning):
                return status, _status("Forbidden", message)
        name = f"{path}/{body['metadata']['name']}"
        if name in self.objects:
            return 409, _status("AlreadyExists", f"{name} already exists")
        self.objects[name] = body
        return 201, json.dumps(body).encode()

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        for beginning, (status, message) in self.refusals.items():
            if path.startswith(beginning):
                return status, _status("Forbidden", message)
        if path in self.objects:
            return 200, json.dumps(self.objects[path]).encode()
        if self.lists_nothing and "labelSelector" in query:
            return 403, _status("Forbidden", f'User "me" cannot list {path}')
        if self.page_not_found:
            return 404, b"404 page not found\n"
        if path.endswith("/workflows") and self.lists_nothing:
            return 403, _status("Forbidden", "")
        if path.rsplit("/", 1)[-1] in PLURALS:
            return 200, json.dumps(self._page(path, query)).encode()
        return 404, _status("NotFound", f"{path} not found")

    def _page(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A list of what is selected, a page of it at a time."""
        plural = path.rsplit("/", 1)[-1]
        fields = "" if plural == "events" else query.get("fieldSelector", "")
        chosen = select(plural, query.get("labelSelector", ""), fields)
        found = [body for name, body in self.objects.items() if _belongs(name, path) and chosen(body)]
        first, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
        rest = str(first + limit) if len(found) > first + limit else ""
        return {"items": found[first : first + limit], "metadata": {"continue": rest}}


class StoredConfigMaps:
    """eventlog.ports.ConfigMapApi over the server's objects, for the writer whose log is then read."""

    def __init__(self, server: ApiServer) -> None:
        self._objects = server.objects
        self._version = 0

    async def create_config_map(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        body: dict[str, Any] = copy.deepcopy(dict(manifest))
        body["metadata"]["uid"] = f"uid-{len(self._objects)}"
        path = _path(namespace, body["metadata"]["name"])
        if path in self._objects:
            return Answer(status=409, reason="AlreadyExists", message=path, body={})
        return self._store(path, body, 201)

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        body = self._objects.get(_path(namespace, name))
        if body is None:
            return Answer(status=404, reason="NotFound", message=name, body={})
        return Answer(status=200, reason="", message="", body=body)

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        path = _path(namespace, name)
        body = copy.deepcopy(self._objects[path])
        for operation in operations:
            _, section, key = str(operation["path"]).split("/")
            if operation["op"] == "test":
                assert body[section][key] == operation["value"], "this store has one writer"
            else:
                body[section][key] = operation["value"]
        return self._store(path, body, 200)

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        raise NotImplementedError("no test of the CLI sweeps")

    async def list_config_maps(self, namespace: str, label_selector: str) -> Sequence[ObjectName]:
        raise NotImplementedError("no test of the CLI sweeps")

    def _store(self, path: str, body: dict[str, Any], status: int) -> Answer:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self._objects[path] = body
        return Answer(status=status, reason="", message="", body=copy.deepcopy(body))


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that `server_close` waits for them: no socket is left to the garbage collector


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._reply(*self.server.api.answer(parts.path, dict(parse_qsl(parts.query))))  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._reply(*self.server.api.create(urlsplit(self.path).path, body))  # type: ignore[attr-defined]

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _belongs(name: str, collection: str) -> bool:
    """Whether the object is of this collection, which may be that of all namespaces."""
    if "/namespaces/" in collection:
        return name.startswith(f"{collection}/")
    group, plural = collection.rsplit("/", 1)
    return name.startswith(f"{group}/namespaces/") and name.rsplit("/", 2)[1] == plural


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def _status(reason: str, message: str) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()
