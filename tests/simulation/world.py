"""One workflow, one operator that may die, one fake cluster: run it to its end in virtual time and judge it.

The operator is the one that ships: `kipu.shell.main.compose` over the ConfigMap log and the production client.
Only kopf is left out; the same watch that serves Jobs and Pods feeds Workflows here.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import looptime

from kipu.core.events import StepScheduled, StepSucceeded, WorkflowFinished
from kipu.core.evolve import fold
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import History, StreamId
from kipu.shell.engine import Engine
from kipu.shell.kube import Kube
from kipu.shell.kube_http import Request
from kipu.shell.kube_views import WORKFLOWS
from kipu.shell.main import compose
from kipu.shell.settings import Settings
from kipu.shell.telemetry import Telemetry
from kipu.shell.watch import list_and_watch
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import CrashAfter, CrashBefore, Fault, TimeoutDone
from tests.fakes.nodes import Program

RESTART_SECONDS = 1.0  # how long the cluster takes to start the operator's pod anew
END_SECONDS = 300.0  # no scenario here takes a tenth of it
QUIET_SECONDS = 2.0  # after which the status has to agree with the log (design 03, trap 1)
FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")
UID_LABEL = "kipu.dev/workflow-uid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is applied, what its programs do, and how it has to end."""

    name: str
    spec: Mapping[str, Any]
    end: str
    succeeded: tuple[str, ...]  # the steps that must have succeeded
    programs: Callable[[dict[str, Any]], Program] = lambda _pod: Program()
    shutdown_at_seconds: float | None = None


@dataclass(slots=True)
class Outcome:
    """What a run left behind; `violations` is empty when nothing was forgotten, doubled or misjudged."""

    writes: int = 0  # that the first life of the operator sent
    lives: int = 0
    history: History | None = None
    violations: list[str] = field(default_factory=list)


FaultKind = type[CrashBefore] | type[CrashAfter] | type[TimeoutDone]


async def run(scenario: Scenario, *, kind: FaultKind | None = None, at: int | None = None, seed: int = 1) -> Outcome:
    """Run the scenario; the `at`-th write of the operator's first life (from 0) suffers a fault of this kind."""
    random.seed(seed)
    world = _World(scenario, seed)
    world.server.faults = world.fault_hook(kind, at)
    try:
        async with asyncio.timeout(END_SECONDS):
            await world.to_the_end()
    except TimeoutError:
        world.outcome.violations.append(f"not finished after {END_SECONDS} s: {world.status()}")
    await world.judge()
    world.life.cancel()
    await asyncio.gather(world.life, return_exceptions=True)
    return world.outcome


