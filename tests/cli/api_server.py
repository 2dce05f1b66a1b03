"""Objects by path behind real HTTP on this machine's own address: what the official client is tested against.

It answers GETs and takes creates; the production log writes its ConfigMaps straight into `objects`, as
`StoredConfigMaps`.
What a real API server says to writes is tests/conformance's business.
"""

from __future__ import annotations

import copy
import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kipu.eventlog.ports import Answer, ObjectName, StreamId

WORKFLOWS = "/apis/kipu.dev/v1alpha1/namespaces/{}/workflows"
ALL_WORKFLOWS = "/apis/kipu.dev/v1alpha1/workflows"
WATCH_SECONDS = 30.0  # a test that forgets to end its watch


class ApiServer:
    """Fill `objects` by path; put a path into `refusals` to have it refused."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}  # by the beginning of a path: the status and what is said
        self.lists_nothing = False  # for want of the right
        self.page_not_found = False  # as for an API that no CRD serves
        self.texts: dict[str, str] = {}  # by path: what is no object, such as the log of a pod
        self.changes: queue.Queue[dict[str, Any] | None] = queue.Queue()  # what a watch says; None ends it
        self.asked: list[str] = []  # the paths of all GETs
        self.queries: dict[str, dict[str, str]] = {}  # by path: of the last one

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
    ) -> None:
        status: dict[str, object] = {} if log is None else {"log": log}
        if condition:
            status["conditions"] = [{"type": condition, "status": "True"}]
        self.objects[f"{WORKFLOWS.format(stream.namespace)}/{stream.name}"] = {
            "metadata": {"namespace": stream.namespace, "name": stream.name, "uid": stream.uid},
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
        if path in self.texts:
            return 200, self.texts[path].encode()
        if self.lists_nothing and "labelSelector" in query:
            return 403, _status("Forbidden", f'User "me" cannot list {path}')
        if self.page_not_found:
            return 404, b"404 page not found\n"
        if path.endswith("/workflows") and self.lists_nothing:
            return 403, _status("Forbidden", "")
        if path.endswith("/workflows"):
            below = "/apis/kipu.dev/v1alpha1/namespaces/" if path == ALL_WORKFLOWS else f"{path}/"
            items = [body for key, body in self.objects.items() if key.startswith(below)]
            return 200, json.dumps({"items": items, "metadata": {"resourceVersion": "1"}}).encode()
        if "labelSelector" in query:
            return 200, json.dumps(self._page(path, query)).encode()
        return 404, _status("NotFound", f"{path} not found")

    def _page(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A list of what has the label, a page of it at a time."""
        key, _, value = query["labelSelector"].partition("=")
        found = [
            body
            for name, body in self.objects.items()
            if name.startswith(f"{path}/") and body["metadata"].get("labels", {}).get(key) == value
        ]
        first, limit = int(query.get("continue", "0")), int(query["limit"])
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
        parts, api = urlsplit(self.path), self.server.api  # type: ignore[attr-defined]
        api.asked.append(parts.path)
        query = api.queries[parts.path] = dict(parse_qsl(parts.query))
        if query.get("watch") == "true":
            self._watch(api.changes)
        else:
            self._reply(*api.answer(parts.path, query))

    def _watch(self, changes: queue.Queue[dict[str, Any] | None]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        while (change := changes.get(timeout=WATCH_SECONDS)) is not None:
            line = json.dumps(change).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")

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


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def _status(reason: str, message: str) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()
