"""CronWorkflows: when each is looked at, while this replica leads.

Promises: a look at every change of a CronWorkflow, at every end of a Workflow that it owns, at each of its times, and
again after a failure, later with each one in a row; one look at a time at each, and a bounded number over all. After
a takeover no look is taken before a complete list of their Workflows. An error of one CronWorkflow, of whatever kind,
holds up that one alone. Must never decide anything: that is `cron_look`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from kipu.api.cron import CRON_LABEL
from kipu.api.v1alpha1_cron import CRON_KIND
from kipu.eventlog.ports import Unanswered

from .clock import Clock
from .cron_look import Looker
from .cron_runs import Runs
from .engine import FINISHED
from .kube_cron import CronKube
from .kube_owned import RUNS, RunView
from .kube_resources import CRON_WORKFLOWS
from .ownership import Owns, everything
from .settings import EVERYWHERE
from .watch import list_and_watch

log = logging.getLogger(__name__)

LOOKS_MAX = 8  # at once, x 4 requests one after another: a quarter of what steps may have in flight
WAIT_SECONDS_MAX = 600.0  # then the clock is asked again: a machine may have slept
RETRY_SECONDS = 1.0  # after a failure, doubled with each one in a row
RETRY_SECONDS_MAX = 300.0
Place = tuple[str, str]  # namespace, name


@dataclass(slots=True)
class _Entry:
    place: Place
    uid: str
    is_wanted: bool = False  # to be looked at
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    failures: int = 0  # in a row

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Crons:
    """All CronWorkflows of these areas. Touched from its own loop only."""

    def __init__(
        self, kube: CronKube, clock: Clock, owns: Owns = everything, areas: Sequence[str | None] = EVERYWHERE
    ) -> None:
        self._kube = kube
        self._areas = areas
        self._clock = clock
        self._owns = owns
        self._runs = Runs()
        self._looker = Looker(kube, clock, self._runs)
        self._entries: dict[Place, _Entry] = {}
        self._looks = asyncio.Semaphore(LOOKS_MAX)
        self._group: asyncio.TaskGroup | None = None  # while it runs
        self._is_fresh = False  # whether all that another leader has created is known
        self._stale = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for area in self._areas:
                group.create_task(self._watch_runs(area), name="Workflows of CronWorkflows")
            group.create_task(self._keep_fresh(), name="list of Workflows of CronWorkflows")
            self._stale.set()
            try:
                async with asyncio.TaskGroup() as watches:
                    for area in self._areas:
                        watches.create_task(self._watch_crons(area), name="CronWorkflows")
            finally:
                self._group = None
                for entry in self._entries.values():
                    entry.disarm()

    def ownership_changed(self) -> None:
        """List anew, then look at everything that is ours now."""
        self._is_fresh = False
        self._stale.set()

    # -- the watches -----------------------------------------------------------------------------------

    async def _watch_crons(self, area: str | None) -> None:
        async for change in list_and_watch(self._kube, CRON_WORKFLOWS, namespace=area):
            if change.view is None:
                continue
            metadata = change.view.metadata
            place = metadata.namespace, metadata.name
            if change.kind == "Deleted":
                if (entry := self._entries.pop(place, None)) is not None:
                    entry.disarm()
                continue
            entry = self._entries.setdefault(place, _Entry(place, metadata.uid))
            entry.uid = metadata.uid
            self._want(entry)

    async def _watch_runs(self, area: str | None) -> None:
        async for change in list_and_watch(self._kube, RUNS, namespace=area, label_selector=CRON_LABEL):
            if change.view is not None and self._is_news(change.kind == "Deleted", change.view):
                for owner in change.view.metadata.owner_references:
                    entry = self._entries.get((change.view.metadata.namespace, owner.name))
                    if owner.kind == CRON_KIND and entry is not None:
                        self._want(entry)

    def _is_news(self, is_gone: bool, run: RunView) -> bool:
        """Whether it has begun, ended or gone. That it has come further means nothing here."""
        if is_gone:
            self._runs.gone(run)
            return True
        before = self._runs.seen(run)
        return before is None or (before.status.phase in FINISHED) is not (run.status.phase in FINISHED)

    async def _keep_fresh(self) -> None:
        """A list at the beginning and whenever it may be that another replica has led meanwhile."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                for area in self._areas:
                    for run in await self._kube.list_cron_runs(area):
                        self._runs.seen(run)
            except Unanswered as error:
                log.warning("the Workflows of CronWorkflows cannot be listed: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._stale.set()
            if not self._stale.is_set():
                self._is_fresh = True
                for entry in self._entries.values():
                    self._want(entry)

    # -- the looks -------------------------------------------------------------------------------------

    def _want(self, entry: _Entry) -> None:
        """Look at it as soon as there is time: once, however often this is said meanwhile."""
        entry.is_wanted = True
        if entry.task is None and self._group is not None and self._is_fresh and self._owns(entry.uid):
            entry.task = self._group.create_task(self._serve(entry), name=f"CronWorkflow {entry.uid}")

    async def _serve(self, entry: _Entry) -> None:
        """Look until nothing new has come meanwhile."""
        try:
            while entry.is_wanted and self._owns(entry.uid):
                entry.is_wanted = False
                async with self._looks:
                    self._arm(entry, await self._look(entry))
        finally:
            entry.task = None

    async def _look(self, entry: _Entry) -> int | None:
        """One look; when the next one is due, in milliseconds since 1970 UTC. The boundary of one CronWorkflow."""
        namespace, name = entry.place
        due: int | None = None
        is_settled = False
        try:
            due, is_settled = await self._looker.look(namespace, name)
        except Unanswered as error:
            log.info("CronWorkflow %s/%s: to be looked at again: %s", namespace, name, error)
        except Exception:
            log.exception("CronWorkflow %s/%s: to be looked at again after an unexpected error", namespace, name)
        if is_settled:
            entry.failures = 0
            return due
        seconds: float = min(RETRY_SECONDS_MAX, RETRY_SECONDS * 2 ** min(entry.failures, 10))
        entry.failures += 1
        again = self._clock.now() + round(seconds * 1_000)
        return again if due is None else min(again, due)

    def _arm(self, entry: _Entry, at: int | None) -> None:
        entry.disarm()
        if at is not None and self._entries.get(entry.place) is entry:
            seconds = min(WAIT_SECONDS_MAX, max(0, at - self._clock.now()) / 1_000)
            entry.timer = asyncio.get_running_loop().call_later(seconds, self._ring, entry, at)

    def _ring(self, entry: _Entry, at: int) -> None:
        if self._clock.now() < at:
            self._arm(entry, at)
        else:
            self._want(entry)
