"""CronWorkflows as they ship, over the fake API server in virtual time (looptime), and Workflows that just end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from kipu.shell.cron import Crons
from kipu.shell.kube_cron import CronKube
from tests.fakes.apiserver import ApiServer
from tests.fakes.clock import BEGINNING_MS, timestamp
from tests.fakes.etcd import Change, Json
from tests.fakes.faults import FaultHook

SPEC: Json = {"defaults": {"image": "busybox:1.36"}, "steps": [{"name": "one", "script": "true"}]}
FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")
CANCELLING_SECONDS = 5.0


def minute(number: int) -> str:
    """The name of the child for this minute of the virtual world."""
    return f"c-{BEGINNING_MS // 60_000 + number}"


def at(text: str) -> float:
    """The loop's time of a moment."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000 - BEGINNING_MS) / 1_000


class World:
    """A cluster with CronWorkflows. A Workflow ends so many seconds after it was created, or was told to."""

    def __init__(self, *, run_seconds: float | None = 10.0, phase: str = "Succeeded") -> None:
        self.server = ApiServer(seed=3)
        self.run_seconds, self.phase = run_seconds, phase
        self.created: Counter[str] = Counter()  # children by name, with how often each was created
        self.deleted: list[str] = []
        self.most_active = 0
        self._active: dict[str, None] = {}
        self.server.etcd.listeners.append(self._stored)

    def apply(self, name: str = "c", **spec: Any) -> Json:
        template = {"spec": SPEC}
        body = {"schedule": "* * * * *", "workflowTemplate": template, **spec}
        return self.server.create({"kind": "CronWorkflow", "metadata": {"name": name}, "spec": body})

    def edit(self, name: str = "c", **spec: Any) -> None:
        def make(cron: Json) -> Json:
            cron["spec"] |= spec
            return cron

        self.server.update("cronworkflows", "default", name, make)

    def finish(self, name: str, phase: str = "Succeeded") -> None:
        """The engine's part: the run has ended."""
        if (workflow := self.server.get("workflows", "default", name)) is None:
            return
        if workflow.get("status", {}).get("phase") in FINISHED:
            return
        ended = {"phase": phase, "run": 1, "completionTime": timestamp(self.server.clock.now())}
        self.server.update("workflows", "default", name, lambda each: {**each, "status": ended}, status=True)

    def status(self, name: str = "c") -> Json:
        return dict((self.server.get("cronworkflows", "default", name) or {}).get("status", {}))

    def condition(self, kind: str = "OnSchedule", name: str = "c") -> tuple[str, str]:
        """Its status and reason."""
        (found,) = [each for each in self.status(name).get("conditions", []) if each["type"] == kind]
        return found["status"], found["reason"]

    def children(self) -> list[str]:
        return sorted(each["metadata"]["name"] for each in self.server.all("workflows"))

    @asynccontextmanager
    async def serving(self, identity: str = "one", faults: FaultHook | None = None) -> AsyncIterator[Crons]:
        """One life of the operator's part. At its end it is killed."""
        crons = Crons(CronKube(self.server.connect(user=identity, faults=faults)), self.server.clock)
        task = asyncio.create_task(crons.run())
        try:
            yield crons
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, moment: str | float) -> None:
        """Until this moment of the virtual world, or so many seconds after its beginning."""
        seconds = at(moment) if isinstance(moment, str) else moment
        await asyncio.sleep(seconds - asyncio.get_running_loop().time())

    async def when(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(900):
            while not holds():
                await asyncio.sleep(0.1)

    def _stored(self, change: Change) -> None:
        if change.key.plural != "workflows":
            return
        name, after = change.key.name, None if change.after is None else change.after.object
        if after is None:
            self.deleted.append(name)
        elif change.before is None:
            self.created[name] += 1
            if self.run_seconds is not None:
                self.server.later(self.run_seconds, self.finish, name, self.phase)
        elif after["spec"].get("shutdown") and not change.before.object["spec"].get("shutdown"):
            self.server.later(CANCELLING_SECONDS, self.finish, name, "Cancelled")
        if after is None or after.get("status", {}).get("phase") in FINISHED:
            self._active.pop(name, None)
        else:
            self._active[name] = None
        self.most_active = max(self.most_active, len(self._active))
