"""A small ConfigMap store with the facts of design 02, and a client of it whose requests can go wrong.

Kept small on purpose: tests/fakes holds the whole API server. Every object goes through JSON text, so that
nobody shares anything with the store.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from kipu.eventlog.ports import Answer, ObjectName, Unanswered

DATA_BYTES_MAX = 1_048_576
ETCD_REQUEST_BYTES_MAX = 1_572_864

Json = dict[str, Any]


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    REQUEST_LOST = auto()
    ANSWER_LOST = auto()
    DELAYED = auto()  # no answer, and carried out a few requests later
    CONFLICT = auto()
    REFUSED = auto()
    BUSY = auto()
    BUSY_DONE = auto()
    ERROR = auto()
    ERROR_DONE = auto()
    UNAVAILABLE = auto()
    QUOTA = auto()  # creates only
    QUOTA_CONTENDED = auto()  # creates only: 409 with reason Conflict
    TOO_LARGE = auto()  # writes only
    FORBIDDEN = auto()


READS = frozenset({"get", "list"})
_WRITES_ONLY = frozenset({Fault.REFUSED, Fault.CONFLICT, Fault.TOO_LARGE, Fault.DELAYED})
_CREATES_ONLY = frozenset({Fault.QUOTA, Fault.QUOTA_CONTENDED})
_ERRORS = {
    Fault.CONFLICT: (409, "Conflict", "the object has been modified"),
    Fault.REFUSED: (422, "Invalid", "a policy does not like it"),
    Fault.BUSY: (429, "TooManyRequests", "slow down"),
    Fault.BUSY_DONE: (429, "TooManyRequests", "slow down"),
    Fault.ERROR: (500, "InternalError", "something broke"),
    Fault.ERROR_DONE: (500, "InternalError", "something broke"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", "no"),
    Fault.QUOTA: (403, "Forbidden", "exceeded quota: few"),
    Fault.QUOTA_CONTENDED: (409, "Conflict", "Operation cannot be fulfilled on resourcequotas"),
    Fault.FORBIDDEN: (403, "Forbidden", "you may not"),
    Fault.TOO_LARGE: (500, "InternalError", "etcdserver: request is too large"),
}
_DONE = frozenset({Fault.NONE, Fault.ANSWER_LOST, Fault.BUSY_DONE, Fault.ERROR_DONE})


def refused(status: int, reason: str, message: str) -> Answer:
    return Answer(status=status, reason=reason, message=message, body={"kind": "Status"})


class Store:
    """The objects of one API server. `objects` may be edited by a test, as by kubectl."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Json] = {}
        self.revision = 100
        self.delayed: list[tuple[int, Callable[[], object]]] = []

    def create(self, namespace: str, manifest: Json) -> Answer:
        name = manifest["metadata"]["name"]
        if (namespace, name) in self.objects:
            return refused(409, "AlreadyExists", f'configmaps "{name}" already exists')
        self.revision += 1
        manifest["metadata"] |= {"uid": f"uid-{self.revision}", "managedFields": [{"manager": "kipu"}]}
        return self._put(namespace, name, manifest, 201)

    def get(self, namespace: str, name: str) -> Answer:
        if (namespace, name) not in self.objects:
            return refused(404, "NotFound", f'configmaps "{name}" not found')
        return Answer(status=200, reason="", message="", body=copy.deepcopy(self.objects[namespace, name]))

    def patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Answer:
        if (namespace, name) not in self.objects:
            return refused(404, "NotFound", f'configmaps "{name}" not found')
        new = copy.deepcopy(self.objects[namespace, name])
        for operation in operations:
            *parents, leaf = operation["path"].removeprefix("/").split("/")
            holder = new
            for parent in parents:
                holder = holder[parent]
            if operation["op"] == "test" and holder.get(leaf) != operation["value"]:
                return refused(422, "Invalid", "the server rejected our request due to an error in our request")
            if operation["op"] == "replace":
                assert leaf in holder, "RFC 6902: the target of a replace must exist"
            if operation["op"] in ("add", "replace"):
                holder[leaf] = operation["value"]
        if new["metadata"].get("managedFields") == [{}]:  # how a writer has the bookkeeping switched off
            del new["metadata"]["managedFields"]
        if new.get("immutable"):
            return refused(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set")
        self.revision += 1
        return self._put(namespace, name, new, 200)

    def delete(self, namespace: str, name: str, uid: str) -> Answer:
        standing = self.objects.get((namespace, name))
        if standing is None:
            return refused(404, "NotFound", f'configmaps "{name}" not found')
        if standing["metadata"]["uid"] != uid:
            return refused(409, "Conflict", f"the UID in the precondition ({uid}) does not match")
        self.revision += 1
        del self.objects[namespace, name]
        return Answer(status=200, reason="", message="", body={"kind": "Status", "status": "Success"})

    def names(self, namespace: str, label_selector: str) -> list[ObjectName]:
        wanted = dict(pair.split("=") for pair in label_selector.split(","))
        return [
            ObjectName(name=name, uid=manifest["metadata"]["uid"])
            for (place, name), manifest in sorted(self.objects.items())
            if place == namespace and wanted.items() <= manifest["metadata"]["labels"].items()
        ]

    def settle(self) -> None:
        """Every request that is still under way lands."""
        late, self.delayed = self.delayed, []
        for _, land in late:
            land()

    def tick(self) -> None:
        due = [land for left, land in self.delayed if left <= 0]
        self.delayed = [(left - 1, land) for left, land in self.delayed if left > 0]
        for land in due:
            land()

    def _put(self, namespace: str, name: str, manifest: Json, status: int) -> Answer:
        sizes = [len(text.encode()) for text in manifest.get("data", {}).values()]
        sizes += [len(text) * 3 // 4 for text in manifest.get("binaryData", {}).values()]
        if sum(sizes) > DATA_BYTES_MAX:
            return refused(422, "Invalid", f'ConfigMap "{name}" is invalid: []: Too long: may not be more than ...')
        manifest["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[namespace, name] = copy.deepcopy(manifest)
        return Answer(status=status, reason="", message="", body=manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it went over the wire."""

    verb: str
    name: str
    body_bytes: int


@dataclass(slots=True, kw_only=True)
class Client:
    """One writer's way to the store. `faults` says what happens to each request, then all goes well.

    `pauses` says how often other tasks get their turn before a request and before its answer.
    """

    store: Store
    faults: Iterator[Fault] = field(default_factory=lambda: iter(()))
    pauses: Iterator[int] = field(default_factory=lambda: iter(()))
    delay_requests: int = 2
    before: Callable[[Request], None] | None = None  # sees each request before the store does
    requests: list[Request] = field(default_factory=list)

    async def create_config_map(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        text = json.dumps(manifest)
        name = json.loads(text)["metadata"]["name"]
        return await self._send("create", name, text, lambda: self.store.create(namespace, json.loads(text)))

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        return await self._send("get", name, "", lambda: self.store.get(namespace, name))

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        text = json.dumps(operations)
        return await self._send("patch", name, text, lambda: self.store.patch(namespace, name, json.loads(text)))

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        return await self._send("delete", name, "", lambda: self.store.delete(namespace, name, uid))

    async def list_config_maps(self, namespace: str, label_selector: str) -> list[ObjectName]:
        found: list[ObjectName] = []

        def carry_out() -> Answer:
            found.extend(self.store.names(namespace, label_selector))
            return Answer(status=200, reason="", message="", body={})

        answer = await self._send("list", label_selector, "", carry_out)
        if answer.status != 200:
            raise Unanswered(f"list {label_selector}: {answer.status}")
        return found

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.verb not in READS]

    async def _send(self, verb: str, name: str, text: str, carry_out: Callable[[], Answer]) -> Answer:
        request = Request(verb=verb, name=name, body_bytes=len(text.encode()))
        self.requests.append(request)
        await self._pause()
        self.store.tick()
        if self.before is not None:
            self.before(request)
        answer = self._answer(verb, text, carry_out)
        await self._pause()
        if answer is None:
            raise Unanswered(f"{verb} {name}: reset")
        return answer

    def _answer(self, verb: str, text: str, carry_out: Callable[[], Answer]) -> Answer | None:
        fault = next(self.faults, Fault.NONE)
        if (verb in READS and fault in _WRITES_ONLY) or (verb != "create" and fault in _CREATES_ONLY):
            fault = Fault.NONE
        if len(text) > ETCD_REQUEST_BYTES_MAX:
            return refused(*_ERRORS[Fault.TOO_LARGE])
        answer = carry_out() if fault in _DONE else None
        if fault is Fault.DELAYED:
            self.store.delayed.append((self.delay_requests, carry_out))
        if fault in _ERRORS:
            return refused(*_ERRORS[fault])
        return answer if fault is Fault.NONE else None

    async def _pause(self) -> None:
        for _ in range(next(self.pauses, 0)):
            await asyncio.sleep(0)
