"""One run: a scenario, a script and a seed in, an outcome with its violations out.

Promises: the same three give the same run, request by request, in every process; the invariants are checked at
every change of the store while it happens, and the end is judged once everything is quiet.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kipu.api.v1alpha1_base import API_VERSION
from kipu.shell.kube_http import Request
from tests.fakes.apiserver import ApiServer, Sent
from tests.fakes.etcd import Change
from tests.fakes.faults import Fault
from tests.fakes.informers import Lags
from tests.fakes.nodes import INDEX, Program

from .auditor import Auditor
from .ending import Ending, judge_end
from .loop import Loop, Spinning, Standstill
from .replica import RESTART_SECONDS, Replica
from .scenario import WELL, Scenario
from .script import Answer, At, Script, Second, site_of

QUIET_SECONDS = 2.0  # after which the status has to agree with the log (design 03, trap 1)
END_SECONDS = 1_800.0  # after the last fault: a node is given up after 340 s, sessions restart after 30 s at most
FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")
CRON = "cron"  # the name of the CronWorkflow of a scenario that has one


@dataclass(slots=True)
class Outcome:
    """What a run left behind; `violations` is empty when nothing was forgotten, doubled or misjudged."""

    violations: list[str] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)  # by workflow
    writes: int = 0  # of replica a, over all its lives; likewise the next two
    asks: int = 0
    handles: int = 0
    lives: int = 0  # of all replicas
    struck: list[At] = field(default_factory=list)  # the faults that really happened
    sites: list[str] = field(default_factory=list)  # and where each did
    seconds: float = 0.0
    requests: list[Sent] = field(default_factory=list)  # that the API server has seen, of whomever


class World:
    """The cluster, the replicas and the auditor, in a loop of their own."""

    def __init__(self, loop: Loop, scenario: Scenario, script: Script, seed: int) -> None:
        self.loop, self.scenario, self.script = loop, scenario, script
        self._random = random.Random(seed)
        self.struck: list[At] = []
        self.sites: list[str] = []
        self.calm_at = 0.0
        self._pending = 0  # things that are still to happen at their second
        self._settled = asyncio.Event()
        self._is_cron_over = False
        self._asked: dict[int, dict[str, Any]] = {}  # by the place of the Workflow: what people have set in its spec
        self.server = ApiServer(seed=seed, programs=self._program, lags=_lags(scenario.lag_seconds))
        self.auditor = Auditor(self.server, scenario, script)
        self.server.etcd.listeners.append(self._stored)
        self.replicas = [Replica(self, place) for place in range(scenario.replicas)]

    def nonce(self) -> str:
        """As `secrets.token_hex(8)`, but by the seed."""
        return f"{self._random.getrandbits(64):016x}"

    def disturb(self, seconds: float) -> None:
        """Something is wrong for so long from now on."""
        self.calm_at = max(self.calm_at, self.loop.time() + seconds)

    def hit(self, each: At, request: Request | None) -> None:
        """Remember that this fault happens now."""
        self.struck.append(each)
        self.sites.append(site_of(each, request))

    def strike(self, each: At, replica: Replica, request: Request | None) -> Fault | None:
        """Let a fault happen."""
        assert not isinstance(each.fault, Answer)
        self.hit(each, request)
        self.disturb(0.0)
        return each.fault.strike(self, replica, request)

    # -- from the beginning to the end -------------------------------------------------------------------

    async def live(self) -> None:
        """Until everything has ended and been quiet."""
        for place, plan in enumerate(self.scenario.plans):
            self._at(plan.at_seconds, self._apply, place)
            if plan.shutdown is not None:
                shutdown = {"shutdown": {"mode": plan.shutdown[1], "run": 1}}
                self._at(plan.at_seconds + plan.shutdown[0], self._edit, place, shutdown)
            for seconds, fields in plan.edits:
                self._at(plan.at_seconds + seconds, self._edit, place, fields)
        if self.scenario.cron is not None:
            self._at(0.0, self._schedule, self.scenario.cron)
            self._at(self.scenario.cron_seconds, self._suspend_cron)
        for each in self.script:
            if isinstance(each.trigger, Second) and each.trigger.replica < len(self.replicas):
                self._at(each.trigger.seconds, self.strike, each, self.replicas[each.trigger.replica], None)
        for replica in self.replicas:
            replica.start()
        while not await self._is_over():
            pass

    async def _is_over(self) -> bool:
        """Wait for the end; whether it has come, and has been there for long enough."""
        while self._pending or not self.auditor.is_settled():
            late_at = self.calm_at + END_SECONDS
            if self.loop.time() >= late_at:
                self.auditor.note("I16", f"not ended {END_SECONDS} s after the last fault: {self.auditor.phases()}")
                return True
            await self._wait_until(late_at)
        quiet_at = max(self.calm_at, self.auditor.committed_at) + RESTART_SECONDS + QUIET_SECONDS
        if quiet_at <= self.loop.time():
            return True
        await asyncio.sleep(quiet_at - self.loop.time())
        return False

    async def _wait_until(self, late_at: float) -> None:
        self._settled.clear()
        try:
            async with asyncio.timeout_at(late_at):
                await self._settled.wait()
        except TimeoutError:
            pass

    def _at(self, seconds: float, call: Callable[..., object], *arguments: object) -> None:
        self._pending += 1
        self.calm_at = max(self.calm_at, seconds)
        self.server.later(seconds, self._due, call, arguments)

    def _due(self, call: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._pending -= 1
        call(*arguments)
        self._settled.set()

    def _stored(self, _change: Change) -> None:
        if self.auditor.is_settled():
            self._settled.set()

    def _apply(self, place: int) -> None:
        plan, name = self.scenario.plans[place], self.scenario.workflow(place)
        spec, templates = dict(plan.spec), dict(plan.templates)
        if plan.by_template:
            templates[name], spec = spec, {"templateRef": {"name": name}}
        for each, what in templates.items():
            self.server.create({"kind": "WorkflowTemplate", "metadata": {"name": each}, "spec": dict(what)})
        metadata = {"name": name, "namespace": "default"}
        self.server.create({"apiVersion": API_VERSION, "kind": "Workflow", "metadata": metadata, "spec": spec})

    def _schedule(self, spec: Mapping[str, Any]) -> None:
        metadata = {"name": CRON, "namespace": "default"}
        self.server.create(
            {"apiVersion": API_VERSION, "kind": "CronWorkflow", "metadata": metadata, "spec": dict(spec)}
        )

    def _suspend_cron(self) -> None:
        """So that the world comes to an end."""
        self._is_cron_over = True
        if self.server.get("cronworkflows", "default", CRON) is not None:
            self.server.update("cronworkflows", "default", CRON, _suspended)

    def _edit(self, place: int, fields: Mapping[str, Any]) -> None:
        """A person asks for something."""
        self._asked.setdefault(place, {}).update(fields)

        def make(workflow: dict[str, Any]) -> dict[str, Any]:
            workflow["spec"] |= fields
            return workflow

        name = self.scenario.workflow(place)
        if self.server.get("workflows", "default", name) is not None:
            self.server.update("workflows", "default", name, make)

    def ask_again(self) -> None:
        """A restore may have taken back what people have asked for: they find it so, and ask again."""
        if self._is_cron_over:
            self._suspend_cron()
        for place, fields in list(self._asked.items()):
            self._edit(place, fields)

    def _program(self, pod: dict[str, Any]) -> Program:
        labels = pod["metadata"]["labels"]
        index = f"[{labels[INDEX]}]" if INDEX in labels else ""
        case = self.auditor.cases[labels["kipu.dev/workflow-uid"]]
        root, step, attempt = case.fate(labels["kipu.dev/step"] + index, int(labels["kipu.dev/attempt"]))
        plan = self.scenario.plan_of(root)
        return WELL if plan is None else plan.fate(step, attempt)


def _suspended(cron: dict[str, Any]) -> dict[str, Any]:
    cron["spec"] |= {"suspend": True}
    return cron


def _lags(seconds: float) -> Lags:
    if not seconds:
        return Lags()
    return Lags(
        job_controller_jobs_seconds=seconds,
        job_controller_pods_seconds=seconds,
        collector_jobs_seconds=seconds,
        collector_pods_seconds=seconds,
        collector_others_seconds=seconds,
        collector_work_seconds=seconds,
    )


def run(scenario: Scenario, script: Script = (), seed: int = 0) -> Outcome:
    """One run in a loop of its own, whose time is virtual: minutes pass in milliseconds."""
    random.seed(seed)
    loop = Loop(seed)
    try:
        return loop.run_until_complete(_run(loop, scenario, script, seed))
    except (Spinning, Standstill) as error:
        return Outcome(violations=[f"I16: {error}"])
    finally:
        loop.bury()


async def _run(loop: Loop, scenario: Scenario, script: Script, seed: int) -> Outcome:
    world = World(loop, scenario, script, seed)
    outcome = Outcome(requests=world.server.requests)
    await world.live()
    outcome.endings = await judge_end(world)
    world.auditor.notes(loop.faults)
    outcome.violations = world.auditor.violations
    first = world.replicas[0]
    outcome.writes, outcome.asks = first.writes, first.asks
    outcome.handles = sum(count for lane, count in loop.handles.items() if lane.startswith(first.name))
    outcome.lives = sum(replica.lives for replica in world.replicas)
    outcome.struck, outcome.sites, outcome.seconds = world.struck, world.sites, loop.time()
    return outcome
