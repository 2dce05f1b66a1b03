"""The proxy's own words on a connection: refusals as the API server gives them, resets as a net does.

Must never hold a state.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDict

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "host"})
REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
RETRY_AFTER_SECONDS = 1
LINGER_NOT = struct.pack("ii", 1, 0)  # closing sends RST rather than FIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer of the API server."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def response(self) -> web.Response:
        """As the client gets it."""
        return web.Response(status=self.status, headers=self.headers, body=self.body)


def passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """What belongs to the message and not to one connection."""
    pairs: Iterable[tuple[str, str]] = headers.items()
    return CIMultiDict((name, value) for name, value in pairs if name.lower() not in HOP_BY_HOP)


def refusal(status: int) -> web.Response:
    """A metav1.Status; a 429 says when to come again."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "a fault of the proxy",
        "reason": REASONS[status],
        "code": status,
    }
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


def expired() -> bytes:
    """The watch event that says that the version has become too old."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version: a fault of the proxy",
        "reason": "Expired",
        "code": 410,
    }
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def reset(request: web.BaseRequest) -> web.Response:
    """End the connection as a net does, not as a server; what is returned reaches nobody."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        transport.abort()
    return web.Response()


def is_gone(request: web.BaseRequest) -> bool:
    """Whether its client has closed the connection."""
    return request.transport is None or request.transport.is_closing()
