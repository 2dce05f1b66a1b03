"""The witness against a server that ends its watches in every way, on this machine's own address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from e2e.apiserver import ApiServer
from e2e.chaos.patient import PatientApi
from e2e.chaos.witness import Witness
from e2e.watching import Watch

Json = dict[str, Any]
PODS = "/api/v1/pods"
PATIENCE_SECONDS = 20.0


def pod(name: str, version: int, phase: str) -> Json:
    metadata = {"name": name, "uid": name, "resourceVersion": str(version), "managedFields": ["much"]}
    return {"metadata": metadata, "spec": {"long": "story"}, "status": {"phase": phase}}


class Server:
    """Lists and watches in the order in which they are to be given; the last watch stays open until the end."""

    def __init__(self) -> None:
        self.lists: list[tuple[int, list[Json]]] = []
        self.watches: list[list[Json] | int] = []  # events, or a status
        self.asked: list[str] = []
        self.is_at_its_last = threading.Event()
        self.over = threading.Event()

    def list(self) -> bytes:
        version, items = self.lists.pop(0)
        return json.dumps({"kind": "PodList", "metadata": {"resourceVersion": str(version)}, "items": items}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Server = self.server.script  # type: ignore[attr-defined]
        server.asked.append(self.path)
        if "watch=true" not in self.path:
            return self.answer(200, [server.list()])
        script = server.watches.pop(0) if server.watches else []
        if isinstance(script, int):
            return self.answer(script, [b"{}"])
        self.answer(200, [json.dumps(event).encode() + b"\n" for event in script], is_last=not server.watches)
        return None

    def answer(self, status: int, pieces: list[bytes], *, is_last: bool = False) -> None:
        """In chunks, as the API server streams a watch; the last watch ends when all is over."""
        server: Server = self.server.script  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if is_last:
            server.is_at_its_last.set()
            server.over.wait(PATIENCE_SECONDS)
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.script = script = Server()  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    here = {"cluster": {"server": f"http://127.0.0.1:{http.server_port}"}, "name": "here"}
    context = {"context": {"cluster": "here", "user": "me"}, "name": "here"}
    users = [{"name": "me", "user": {"token": "none"}}]
    config = {"clusters": [here], "contexts": [context], "users": users, "current-context": "here"}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    # The official client reads the variable when it is imported.
    place = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(place, str(tmp_path / "kubeconfig"))
    yield script
    script.over.set()
    http.shutdown()
    thread.join()
    http.server_close()


def seen(server: Server, changes: int) -> list[tuple[str, str, int, str]]:
    """Kind, uid, version and phase of so many changes."""
    with Witness(PatientApi(), PODS, "l=m") as witness:
        assert witness.wait_for(lambda w: len(w.history) >= changes, PATIENCE_SECONDS)
        server.over.set()
    return [(change.kind, change.uid, change.version, change.phase) for change in witness.history]


def test_what_a_watch_tells_after_a_list_comes_in_order_and_trimmed(server: Server) -> None:
    server.lists = [(5, [pod("a", 3, "Pending")])]
    server.watches = [[{"type": "MODIFIED", "object": pod("a", 6, "Running")}]]
    assert seen(server, 2) == [("ADDED", "a", 0, "Pending"), ("MODIFIED", "a", 6, "Running")]
    assert "resourceVersion=5" in server.asked[1]
    assert all("labelSelector=l%3Dm" in path for path in server.asked)


def test_a_watch_that_ends_goes_on_from_the_last_version(server: Server) -> None:
    server.lists = [(5, [])]
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    server.watches = [[{"type": "ADDED", "object": pod("a", 6, "Pending")}, bookmark], [], 503, []]
    with Witness(PatientApi(), PODS) as witness:
        assert server.is_at_its_last.wait(PATIENCE_SECONDS)
        server.over.set()
    assert [("watch" in path, "resourceVersion=9" in path) for path in server.asked[2:]] == [(True, True)] * 3
    assert (len(witness.history), witness.gaps) == (1, 0)


@pytest.mark.parametrize("too_old", [410, [{"type": "ERROR", "object": {"code": 410}}]])
def test_a_gap_is_closed_by_a_list_and_dated_no_later_than_it_can_have_been(server: Server, too_old: Any) -> None:
    server.lists = [
        (5, [pod("kept", 1, "Pending")]),
        (50, [pod("kept", 1, "Pending"), pod("changed", 40, "Succeeded"), pod("new", 45, "Running")]),
    ]
    begun = [
        {"type": "ADDED", "object": pod(name, version, "Running")} for name, version in (("changed", 6), ("gone", 7))
    ]
    server.watches = [begun, too_old, []]
    assert seen(server, 6)[3:] == [
        ("DELETED", "gone", 7, "Running"),
        ("MODIFIED", "changed", 6, "Succeeded"),
        ("ADDED", "new", 0, "Running"),
    ]


def test_what_nobody_judges_is_not_kept(server: Server) -> None:
    server.lists = [(5, [pod("a", 3, "Pending")])]
    with Witness(PatientApi(), PODS) as witness:
        server.over.set()
    (change,) = witness.history
    assert change.body == {
        "metadata": {"name": "a", "uid": "a", "resourceVersion": "3"},
        "status": {"phase": "Pending"},
    }


def test_the_strict_watch_goes_on_when_the_server_closes_it_too(server: Server) -> None:
    server.lists = [(5, [pod("a", 3, "Pending")])]
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    server.watches = [[{"type": "MODIFIED", "object": pod("a", 6, "Running")}, bookmark], [], []]
    with Watch(ApiServer(), PODS) as watch:
        assert server.is_at_its_last.wait(PATIENCE_SECONDS)
        server.over.set()
    assert [(change.kind, change.version) for change in watch.history] == [("ADDED", 3), ("MODIFIED", 6)]
    assert ["resourceVersion=9" in path for path in server.asked[1:]] == [False, True, True]


def test_the_strict_watch_fails_loudly_where_changes_are_lost(server: Server) -> None:
    server.lists = [(5, [])]
    server.watches = [[{"type": "ERROR", "object": {"code": 410}}], []]
    with pytest.raises(AssertionError, match="has seen too little"), Watch(ApiServer(), PODS) as watch:
        watch._thread.join(PATIENCE_SECONDS)
