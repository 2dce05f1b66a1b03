"""Two replicas as they ship, over one fake API server: whatever becomes of a leader, the run ends as one clean run.

Each is a process of its own (tests/shell/stopping.py) with its own connections, in virtual time (looptime). Only kopf
is left out: the watch that serves Jobs and pods feeds Workflows here. What ran is counted by the fake node, not read
from our log.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kipu.core.events import StepScheduled, StepSucceeded, StreamClaimed, WorkflowFinished
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import History, StreamId
from kipu.shell.kube import Kube
from kipu.shell.main import Replica, compose_replica
from kipu.shell.settings import Settings
from kipu.shell.telemetry import Telemetry
from tests.fakes.apiserver import ApiServer
from tests.fakes.clock import BEGINNING_MS
from tests.fakes.etcd import Json
from tests.fakes.front import feed
from tests.fakes.nodes import Program
from tests.shell.stopping import StoppableLoop, Wire, as_process

END_SECONDS = 300.0
ENDS = ("Succeeded", "Failed", "Cancelled")
QUIET_SECONDS = 3.0
NAMES = ("kipu-a", "kipu-b")
LAYERS = (1, 3, 3, 2, 1)
STEPS = tuple(f"layer-{layer}-{place}" for layer, width in enumerate(LAYERS) for place in range(width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A workflow, how long its programs run, and how it has to end."""

    steps: Sequence[Json]
    run_seconds: float
    end: str = "Succeeded"
    cancelled_at_seconds: float | None = None
    spec: Json = field(default_factory=dict)  # beside the steps

    @property
    def names(self) -> list[str]:
        return [str(step["name"]) for step in self.steps]


def _step(name: str, *needs: str) -> Json:
    return {"name": name, "script": "true", **({"dependsOn": list(needs)} if needs else {})}


def _layers() -> list[Json]:
    """Each step needs all of the layer before it."""
    layer_of = {name: int(name.split("-")[1]) for name in STEPS}
    return [_step(name, *(other for other in STEPS if layer_of[other] == layer_of[name] - 1)) for name in STEPS]


LAYERED = Case(steps=_layers(), run_seconds=0.5)
DIAMOND = Case(
    steps=[_step("top"), _step("left", "top"), _step("right", "top"), _step("bottom", "left", "right")],
    run_seconds=0.5,
)
CANCEL = Case(
    steps=[_step("one"), _step("two"), _step("never", "one")],
    run_seconds=500.0,
    end="Cancelled",
    cancelled_at_seconds=5.0,
)


