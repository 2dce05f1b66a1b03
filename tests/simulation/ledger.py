"""One workflow's log as it lies in the store, read at every change by a reader of its own. I1, I2, I3.

It shares only `decode` with the code that it judges: digest, chain, positions, epochs and chunks are checked here in
other words (docs/event-log.md). Promises: the cost of a change is that of what is new in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kipu.core.errors import CorruptionError
from kipu.core.events import StreamClaimed
from kipu.eventlog.codec import decode
from kipu.eventlog.ports import Recorded

Json = Mapping[str, Any]
Read = Callable[[str], Json | None]  # a ConfigMap by its name


class Breach(Exception):
    """An invariant does not hold: its number and what is wrong."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant, self.text = invariant, text


class Ledger:
    """Everything that was ever committed to one stream."""

    def __init__(self, uid: str, read: Read) -> None:
        self.uid = uid
        self._read = read
        self._lines: list[bytes] = []
        self._links: list[bytes] = []
        self._chunks: dict[str, str] = {}  # those that are known to be right: name -> SHA-256
        self.records: list[Recorded] = []
        self.writers: set[str] = set()
        self.generation = 0
        self.acknowledged: dict[int, str] = {}  # position -> hash
        self._ends = [0]  # by generation: how many records there were

    # -- what the store shows ----------------------------------------------------------------------------

    def take(self, head: Json) -> list[Recorded]:
        """A head as it was just stored; the records that are new in it. Raises Breach."""
        data = head["data"]
        meta, tail = json.loads(data["meta"]), data["tail"].encode()
        if data["digest"] != hashlib.sha256(data["meta"].encode() + b"\n" + tail).hexdigest():
            raise Breach("I2", "the head's digest does not match")
        if meta["generation"] != self.generation + 1:
            raise Breach("I3", f"generation {meta['generation']} follows {self.generation}")
        if not self._links:
            seed = f"kipu.dev/log/v1\0{meta['uid']}\0{meta['specHash']}"
            self._links = [hashlib.sha256(seed.encode()).digest()]
        fresh = self._fresh(meta, tail)
        self.generation = meta["generation"]
        taken = [self._add(line) for line in fresh]
        if (len(self._lines), self._links[-1].hex()) != (meta["position"], meta["hash"]):
            raise Breach("I2", f"the records end at {len(self._lines)}, the head says {meta['position']}")
        self._ends.append(len(self._lines))
        return taken

    def _fresh(self, meta: Json, tail: bytes) -> list[bytes]:
        """The lines beyond those that are known, from new chunks and the tail; the others must be as they were."""
        fresh: list[bytes] = []
        reached = 0
        for chunk in meta["chunks"]:
            if chunk["first"] != reached + 1:
                raise Breach("I2", f"chunk {chunk['name']} begins at {chunk['first']}, {reached + 1} is next")
            reached = chunk["last"]
            if self._chunks.get(chunk["name"]) != chunk["sha256"]:
                fresh += self._compare(chunk["first"], self._open(chunk))
        lines = tail.splitlines()
        fresh += self._compare(reached + 1, lines)
        if reached + len(lines) < len(self._lines):
            raise Breach("I3", f"the log shrank from {len(self._lines)} records to {reached + len(lines)}")
        return fresh

    def _open(self, chunk: Json) -> list[bytes]:
        stored = self._read(chunk["name"])
        if stored is None:
            raise Breach("I1", f"the head names chunk {chunk['name']}, which is not there")
        packed = base64.b64decode(stored["binaryData"]["records"])
        lines = zlib.decompress(packed).splitlines()
        if hashlib.sha256(packed).hexdigest() != chunk["sha256"] or len(lines) != chunk["last"] - chunk["first"] + 1:
            raise Breach("I2", f"chunk {chunk['name']} is not what the head says")
        self._chunks[chunk["name"]] = chunk["sha256"]
        return lines

    def _compare(self, first: int, lines: list[bytes]) -> Iterator[bytes]:
        """Those beyond the known ones. Raises Breach where a known one is not what it was."""
        known = self._lines[first - 1 : first - 1 + len(lines)]
        if known != lines[: len(known)]:
            raise Breach("I3", f"records from {first} on are not what they were")
        return iter(lines[len(known) :])

    def _add(self, line: bytes) -> Recorded:
        position = len(self._lines) + 1
        try:
            decoded = decode(line, position=position, blobs=_Blobs(self.uid, self._read))
        except CorruptionError as error:
            raise Breach("I2", f"position {position}: {error}") from error
        last = self.records[-1] if self.records else None
        epoch = last.epoch if last else 0
        claims = isinstance(decoded.event, StreamClaimed)
        if (decoded.epoch <= epoch) if claims else (decoded.epoch != epoch):
            raise Breach("I2", f"epoch {decoded.epoch} after {epoch} at position {position}")
        if last is not None and decoded.ts < last.ts:
            raise Breach("I2", f"time falls from {last.ts} to {decoded.ts} at position {position}")
        self._lines.append(line)
        self._links.append(hashlib.sha256(self._links[-1] + line).digest())
        if isinstance(decoded.event, StreamClaimed):
            self.writers.add(decoded.event.writer)
        record = Recorded(
            position=position, epoch=decoded.epoch, ts=decoded.ts, hash=self._links[-1].hex(), event=decoded.event
        )
        self.records.append(record)
        return record

    def lose(self, name: str) -> None:
        """A ConfigMap of this stream was deleted. Raises Breach if the log still needs it."""
        if name in self._chunks and name in self.named():
            raise Breach("I1", f"chunk {name} was deleted, and the head names it")

    def named(self) -> set[str]:
        """The chunks that the head names now; none where it cannot be read."""
        head = self._read(f"kipu-log-{self.uid}")
        try:
            return {chunk["name"] for chunk in json.loads(head["data"]["meta"])["chunks"]} if head else set()
        except (ValueError, KeyError, TypeError):
            return set()

    # -- what a writer was told --------------------------------------------------------------------------

    def acknowledge(self, records: tuple[Recorded, ...]) -> None:
        """An append has returned. Raises Breach if its records are not here."""
        for record in records:
            if record.position > len(self.records) or self.records[record.position - 1].hash != record.hash:
                raise Breach("I1", f"position {record.position} was acknowledged and is not in the log")
            self.acknowledged[record.position] = record.hash

    def check_acknowledged(self) -> None:
        """Every append that ever returned is still there. Raises Breach."""
        for position, digest in self.acknowledged.items():
            if position > len(self.records) or self.records[position - 1].hash != digest:
                raise Breach("I1", f"position {position} was acknowledged and is lost")

    def cut(self, generation: int) -> None:
        """What was committed by this generation, and nothing after it, is what history is from now on."""
        position = self._ends[generation]
        del self._ends[generation + 1 :]
        del self._lines[position:], self._links[position + 1 :], self.records[position:]
        if not generation:
            self._links = []  # another log may begin
        self.generation, self._chunks = generation, {}
        self.acknowledged = {at: digest for at, digest in self.acknowledged.items() if at <= position}


class _Blobs(dict[str, bytes]):
    """Blobs by their SHA-256, read when a record names them."""

    def __init__(self, uid: str, read: Read) -> None:
        super().__init__()
        self._uid, self._get = uid, read

    def __missing__(self, digest: str) -> bytes:
        stored = self._get(f"kipu-blob-{self._uid}-{digest[:32]}")
        if stored is None:
            raise Breach("I1", f"blob {digest} is not there, and a record names it")
        return zlib.decompress(base64.b64decode(stored["binaryData"]["blob"]))
