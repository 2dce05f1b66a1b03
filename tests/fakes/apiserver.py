"""A cluster in one object: an API server with etcd's semantics, its controllers and a node, in virtual time.

    server = ApiServer(seed=7)                       # inside a running event loop
    kube = Kube(server.connect(user="operator"))     # faults and counts are per user
    server.faults = lambda index, request: TimeoutDone() if index == 3 else None
    server.lags = Lags(collector_pods_seconds=20)    # its controllers are behind
    server.admission.policies.append(lambda attempt: attempt.denied("guard", "no") if ... else None)

Promises: the same seed and the same requests give the same history, whatever the machine does; every delay is
the event loop's time, so that under looptime nothing waits; what the conformance suite asks of a real API server
holds here too. Every request, the controllers' own included, is in `requests` with the user who sent it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

import msgspec

from kipu.shell.kube_http import Reply, Request

from .admission import Admission
from .clock import LoopClock
from .collector import Collector
from .etcd import HISTORY_MAX, Change, Etcd, Json, Key, Stored
from .faults import Fault, FaultHook
from .informers import Informer, Lags
from .jobs import JobController
from .kinds import BY_PLURAL, KINDS, Kind
from .lists import Lists
from .nodes import Execution, Nodes, Program
from .refusals import Refused
from .registry import Make, Registry
from .transport import FakeTransport
from .watching import End, Watch
from .wire import Wire, reply, target_of

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
Edit = Callable[[Json], Json]
Lines = Callable[[float], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request as the server saw it; those of its own controllers have no body."""

    time: float
    user: str
    method: str
    path: str
    status: int
    body: bytes | None = None

    @property
    def is_write(self) -> bool:
        """Whether it may have changed anything."""
        return self.method != "GET"


def no_fault(index: int, request: Request) -> Fault | None:
    """The fault hook of a healthy world."""
    return None


