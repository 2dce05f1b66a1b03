"""A workflow's log, read off the ConfigMaps by hand, as docs/event-log.md tells a person to do it.

Must never import the operator's reader: were writer and reader wrong alike, nobody would see it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass

from .apiserver import ApiError, JsonObject, config_maps
from .namespace import Namespace

READS_MAX = 5  # a log is merged once in 100 events, and archived once


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The head's meta and every record, oldest first."""

    meta: JsonObject
    records: list[JsonObject]

    def of(self, *types: str) -> list[JsonObject]:
        """The records of these types."""
        return [record for record in self.records if record["type"] in types]

    def attempts(self) -> set[tuple[str, int]]:
        """Every (step, attempt) that was decided to run."""
        return {(record["step"], record["attempt"]) for record in self.of("StepScheduled")}

    def given_up(self) -> set[tuple[str, int]]:
        """Every (step, attempt) that was abandoned: whether it has run, nobody says."""
        return {(record["step"], record["attempt"]) for record in self.of("AttemptAbandoned")}


def head(namespace: Namespace, uid: str) -> JsonObject:
    """The meta of the head: a consistent read."""
    found: JsonObject = json.loads(namespace.api.get(config_maps(namespace.name, f"kipu-log-{uid}"))["data"]["meta"])
    return found


def read(namespace: Namespace, uid: str) -> Log:
    """The whole log, with its digest, its chunks' hashes and its positions checked.

    A chunk that is gone was merged into another one meanwhile: then the head is read again.
    """
    for _ in range(READS_MAX - 1):
        before = head(namespace, uid)["generation"]
        try:
            return _read(namespace, uid)
        except ApiError as error:
            if error.status != 404 or head(namespace, uid)["generation"] == before:
                raise
    return _read(namespace, uid)


def _read(namespace: Namespace, uid: str) -> Log:
    data = namespace.api.get(config_maps(namespace.name, f"kipu-log-{uid}"))["data"]
    assert hashlib.sha256(f"{data['meta']}\n{data['tail']}".encode()).hexdigest() == data["digest"]
    meta = json.loads(data["meta"])
    text = "".join(_chunk(namespace, chunk) for chunk in meta["chunks"]) + data["tail"]
    records = [json.loads(line) for line in text.splitlines()]
    assert [record["pos"] for record in records] == list(range(1, meta["position"] + 1))
    return Log(meta=meta, records=records)


def _chunk(namespace: Namespace, chunk: JsonObject) -> str:
    packed = base64.b64decode(namespace.api.get(config_maps(namespace.name, chunk["name"]))["binaryData"]["records"])
    assert hashlib.sha256(packed).hexdigest() == chunk["sha256"]
    lines = zlib.decompress(packed).decode().splitlines(keepends=True)
    positions = range(chunk["first"], chunk["last"] + 1)
    # A chunk may hold more than the index says it holds for this stream; the index decides.
    return "".join(line for line in lines if json.loads(line)["pos"] in positions)


def size_bytes(namespace: Namespace, uid: str) -> int:
    """The bytes that the log's ConfigMaps hold, as etcd keeps them but for names and labels."""
    total = 0
    for item in namespace.log_objects(uid):
        total += sum(len(text.encode()) for text in item.get("data", {}).values())
        total += sum(len(base64.b64decode(text)) for text in item.get("binaryData", {}).values())
    return total
