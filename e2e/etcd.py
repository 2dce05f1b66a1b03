"""What etcd was given, key by key: read from etcd's own history, at its local address, through its JSON gateway.

Promises: exact counts and bytes (key and value of every put) between two revisions, for one namespace alone. Only
where etcd listens on this machine without TLS, as in the local cluster; never to be used by a test of Kipu.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any
from urllib.request import Request, urlopen

ETCD = "http://127.0.0.1:2379"
ALL_KEYS = {"key": base64.b64encode(b"\0").decode(), "range_end": base64.b64encode(b"\0").decode()}
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Puts:
    """How often each resource was put, and with how many bytes."""

    count: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)


def revision(at: str = ETCD) -> int | None:
    """The newest revision; None where no etcd answers here."""
    try:
        with _post(at + "/v3/kv/range", {**ALL_KEYS, "count_only": True}) as answer:
            return int(json.load(answer)["header"]["revision"])
    except OSError:
        return None


def puts(namespace: str, first: int, last: int, at: str = ETCD) -> Puts:
    """All puts to keys of this namespace after revision `first` and up to `last`."""
    found = Puts()
    for key, size_bytes in _changes(first + 1, last, at):
        resource, separator, _ = key.removeprefix("/registry/").partition(f"/{namespace}/")
        if separator:
            found.count[resource] += 1
            found.size_bytes[resource] += size_bytes
    return found


def _changes(first: int, last: int, at: str) -> Iterator[tuple[str, int]]:
    """Key and bytes of each put; deletions have no value and are left out."""
    newest = first - 1
    with _post(at + "/v3/watch", {"create_request": {**ALL_KEYS, "start_revision": first}}) as answer:
        while newest < last:
            for event in json.loads(answer.readline())["result"].get("events", []):
                newest = int(event["kv"]["mod_revision"])
                key = base64.b64decode(event["kv"]["key"])
                if newest <= last and event.get("type") != "DELETE":
                    yield key.decode(), len(key) + len(base64.b64decode(event["kv"].get("value", "")))


def _post(url: str, body: dict[str, Any]) -> HTTPResponse:
    request = Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    answer: HTTPResponse = urlopen(request, timeout=TIMEOUT_SECONDS)
    return answer