class _World:
    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.outcome = Outcome()
        self.server = ApiServer(seed=seed, programs=scenario.programs)
        self.finished = asyncio.Event()
        self.server.etcd.listeners.append(self._stored)
        self.life = asyncio.ensure_future(self._live())
        workflow = {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "spec": dict(scenario.spec)}
        workflow["metadata"] = {"name": scenario.name, "namespace": "default"}
        self.uid: str = self.server.create(workflow)["metadata"]["uid"]
        if scenario.shutdown_at_seconds is not None:
            self.server.later(scenario.shutdown_at_seconds, self._shut_down)

    # -- the operator --------------------------------------------------------------------------------

    async def _live(self) -> None:
        server = self.server
        transport = server.connect(user="operator", faulty=self.outcome.lives == 0)
        self.outcome.lives += 1
        kube = Kube(transport)
        settings = Settings(identity=f"operator-{self.outcome.lives}")
        engine = compose(kube, ConfigMapLog(kube), settings, server.clock, Telemetry())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.run())
                group.create_task(_feed(kube, engine))
        finally:
            if self.outcome.lives == 1:
                self.outcome.writes = transport.writes

    def _crash(self) -> None:
        self.life.cancel()
        self.server.later(RESTART_SECONDS, self._restart)

    def _restart(self) -> None:
        self.life = asyncio.ensure_future(self._live())

    def fault_hook(self, kind: FaultKind | None, at: int | None) -> Callable[[int, Request], Fault | None]:
        """The fault for the `at`-th write, once."""

        def hook(index: int, request: Request) -> Fault | None:
            if kind is None or index != at or request.method == "GET":
                return None
            if kind is CrashBefore or kind is CrashAfter:
                return kind(crash=self._crash)
            return TimeoutDone(seconds=1.0)

        return hook

    def _shut_down(self) -> None:
        def make(workflow: dict[str, Any]) -> dict[str, Any]:
            workflow["spec"]["shutdown"] = {"mode": "Cancel", "run": 1}
            return workflow

        self.server.update("workflows", "default", self.scenario.name, make)

    # -- the end -------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """`.status` as it is now."""
        workflow = self.server.get("workflows", "default", self.scenario.name)
        return dict((workflow or {}).get("status", {}))

    def _stored(self, *_change: object) -> None:
        """Something was stored: at the very moment at which the status says it is over, nothing may run."""
        phase = self.status().get("phase")
        if self.finished.is_set() or phase not in FINISHED:
            return
        running = [pod["metadata"]["name"] for pod in self.server.all("pods") if is_running(pod)]
        if running:
            self.outcome.violations.append(f"phase {phase} while pods run: {running}")
        self.finished.set()

    async def to_the_end(self) -> None:
        """Until the status says that it is over, and two quiet seconds more."""
        await self.finished.wait()
        quiet = asyncio.Event()
        self.server.later(RESTART_SECONDS + QUIET_SECONDS, quiet.set)
        await quiet.wait()

    async def judge(self) -> None:
        """Compare the log, the status, the Jobs and what really ran, each with the others."""
        found = self.outcome.violations
        log = ConfigMapLog(Kube(self.server.connect(user="judge", faulty=False)))
        history = await log.load(StreamId(namespace="default", name=self.scenario.name, uid=self.uid))
        if history is None:
            found.append("there is no log")
            return
        self.outcome.history = history
        found += self._judge_log(history)
        found += self._judge_executions(history)
        found += self._judge_jobs(history)

    def _judge_log(self, history: History) -> list[str]:
        found, status, scenario = [], self.status(), self.scenario
        state = fold((record.event, record.ts) for record in history.records)
        ends = [record for record in history.records if isinstance(record.event, WorkflowFinished)]
        if len(ends) != 1:
            found.append(f"{len(ends)} ends in the log")
        if (state.phase, status.get("phase")) != (scenario.end, scenario.end):
            found.append(f"the log says {state.phase}, the status {status.get('phase')}, right is {scenario.end}")
        if status.get("log") != {"position": history.head.position, "hash": history.head.hash}:
            found.append(f"the status shows log {status.get('log')}, the head is at {history.head.position}")
        successes = Counter(r.event.step for r in history.records if isinstance(r.event, StepSucceeded))
        if dict(successes) != dict.fromkeys(scenario.succeeded, 1):
            found.append(f"successes in the log: {dict(successes)}")
        return found

    def _judge_executions(self, history: History) -> list[str]:
        """What the kubelet ran, counted from outside: each scheduled attempt once at most, none after success."""
        found = []
        ran = Counter((run.step, run.attempt) for run in self.server.executions)
        found += [
            f"step {step} attempt {number} ran {count} times" for (step, number), count in ran.items() if count > 1
        ]
        scheduled = {
            (r.event.step, str(r.event.attempt)) for r in history.records if isinstance(r.event, StepScheduled)
        }
        found += [f"{attempt} ran and was never scheduled" for attempt in ran if attempt not in scheduled]
        done = {run.step: run.ended or 0 for run in self.server.executions if run.exit_code == 0}
        for run in self.server.executions:
            if run.step in done and run.started > done[run.step]:
                found.append(f"step {run.step} ran again after its success")
        return found

    def _judge_jobs(self, history: History) -> list[str]:
        """Every Job of ours has a committed intent that its annotation matches, and nobody else wrote to it."""
        found = []
        intents = {f"{r.position}:{r.hash}": r.event for r in history.records if isinstance(r.event, StepScheduled)}
        for job in self.server.all("jobs"):
            metadata = job["metadata"]
            if metadata.get("annotations", {}).get("kipu.dev/placeholder") == "true":
                continue
            intent = intents.get(metadata["annotations"]["kipu.dev/intent"])
            if intent is None or intent.job != metadata["name"]:
                found.append(f"Job {metadata['name']} has no committed intent")
        return found


async def _feed(kube: Kube, engine: Engine) -> None:
    async for change in list_and_watch(kube, WORKFLOWS):
        if change.view is None:
            continue
        if change.kind == "Deleted":
            engine.workflow_deleted(change.view.metadata.uid)
        else:
            engine.workflow_changed(change.view)


def is_running(pod: Mapping[str, Any]) -> bool:
    """Whether a pod of ours has not ended."""
    ours = UID_LABEL in pod["metadata"].get("labels", {})
    return ours and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def run_virtually(
    scenario: Scenario, *, kind: FaultKind | None = None, at: int | None = None, seed: int = 1
) -> Outcome:
    """`run` in an event loop of its own, whose time is virtual: minutes pass in milliseconds."""
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(run(scenario, kind=kind, at=at, seed=seed))
    finally:
        loop.close()
