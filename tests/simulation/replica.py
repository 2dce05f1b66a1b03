"""One replica of the operator: the one that ships, as a process that can be killed, stopped, cut off and misled.

Composed by `kipu.shell.main` over the ConfigMap log and the production client, with the Lease or, which is harder,
without it. Only kopf is left out; the same watch that serves Jobs and Pods feeds Workflows here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import EventLog
from kipu.shell.engine import Engine
from kipu.shell.kube import LIST_SECONDS, Kube
from kipu.shell.kube_http import Request
from kipu.shell.kube_owned import OwnedKube
from kipu.shell.main import compose, compose_replica
from kipu.shell.settings import Settings
from kipu.shell.telemetry import Telemetry
from kipu.shell.watch import BACKOFF_SECONDS
from tests.fakes.clock import LoopClock
from tests.fakes.faults import Fault, Stale, Status
from tests.fakes.front import feed
from tests.fakes.transport import FakeTransport
from tests.fakes.watching import Watch

from .script import Answer, Ask, At, Handle, Write

if TYPE_CHECKING:
    from .world import World

# After the net is back: a request that went out in the last moment is waited for, then a watch waits its longest.
RECONNECT_SECONDS = LIST_SECONDS + BACKOFF_SECONDS[-1]
RESTART_SECONDS = 1.0  # how long the cluster takes to start the operator's pod anew


class ProcessClock(LoopClock):
    """As `kipu.shell.clock.SystemClock`: the machine's wall clock is read once, when the process starts."""

    def __init__(self, skew_ms: int) -> None:
        super().__init__()
        self.skew_ms = skew_ms


class Replica:
    """Life after life under one name. Its lane, its user and its identity in the log are the same word."""

    def __init__(self, world: World, place: int) -> None:
        self._world = world
        self._place = place
        self.name = chr(ord("a") + place)
        self.skew_ms = 0  # how far its machine's wall clock is ahead of the cluster's
        self.lives = 0
        self.lane = ""
        self.is_alive = False
        self._frozen_until = 0.0
        self.writes = self.asks = 0  # over all lives
        self._handles_before = 0
        self._waiting: dict[tuple[type, int], list[At]] = {}
        for each in world.script:
            trigger = each.trigger
            if isinstance(trigger, Write | Ask | Handle) and trigger.replica == place:
                self._waiting.setdefault((type(trigger), trigger.number), []).append(each)
        self.telemetries: list[Telemetry] = []  # of each life
        self.engine: Engine
        self.transport: FakeTransport

    # -- life and death ----------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process."""
        self.lives += 1
        self.lane = f"{self.name}{self.lives}"
        self.is_alive, self._frozen_until = True, 0.0
        self.transport = self._world.server.connect(user=self.lane, faults=self._fault)
        self._world.loop.begin(self.lane, self._live())
        self._set_alarm()

    def kill(self, lane: str) -> None:
        """kill -9 of this very life: not another handle of it runs, and the cluster starts the next one soon."""
        if lane != self.lane or not self.is_alive:
            return
        loop = self._world.loop
        self.is_alive = False
        loop.stop_lane(lane)
        self._handles_before += loop.handles.get(lane, 0)
        for watch in self.watches():
            self._world.server.forget(watch)
        self._world.disturb(RESTART_SECONDS)
        self._world.server.later(RESTART_SECONDS, self.start)

    def freeze(self, seconds: float) -> None:
        """SIGSTOP; SIGCONT later."""
        if not self.is_alive:
            return
        loop = self._world.loop
        loop.stop_lane(self.lane)
        self._frozen_until = max(self._frozen_until, loop.time() + seconds)
        self._world.disturb(seconds)
        self._world.server.later(seconds, self._thaw, self.lane)

    def _thaw(self, lane: str) -> None:
        loop = self._world.loop
        if lane == self.lane and self.is_alive and self._frozen_until <= loop.time():
            self._frozen_until = 0.0
            loop.resume_lane(lane)
            self._set_alarm()

    def cut_off(self, seconds: float) -> None:
        """No request arrives and nothing is heard until then."""
        self.transport.is_cut = True
        for watch in self.watches():
            watch.hold(seconds)
        self._world.disturb(seconds + RECONNECT_SECONDS)
        self._world.server.later(seconds, self._connect, self.transport)

    def _connect(self, transport: FakeTransport) -> None:
        transport.is_cut = False

    def watches(self, plural: str | None = None) -> list[Watch]:
        """Those that this life has open."""
        return [w for w in self._world.server.watches if w.user == self.lane and plural in (None, w.plural)]

    async def _live(self) -> None:
        world = self._world
        clock, telemetry = ProcessClock(self.skew_ms), Telemetry()
        self.telemetries.append(telemetry)
        settings = Settings(identity=self.lane, lease_holder=self.name)
        if world.scenario.lease:
            replica = compose_replica(self.transport, self.transport, settings, clock, telemetry, self._log)
            kube, self.engine = replica.kube, replica.engine
            work = replica.run()
        else:
            kube = OwnedKube(self.transport)
            self.engine = compose(kube, self._log(kube), settings, clock, telemetry)
            work = self.engine.run()
        world.auditor.engines[self.lane] = self.engine
        async with asyncio.TaskGroup() as group:
            group.create_task(work)
            group.create_task(feed(kube, self.engine))

    def _log(self, kube: Kube) -> EventLog:
        return self._world.auditor.witness(ConfigMapLog(kube, nonce=self._world.nonce), self.lane)

    # -- faults ------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """For the next handle at which something happens."""
        numbers = [number for kind, number in self._waiting if kind is Handle]
        if numbers:
            number = min(numbers)
            due = max(0, number - self._handles_before)
            self._world.loop.at_handle(self.lane, due, lambda: self._reach(number))

    def _reach(self, number: int) -> None:
        for each in self._waiting.pop((Handle, number)):
            self._world.strike(each, self, None)
        if self.is_alive:
            self._set_alarm()

    def _fault(self, _index: int, request: Request) -> Fault | None:
        """What befalls this request. Whatever else is due with it happens first."""
        due = self._waiting.pop((Ask, self.asks), [])
        self.asks += 1
        if request.method != "GET":
            due = due + self._waiting.pop((Write, self.writes), [])
            self.writes += 1
            self._world.auditor.sent(self.lane, request, self.engine)
        answer: Fault | None = None
        for each in due:
            if isinstance(each.fault, Answer):
                self._world.hit(each, request)
                self._world.disturb(_lasts_seconds(each.fault))
                answer = None if _is_out_of_place(each.fault, request) else each.fault
            else:
                answer = self._world.strike(each, self, request) or answer
        return answer


def _lasts_seconds(fault: Answer) -> float:
    """Until then the client waits, or something is still to land."""
    if isinstance(fault, Status):
        return float(fault.retry_after_seconds or 0)
    return 0.0 if isinstance(fault, Stale) else fault.seconds


JUDGED = ("/jobs", "/workflows", "/persistentvolumeclaims")


def _is_out_of_place(fault: Answer, request: Request) -> bool:
    """Answers that a request like this never gets.

    To a Job, a child or a claim, 422 is no mishap: the API server says that it will never take this one, and that is
    believed.
    And a list may only be stale where a watch follows that catches up; one that proves an absence is consistent.
    """
    if isinstance(fault, Stale):
        is_list = request.method == "GET" and "limit" in request.query and "watch" not in request.query
        return not is_list or "/namespaces/" in request.path or "continue" in request.query
    return isinstance(fault, Status) and fault.code == 422 and request.path.endswith(JUDGED)
