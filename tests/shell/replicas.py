"""Two replicas as they ship, over one fake API server: whatever becomes of a leader, the run ends as one clean run.

Each is a process of its own (tests/shell/stopping.py) with its own connections. Only kopf is left out: the watch that
serves Jobs and pods feeds Workflows here. What ran is counted by the fake node, not read from our log.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from kipu.core.events import StepSucceeded, StreamClaimed, WorkflowFinished
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import History, StreamId
from kipu.shell.engine import Engine
from kipu.shell.kube import Kube
from kipu.shell.kube_views import WORKFLOWS
from kipu.shell.main import Replica, compose_replica
from kipu.shell.settings import Settings
from kipu.shell.telemetry import Telemetry
from kipu.shell.watch import list_and_watch
from tests.fakes.apiserver import ApiServer
from tests.fakes.clock import BEGINNING_MS
from tests.fakes.etcd import Json
from tests.fakes.nodes import Program
from tests.shell.stopping import StoppableLoop, Wire, as_process

END_SECONDS = 300.0
QUIET_SECONDS = 3.0
NAMES = ("kipu-a", "kipu-b")
LAYERS = (1, 3, 3, 2, 1)
STEPS = tuple(f"layer-{layer}-{place}" for layer, width in enumerate(LAYERS) for place in range(width))


def spec() -> Json:
    """Layers of steps, each of which needs all of the layer before it."""
    steps = []
    for name in STEPS:
        layer = int(name.split("-")[1])
        needs = [each for each in STEPS if each.startswith(f"layer-{layer - 1}-")]
        steps.append({"name": name, "script": "true", **({"dependsOn": needs} if needs else {})})
    return {"defaults": {"image": "busybox:1.36"}, "steps": steps}


class Process:
    """One replica's process, from its start to its end."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.telemetry = Telemetry()
        self.transport = world.server.connect(user=name)
        self.lease_transport = world.server.connect(user=f"{name}-lease")
        self.replica: Replica
        self.task = as_process(name, self._live(world))

    async def _live(self, world: World) -> None:
        settings = Settings(identity=self.name, lease_holder=f"uid-of-{self.name}", lease_namespace="kipu-system")
        transports = Wire(self.transport), Wire(self.lease_transport)
        self.replica = compose_replica(*transports, settings, world.server.clock, self.telemetry)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.replica.run())
            group.create_task(_feed(self.replica.kube, self.replica.engine))

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

    def __init__(self, loop: StoppableLoop, seed: int) -> None:
        random.seed(seed)
        self.loop = loop
        self.server = ApiServer(seed=seed, programs=lambda _pod: Program(run_seconds=0.5))
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
        manifest = {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": spec()}
        self.uid: str = self.server.create(manifest)["metadata"]["uid"]

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
        await self.until(lambda: self.status().get("phase") == "Succeeded")
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
    ran = Counter((run.step, run.attempt) for run in world.server.executions)
    if ran != Counter((step, "1") for step in STEPS):
        found.append(f"executions: {dict(ran)}")
    successes = Counter(record.event.step for record in history.records if isinstance(record.event, StepSucceeded))
    if successes != Counter(STEPS):
        found.append(f"successes in the log: {dict(successes)}")
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


async def _feed(kube: Kube, engine: Engine) -> None:
    async for change in list_and_watch(kube, WORKFLOWS):
        if change.view is None:
            continue
        if change.kind == "Deleted":
            engine.workflow_deleted(change.view.metadata.uid)
        else:
            engine.workflow_changed(change.view)
