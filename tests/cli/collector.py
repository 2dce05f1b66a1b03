"""Something that speaks OTLP/HTTP on this machine's own address: keeps what it is sent, or refuses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """`answer` is the HTTP status of every reply."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer = 200
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        """All that came, in order."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Server(ThreadingHTTPServer):
    collector: Collector


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        collector = self.server.collector
        collector.paths.append(self.path)
        collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(collector.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the terminal of the tests."""


@contextmanager
def listening() -> Iterator[Collector]:
    http = _Server(("127.0.0.1", 0), _Handler)
    http.collector = Collector(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield http.collector
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
