"""Objects by path behind real HTTP on this machine's own address: what the official client is tested against.

It answers GETs, and has `writes` take the rest; the production log writes its ConfigMaps straight into `objects`, as
`StoredConfigMaps`.
What a real API server says to writes is tests/conformance's business.
"""

from __future__ import annotations

import copy
import json
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kipu.eventlog.ports import Answer, ObjectName, StreamId
from tests.cli.writes import Writes
from tests.fakes.selectors import select

WORKFLOWS = "/apis/kipu.dev/v1alpha1/namespaces/{}/workflows"
ALL_WORKFLOWS = "/apis/kipu.dev/v1alpha1/workflows"
LOOK_SECONDS = 0.05  # whether the server is closing
PLURALS = {"workflows", "workflowtemplates", "pods", "jobs", "events", "configmaps"}


Change = Callable[[], object]  # done when its time comes; what it returns, if it is a dict, is told
Story = Sequence[Change] | int  # or the status with which the watch is refused


class ApiServer:
    """Fill `objects` by path; put a path into `refusals` to have it refused."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}  # by the beginning of a path: the status and what is said
        self.writes = Writes(self.objects)
        self.before_reads: deque[Callable[[], object]] = deque()  # what happens, each just before the next read
        self.lists_nothing = False  # for want of the right
        self.page_not_found = False  # as for an API that no CRD serves
        self.watches: list[Story] = []  # each is told by one watch; later ones stay open and tell nothing
        self.watched: list[dict[str, str]] = []  # the queries of the watches so far
        self.logs: dict[str, list[str]] = {}  # by pod: lines, each with its time before it
        self.followed: dict[str, Callable[[], object]] = {}  # by pod: done once its log was told to who follows it
        self.logged: list[tuple[str, dict[str, str]]] = []  # the pods and queries of the logs so far
        self.closing = threading.Event()
        self._version = 0
        self.changes: queue.Queue[dict[str, Any] | None] = queue.Queue()  # what later ones say; None ends one
        self.texts: dict[str, str] = {}  # by path: what is no object, such as the log of a pod
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
            server.closing.set()
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
        self._version += 1
        self.objects[f"{WORKFLOWS.format(stream.namespace)}/{stream.name}"] = {
            "metadata": {
                "resourceVersion": str(self._version),
                "namespace": stream.namespace,
                "name": stream.name,
                "uid": stream.uid,
                "labels": dict(labels or {}),
                "creationTimestamp": "2023-11-14T22:13:19Z",
            },
            "spec": dict(spec or {}),
            "status": status,
        }

    def write(self, verb: str, path: str, query: Mapping[str, str], body: Any, content_type: str) -> tuple[int, bytes]:
        for beginning, (status, message) in self.refusals.items():
            if path.startswith(beginning):
                return status, _status("Forbidden", message)
        code, answered = self.writes.write(verb, path, query, body, content_type)
        return code, json.dumps(answered).encode()

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if self.before_reads:
            self.before_reads.popleft()()
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
        if path.rsplit("/", 1)[-1] in PLURALS:
            return 200, json.dumps(self._page(path, query)).encode()
        return 404, _status("NotFound", f"{path} not found")

    def _page(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A list of what is selected, a page of it at a time."""
        plural = path.rsplit("/", 1)[-1]
        chosen = select(plural, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        found = [body for name, body in self.objects.items() if _belongs(name, path) and chosen(body)]
        first, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
        rest = str(first + limit) if len(found) > first + limit else ""
        metadata = {"continue": rest, "resourceVersion": str(self._version)}
        return {"items": found[first : first + limit], "metadata": metadata}

    # -- what comes bit by bit ------------------------------------------------------------------------------

    def begin(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes, Iterator[bytes]] | None:
        """A refusal, or lines; None for what is answered at once."""
        if query.get("watch") == "true":
            self.watched.append(dict(query))
            if not self.watches:
                return 200, b"", self._changes()
            story = self.watches.pop(0)
            return (
                (story, _status("Expired", "too old"), iter(())) if isinstance(story, int) else (200, b"", _told(story))
            )
        pod = path.split("/")[-2]
        if path.endswith("/log") and pod in self.logs:
            self.logged.append((pod, dict(query)))
            return 200, b"", self._log(pod, query)
        return None

    def _changes(self) -> Iterator[bytes]:
        while not self.closing.is_set():
            with suppress(queue.Empty):
                change = self.changes.get(timeout=LOOK_SECONDS)
                if change is None:
                    return
                yield json.dumps(change).encode() + b"\n"

    def _log(self, pod: str, query: Mapping[str, str]) -> Iterator[bytes]:
        lines = self.logs[pod]
        since = query.get("sinceTime", "")
        lines = [line for line in lines if line.partition(" ")[0] >= since.removesuffix("Z")]
        for line in lines[-int(query["tailLines"]) :] if "tailLines" in query else lines:
            yield (line if query.get("timestamps") == "true" else line.partition(" ")[2]).encode() + b"\n"
        if query.get("follow") == "true":
            self.followed.get(pod, lambda: None)()


def _told(story: Sequence[Change]) -> Iterator[bytes]:
    for change in story:
        told = change()
        if isinstance(told, dict):
            yield json.dumps(told).encode() + b"\n"


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
        api: ApiServer = self.server.api  # type: ignore[attr-defined]
        api.asked.append(parts.path)
        query = api.queries[parts.path] = dict(parse_qsl(parts.query))
        begun = api.begin(parts.path, query)
        if begun is None:
            self._reply(*api.answer(parts.path, query))
        elif begun[0] != 200:
            self._reply(*begun[:2])
        else:
            self._tell(begun[2])

    def _tell(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):  # whoever asked has had enough
            for line in lines:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        query, content_type = dict(parse_qsl(parts.query)), self.headers["Content-Type"]
        self._reply(*self.server.api.write(self.command, parts.path, query, body, content_type))  # type: ignore[attr-defined]

    do_PATCH = do_DELETE = do_POST  # noqa: N815

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