class ApiServer:
    """Made inside a running event loop, which it uses until the end of the test."""

    def __init__(
        self,
        *,
        seed: int = 0,
        programs: Callable[[Json], Program] | None = None,
        latency_seconds: float = 0.002,
        history_max: int = HISTORY_MAX,
        lags: Lags | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # what the server does later is its own doing, whoever asked for it
        self._latency_seconds = latency_seconds
        self.rng = random.Random(seed)
        self.lags = lags or Lags()  # may be replaced at any moment
        self.clock = LoopClock()
        self.etcd = Etcd(history_max)
        self.admission = Admission(self)
        self.registry = Registry(self.etcd, self.clock, self.rng, self.admission.admit)
        self.wire = Wire(self.registry, Lists(self.etcd, lambda: self.lags, self.time, self.rng))
        self.requests: list[Sent] = []
        self.faults: FaultHook = no_fault  # evaluated at every request of a faulty user: (index of the write, request)
        self.watches: list[Watch] = []
        self.informers: list[Informer] = []
        self.nodes = Nodes(self, programs or (lambda pod: Program()))
        self.jobs = JobController(self)
        self.collector = Collector(self)
        self._controllers = list(self.etcd.listeners)  # the quotas and the cache of lists

    @property
    def executions(self) -> list[Execution]:
        """Every container `main` that ever ran, in the order of their starts."""
        return self.nodes.executions

    def connect(self, *, user: str, faulty: bool = True, faults: FaultHook | None = None) -> FakeTransport:
        """A Transport for one user. `faulty`: whether the fault hook is asked about its requests, or one of its own."""
        return FakeTransport(self, user, faulty=faulty, faults=faults)

    # -- for tests ---------------------------------------------------------------------------------------

    def create(self, manifest: Json, *, namespace: str = "default", user: str = "tester") -> Json:
        """Create an object directly. Raises Refused."""
        kind = next(kind for kind in KINDS if kind.kind == manifest["kind"])
        body: Json = msgspec.json.decode(msgspec.json.encode(manifest))
        return self.create_stored(kind, namespace, body, user=user).object

    def create_stored(self, kind: Kind, namespace: str, body: Json, *, user: str) -> Stored:
        """The same of a body that then belongs to the store. Raises Refused."""
        key = Key(kind.plural, namespace, "")
        return self.record(user, "POST", key, lambda: self.registry.create(kind, namespace, body, user=user))

    def update(
        self, plural: str, namespace: str, name: str, make: Edit, *, status: bool = False, user: str = "tester"
    ) -> Json:
        """Replace an object by what `make` makes of a copy. Raises Refused."""
        return self._update(plural, namespace, name, lambda stored: make(stored.copy()), status=status, user=user)

    def amend(
        self, plural: str, namespace: str, name: str, make: Edit, *, status: bool = False, user: str = "tester"
    ) -> Json:
        """The same at less cost: `make` may change the first two levels of what it is given, and nothing below."""
        return self._update(plural, namespace, name, lambda stored: make(stored.draft()), status=status, user=user)

    def _update(self, plural: str, namespace: str, name: str, make: Make, *, status: bool, user: str) -> Json:
        kind = BY_PLURAL[plural]
        updated = self.record(
            user,
            "PUT",
            Key(plural, namespace, name),
            lambda: self.registry.update(kind, namespace, name, make, status=status, user=user),
        )
        return updated.object

    def delete(self, plural: str, namespace: str, name: str, *, user: str = "tester", **options: Any) -> None:
        """Delete an object; options as in metav1.DeleteOptions. Raises Refused."""
        key = Key(plural, namespace, name)
        kind = BY_PLURAL[plural]
        self.record(user, "DELETE", key, lambda: self.registry.delete(kind, namespace, name, options, user=user))

    def get(self, plural: str, namespace: str, name: str) -> Json | None:
        """The object as it is now; do not change it."""
        stored = self.etcd.get(Key(plural, namespace, name))
        return None if stored is None else stored.object

    def all(self, plural: str) -> list[Json]:
        """Every object of a kind; do not change them."""
        return [stored.object for stored in self.etcd.all(plural)]

    def writes(self, user: str) -> list[Sent]:
        """What a user has written, in order; refused writes included."""
        return [sent for sent in self.requests if sent.user == user and sent.is_write]

    def end_watches(self, how: End, plural: str | None = None) -> int:
        """End every open watch (of one kind); how many."""
        chosen = [watch for watch in self.watches if plural in (None, watch.plural)]
        for watch in chosen:
            watch.end(how)
        return len(chosen)

    def restore(self, revision: int, *, under_a_live_server: bool = False) -> None:
        """etcd is restored from a backup, and everybody but who watches through the API server lists anew."""
        before = self.etcd.everything()
        self.etcd.restore(revision, under_a_live_server=under_a_live_server)
        after = self.etcd.everything()
        self.jobs.restored()
        self.collector.restored()
        for key in sorted({*before, *after}):
            was, now = before.get(key), after.get(key)
            if was is not None and (now is None or now.uid != was.uid):
                self._relist(Change(self.etcd.revision, key, was, None))
                was = None
            if now is not None and now is not was:
                self._relist(Change(self.etcd.revision, key, was, now))
        self.nodes.restored()
        for informer in self.informers:
            informer.relist()

    def _relist(self, change: Change) -> None:
        self.etcd.tell_followers(change)
        for hear in self._controllers:
            hear(change)

    # -- for the parts of the fake -----------------------------------------------------------------------

    def later(
        self, seconds: float, call: Callable[[*Arguments], object], *arguments: *Arguments
    ) -> asyncio.TimerHandle:
        """Call this after `seconds` of the loop's time."""
        return self._loop.call_later(seconds, call, *arguments, context=self._context)

    def jitter(self, seconds: float) -> float:
        """Between half and all of it, by the seed."""
        return seconds * (0.5 + self.rng.random() / 2)

    def time(self) -> float:
        """The loop's time, in seconds."""
        return self._loop.time()

    def travel_seconds(self) -> float:
        """One way of a request or an answer."""
        return self.jitter(self._latency_seconds) / 2

    def answer(self, user: str, request: Request) -> Reply:
        """Carry one request out and remember it."""
        answer = self.wire.answer(user, request)
        self._remember(user, request.method, request.target, answer.status, request.body)
        return answer

    def record(self, user: str, method: str, key: Key, call: Callable[[], Result]) -> Result:
        """Do it directly, without HTTP, and remember it. Raises Refused."""
        status = 200
        try:
            return call()
        except Refused as refused:
            status = refused.status
            raise
        finally:
            self._remember(user, method, f"/{key.plural}/{key.namespace}/{key.name}", status, None)

    @asynccontextmanager
    async def watching(self, user: str, request: Request) -> AsyncIterator[tuple[int, Lines]]:
        """One watch, from its request to the end of its reader."""
        try:
            watch = Watch(self.etcd, target_of(request.path), request, self.rng, self._latency_seconds, user=user)
        except Refused as refused:
            self._remember(user, "GET", request.target, refused.status, None)
            body = reply(refused.status, refused.body()).body
            yield refused.status, lambda _: _once(body)
            return
        self._remember(user, "GET", request.target, 200, None)
        self.watches.append(watch)
        self.etcd.listeners.append(watch.feed)
        try:
            yield 200, watch.lines
        finally:
            self.forget(watch)

    def forget(self, watch: Watch) -> None:
        """Nobody reads it any more."""
        if watch in self.watches:
            self.watches.remove(watch)
            self.etcd.listeners.remove(watch.feed)

    def _remember(self, user: str, method: str, path: str, status: int, body: bytes | None) -> None:
        self.requests.append(
            Sent(time=self._loop.time(), user=user, method=method, path=path, status=status, body=body)
        )


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
