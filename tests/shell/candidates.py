"""Candidates for one Lease of the fake API server, each behind a net that may lose, delay or withhold anything.

All in virtual time (looptime).

The electors are the ones that ship. Whenever one begins to lead, every other one is asked whether it leads too: that
is exact, since nobody's leading can begin at another moment. One that was killed is asked on, until its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kipu.eventlog.ports import Unanswered
from kipu.shell.elector import Elector
from kipu.shell.kube import Kube
from kipu.shell.kube_http import Reply, Request, Transport
from kipu.shell.settings import Settings
from tests.fakes.apiserver import ApiServer
from tests.fakes.clock import LoopClock
from tests.fakes.etcd import Json

NAMESPACE = "kipu-system"
LEASE_SECONDS, DEADLINE_SECONDS, RETRY_SECONDS = 15.0, 10.0, 2.0  # the defaults
ROUND_SECONDS = RETRY_SECONDS * 1.2 + 0.1  # the longest wait between two rounds, and the way there and back


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one request."""

    there_seconds: float = 0.0
    back_seconds: float = 0.0
    arrives: bool = True
    answers: bool = True
    is_stopped: bool = False  # the sender does not notice that its own deadline passes, as a stopped process would


STEADY = Fate()
RESET = Fate(answers=False)
HANGS = Fate(there_seconds=60.0, arrives=False)


class Net:
    """The Transport of one candidate: a fate for each request, in order, and then steady."""

    def __init__(self, inner: Transport, fates: Iterable[Fate]) -> None:
        self._inner = inner
        self.fates = iter(fates)
        self.sent: list[tuple[float, str]] = []  # when, and the method
        self.under_way: set[asyncio.Task[Reply]] = set()  # goes on when its sender has given up, or has died

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        fate = next(self.fates, STEADY)
        self.sent.append((asyncio.get_running_loop().time(), request.method))
        carried = asyncio.ensure_future(self._carry(request, fate))
        self.under_way.add(carried)
        carried.add_done_callback(self.under_way.discard)
        await asyncio.wait([carried], timeout=None if fate.is_stopped else timeout_seconds)
        if not carried.done() or not fate.answers or not fate.arrives:
            raise Unanswered(f"{request.method} {request.path}: no answer")
        return carried.result()

    async def _carry(self, request: Request, fate: Fate) -> Reply:
        await asyncio.sleep(fate.there_seconds)
        if not fate.arrives:
            return Reply(status=0, headers={}, body=b"")
        reply = await self._inner.send(request, timeout_seconds=3600)
        await asyncio.sleep(fate.back_seconds)
        return reply

    @asynccontextmanager
    async def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        async with self._inner.stream(request, timeout_seconds=timeout_seconds) as opened:
            yield opened

    async def close(self) -> None:
        for task in list(self.under_way):
            task.cancel()
        await asyncio.gather(*self.under_way, return_exceptions=True)


class Candidate:
    """One life of one replica's elector."""

    def __init__(self, race: Race, identity: str, fates: Iterable[Fate], skew_ms: int) -> None:
        self.race = race
        self.identity = identity
        self.clock = LoopClock()
        self.clock.skew_ms = skew_ms
        self.net = Net(race.server.connect(user=identity), fates)
        self.elector = Elector(
            Kube(self.net),
            Settings(lease_holder=identity, lease_namespace=NAMESPACE),
            self.clock,
            jitter=race.server.rng.random,
        )
        self.elector.listen(self._told)
        self.told: list[tuple[float, bool]] = []
        self._news = asyncio.Event()
        self.is_running = True
        self.task = asyncio.ensure_future(self.elector.run())

    @property
    def is_leading(self) -> bool:
        return self.elector.is_leading

    def _told(self, is_leading: bool) -> None:
        now = self.race.server.time()
        self.told.append((now, is_leading))
        self._news.set()
        assert is_leading == self.is_leading
        if is_leading:
            others = [each.identity for each in self.race.candidates if each is not self and each.is_leading]
            self.race.overlaps += [(now, self.identity, other) for other in others]

    def kill(self) -> None:
        """Its process is gone; its requests under way are not."""
        self.task.cancel()
        self.is_running = False

    async def end(self) -> None:
        """SIGTERM."""
        self.kill()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.elector.release()

    async def leads(self) -> float:
        """The moment at which it was told that it leads, the last time."""
        while not (self.told and self.told[-1][1]):
            self._news.clear()
            await self._news.wait()
        return self.told[-1][0]


class Race:
    """Every candidate that ever stood for the Lease of one server."""

    def __init__(self, server: ApiServer, *, with_lease: bool = True) -> None:
        self.server = server
        self.candidates: list[Candidate] = []
        self.overlaps: list[tuple[float, str, str]] = []
        if with_lease:  # as the chart makes it
            manifest = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "kipu"}}
            server.create(manifest, namespace=NAMESPACE)

    def enter(self, identity: str, fates: Iterable[Fate] = (), *, skew_ms: int = 0) -> Candidate:
        """Another candidate. The process that had its identity before is dead by now: one pod, one process."""
        self.candidates = [each for each in self.candidates if each.identity != identity]
        candidate = Candidate(self, identity, fates, skew_ms)
        self.candidates.append(candidate)
        return candidate

    def lease(self) -> Json:
        """The Lease as it is stored."""
        found = self.server.get("leases", NAMESPACE, "kipu")
        assert found is not None
        return found

    def edit(self, **spec: object) -> None:
        """A person edits it."""

        def make(lease: Json) -> Json:
            lease["spec"] = {**lease.get("spec", {}), **spec}
            return lease

        self.server.update("leases", NAMESPACE, "kipu", make)

    async def close(self) -> None:
        """End everything that still runs. Raises what ended an elector that nobody had killed."""
        for each in self.candidates:
            each.kill()
        ends = await asyncio.gather(*(each.task for each in self.candidates), return_exceptions=True)
        await asyncio.gather(*(each.net.close() for each in self.candidates))
        assert [end for end in ends if not isinstance(end, asyncio.CancelledError)] == []
