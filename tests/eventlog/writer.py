"""The words of the ConfigMap log's tests: a writer whose requests go wrong on command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kipu.core.events import Event
from kipu.eventlog import chunks
from kipu.eventlog.chunks import TAIL_BYTES_MAX
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, nonces, scheduled
from tests.eventlog.store import Client, Fault, Request, Store

HEAD = f"kipu-log-{STREAM.uid}"


class Writer:
    """A log, its client, and the waits that it asked for."""

    def __init__(self, store: Store, name: str = "w", *, jitter: float = 0.5) -> None:
        self.client = Client(store=store)
        self.waits: list[float] = []
        self.log = ConfigMapLog(self.client, nonce=nonces(name), sleep=self._sleep, jitter=lambda: jitter)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def begin(self, *events: Event) -> ConfigMapHead:
        head, _ = await self.log.append(STREAM, None, events or [claim()], ts=TS, spec_hash=SPEC_HASH)
        return head

    async def append(self, head: ConfigMapHead, *events: Event) -> ConfigMapHead:
        after, _ = await self.log.append(STREAM, head, events or [scheduled()], ts=TS)
        return after

    async def read(self) -> list[Event]:
        history = await self.log.load(STREAM)
        return [] if history is None else [record.event for record in history.records]

    def meets(self, *faults: Fault) -> None:
        """What happens to the next requests."""
        self.client.faults = iter(faults)
        self.client.requests.clear()

    @property
    def verbs(self) -> list[str]:
        return [request.verb for request in self.client.requests]


def names(store: Store, beginning: str) -> list[str]:
    return [name for _, name in store.objects if name.startswith(beginning)]


def object_of(store: Store, name: str) -> dict[str, Any]:
    return store.objects[STREAM.namespace, name]


def rewrite(store: Store, **changes: object) -> None:
    """Change meta as somebody could who also computes the digest anew."""
    data = object_of(store, HEAD)["data"]
    data["meta"] = json.dumps(json.loads(data["meta"]) | changes, sort_keys=True, separators=(",", ":"))
    data["digest"] = chunks.sha256(f"{data['meta']}\n{data['tail']}".encode())


def once(verb: str, act: Callable[[], object]) -> Callable[[Request], None]:
    """Do something just before the first request of this kind."""
    left = [act]

    def before(request: Request) -> None:
        if request.verb == verb and left:
            left.pop()()

    return before


def after_missing_chunk(name: str, act: Callable[[], object]) -> Callable[[Request], None]:
    """Do something once a chunk was not found: before the head is read again."""
    asked: list[str] = []

    def before(request: Request) -> None:
        if request.name == HEAD and name in asked:
            asked.clear()
            act()
        asked.append(request.name)

    return before


def run_now(store: Store, head: ConfigMapHead, *events: Event) -> ConfigMapHead:
    """Another writer commits in between, at once: its client never really waits."""
    appending = Writer(store, f"other{head.generation}-").append(head, *events)
    try:
        appending.send(None)
    except StopIteration as done:
        after: ConfigMapHead = done.value
        return after
    raise AssertionError("the append waited")


async def fill(writer: Writer, *, but: int = 0) -> tuple[ConfigMapHead, int]:
    """A stream whose tail has room for so many more `scheduled()` and no more, and the bytes of such a line."""
    before = await writer.begin()
    head = await writer.append(before)
    record_bytes = len(head.tail) - len(before.tail)
    while len(head.tail) + (1 + but) * (record_bytes + 1) <= TAIL_BYTES_MAX:  # positions get longer once: at 10
        head = await writer.append(head)
    assert not head.chunks
    return head, record_bytes + 1


async def rolled(writer: Writer, *, chunk_count: int = 2) -> ConfigMapHead:
    head = await writer.begin()
    while len(head.chunks) < chunk_count:
        head = await writer.append(head)
    return head