class Process:
    """One replica's process, from its start to its end."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.telemetry = Telemetry()
        self.transport = world.server.connect(user=name, faulty=name == NAMES[0])  # the hook is asked of its requests
        self.lease_transport = world.server.connect(user=f"{name}-lease", faulty=False)
        self.replica: Replica
        self.task = as_process(name, self._live(world))

    async def _live(self, world: World) -> None:
        settings = Settings(identity=self.name, lease_holder=f"uid-of-{self.name}", lease_namespace="kipu-system")
        transports = Wire(self.transport), Wire(self.lease_transport)
        self.replica = compose_replica(*transports, settings, world.server.clock, self.telemetry)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.replica.run())
            group.create_task(feed(self.replica.kube, self.replica.engine))

    def figure(self, name: str) -> float | None:
        """One of its metrics."""
        return self.telemetry.registry.get_sample_value(name)

    def cut(self, is_cut: bool) -> None:
        """A partition between it and the API server."""
        self.transport.is_cut = self.lease_transport.is_cut = is_cut

    async def end(self) -> None:
        """SIGTERM, as shell/main.py answers it."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.replica.elector.release()

    async def die(self) -> None:
        """SIGKILL."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class World:
    """One cluster with one workflow, and the replicas that serve it."""

    def __init__(self, loop: StoppableLoop, seed: int, case: Case = LAYERED) -> None:
        random.seed(seed)
        self.loop = loop
        self.case = case
        self.server = ApiServer(seed=seed, programs=lambda _pod: Program(run_seconds=case.run_seconds))
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "kipu"}}
        self.server.create(lease, namespace="kipu-system")
        self._news = asyncio.Event()
        self.server.etcd.listeners.append(lambda _change: self._news.set())
        self.leader = Process(self, NAMES[0])
        self.standby: Process

    async def begin(self) -> None:
        """The first replica leads, the second stands by, and the workflow is there."""
        await self.until(lambda: self.leader.figure("kipu_leader") == 1)
        self.standby = Process(self, NAMES[1])
        spec = {"defaults": {"image": "busybox:1.36"}, "steps": list(self.case.steps), **self.case.spec}
        manifest = {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": spec}
        self.uid: str = self.server.create(manifest)["metadata"]["uid"]
        if self.case.cancelled_at_seconds is not None:
            self.server.later(self.case.cancelled_at_seconds, self._cancel)

    def _cancel(self) -> None:
        def make(workflow: Json) -> Json:
            workflow["spec"]["shutdown"] = {"mode": "Cancel", "run": 1}
            return workflow

        self.server.update("workflows", "default", "w", make)

    async def until(self, condition: Callable[[], object]) -> None:
        """Looked at after every change of the store."""
        async with asyncio.timeout(END_SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def status(self) -> dict[str, Any]:
        workflow = self.server.get("workflows", "default", "w")
        return dict((workflow or {}).get("status", {}))

    def has_come_to(self, ended: int) -> bool:
        """Whether so many programs have ended."""
        return sum(run.ended is not None for run in self.server.executions) >= ended

    def writes(self, name: str, since: float = 0.0) -> list[str]:
        """What a replica's engine has sent since then, other than reads."""
        return [f"{sent.method} {sent.path}" for sent in self.server.writes(name) if sent.time >= since]

    async def finished(self) -> History:
        """Until the status says so, and some quiet seconds more; then the log."""
        await self.until(lambda: self.status().get("phase") in ENDS)
        await asyncio.sleep(QUIET_SECONDS)
        log = ConfigMapLog(Kube(self.server.connect(user="judge", faulty=False)))
        history = await log.load(StreamId(namespace="default", name="w", uid=self.uid))
        assert history is not None
        return history

    async def close(self) -> None:
        for process in (self.leader, self.standby):
            self.loop.resume_process(process.name)
            await process.die()


def violations(world: World, history: History) -> list[str]:
    """Every sign that it was not one clean run."""
    found = []
    names = world.case.names if world.case.end == "Succeeded" else []
    ran = Counter((run.step, run.attempt) for run in world.server.executions)
    if twice := ran - Counter(set(ran)):
        found.append(f"run twice: {dict(twice)}")
    intents = {(r.event.step, str(r.event.attempt)) for r in history.records if isinstance(r.event, StepScheduled)}
    if unknown := set(ran) - intents:
        found.append(f"ran and was never scheduled: {sorted(unknown)}")
    good = Counter(run.step for run in world.server.executions if run.exit_code == 0)
    recorded = Counter(record.event.step for record in history.records if isinstance(record.event, StepSucceeded))
    if not (good == recorded == Counter(names)):
        found.append(f"successes seen {dict(good)}, recorded {dict(recorded)}")
    if world.status().get("phase") != world.case.end:
        found.append(f"ended {world.status().get('phase')}")
    if running := [pod["metadata"]["name"] for pod in world.server.all("pods") if _is_running(pod)]:
        found.append(f"still running: {running}")
    if sum(isinstance(record.event, WorkflowFinished) for record in history.records) != 1:
        found.append("not one end in the log")
    if (shown := world.status().get("log")) != {"position": history.head.position, "hash": history.head.hash}:
        found.append(f"the status shows log {shown}, the head is at {history.head.position}")
    return found


def claims(history: History) -> list[tuple[str, float]]:
    """Who has claimed the log, and when, in seconds of the loop's time."""
    return [
        (record.event.writer, (record.ts - BEGINNING_MS) / 1000)
        for record in history.records
        if isinstance(record.event, StreamClaimed)
    ]


def _is_running(pod: Json) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
