"""The engine: which workflows have an actor, and the one boundary at which an actor's failure is caught.

Promises: one actor per workflow uid, and only while this replica owns it; what it does not own it knows all the
same, so that taking over is only opening logs; a session that ends by an error starts anew from the log after a growing
wait, so a crash and a restart are the same path; a contradiction in the log stops its workflow with a
condition and touches nothing. Must never read or change a workflow's state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from kipu.api import status as projections
from kipu.core.errors import CorruptionError, TransientError
from kipu.eventlog.ports import ConcurrencyConflict, Head, LogFull, LogWriteRefused

from . import requests
from .actor import Actor, Services
from .census import OPENING, PLACE, Census, Waiting, count_phases, memory_limit
from .kube_views import WorkflowView
from .lobby import Lobby
from .observer import Observer
from .openings import Openings, rank_of
from .ownership import Owns, everything
from .publisher import WorkflowGone
from .retention import Retirement
from .watch import is_behind

log = logging.getLogger(__name__)

OPENING_MAX = 2  # sessions that read and claim their log at once: what runs already goes before what is to begin
RESTART_SECONDS_MAX = 30.0
FINISHED = frozenset({"Succeeded", "Failed", "Cancelled", "Rejected"})


@dataclass(slots=True)
class _Entry:
    view: WorkflowView
    actor: Actor | None = None
    task: asyncio.Task[None] | None = None
    done_generation: int | None = None  # of the spec for which nothing is left to do
    seen: Head | None = None  # of its log, by the sessions so far: a witness for the next one


class Engine:
    """Touched from its own loop only; `workflow_changed`, `workflow_deleted` and `ownership_changed` are its inbox."""

    def __init__(self, services: Services, owns: Owns = everything) -> None:
        self._services = services
        self._owns = owns
        self._entries: dict[str, _Entry] = {}
        per_second = services.settings.status_writes_per_second
        self._lobby = Lobby(services.kube, Openings(OPENING_MAX), statuses_per_second=per_second)
        self._retirement = Retirement(services.kube, services.clock, default_ms=services.settings.ttl_after_finished_ms)
        self._group: asyncio.TaskGroup | None = None  # while it runs
        self._memory_bytes_max = memory_limit()

    async def run(self) -> None:
        """Observe, and serve what is owned, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._services.notifier.run(), name="notifier")
            group.create_task(self._services.explainer.run(), name="explainer")
            group.create_task(self._sweep(), name="sweep")
            group.create_task(self._lobby.run(), name="lobby")
            group.create_task(self._retirement.run(), name="retirement")
            group.create_task(self._services.janitor.run(self._is_served), name="janitor")
            for uid in self._by_rank():  # of which the front has told before
                self._consider(uid)
            try:
                await self._services.observer.run()
            finally:
                self._group = None

    async def synced(self) -> None:
        """Until complete lists of Jobs, Pods and children have been folded: before it, to lead would be of no use."""
        await self._services.observer.synced()

    @property
    def observer(self) -> Observer:
        """What it has seen of Jobs and pods."""
        return self._services.observer

    @property
    def is_synced(self) -> bool:
        """Whether complete lists of Jobs, Pods and children have been folded."""
        return self._services.observer.is_synced

    def census(self) -> Census:
        """What it has at hand now, for /metrics; of what it serves alone."""
        services = self._services
        served = [entry for uid, entry in self._entries.items() if self._owns(uid)]
        census = Census(
            phases=count_phases(entry.view.status.get("phase") for entry in served),
            jobs_max=services.slots.limit,
            janitor_jobs=len(services.janitor),
            memory_bytes_max=self._memory_bytes_max,
        )
        census.waiting[PLACE] = Waiting(*services.slots.waiting)
        census.waiting[OPENING] = self._lobby.waiting()
        for entry in served:
            if entry.actor is not None:
                entry.actor.join(census)
        return census

    def ownership_changed(self) -> None:
        """Open what is ours now, leave what is not: an actor that is left is cancelled wherever it stands."""
        for uid in self._by_rank():
            if self._owns(uid):
                self._consider(uid)
            else:
                self._stop(uid)
                self._retirement.forget(uid)

    def _by_rank(self) -> list[str]:
        """All that are known, those first that are to be served first."""
        return sorted(self._entries, key=lambda uid: rank_of(self._entries[uid].view))

    def workflow_changed(self, view: WorkflowView) -> None:
        """The resource was listed, added or modified."""
        uid = view.metadata.uid
        entry = self._entries.get(uid)
        if entry is None:
            entry = self._entries[uid] = _Entry(view=view)
        elif is_behind(view.metadata.resource_version, entry.view.metadata.resource_version):
            return
        entry.view = view
        is_leaving = view.metadata.deletion_timestamp is not None
        if is_leaving or not is_settled(view):
            self._retirement.forget(uid)
        if is_leaving:
            self._stop(uid)
        elif entry.task is None:
            self._consider(uid)
        elif entry.actor is not None:
            entry.actor.changed(view)

    def workflow_deleted(self, uid: str) -> None:
        """The resource is gone; its owner references take the Jobs, the pods and the log with it."""
        self._stop(uid)
        self._retirement.forget(uid)
        self._entries.pop(uid, None)
        self._services.observer.deleted(uid)

    def _consider(self, uid: str) -> None:
        """Give this workflow an actor if it is ours, has none and needs one; let it go in time if it has ended."""
        entry = self._entries.get(uid)
        if entry is None or entry.task is not None or self._group is None:
            return
        view = entry.view
        if is_settled(view):
            self._services.observer.forget(uid, finished=True)
        else:
            self._services.observer.attend(uid)
        if view.metadata.deletion_timestamp is not None or not self._owns(uid):
            return
        if is_settled(view):
            self._retirement.consider(view)
        elif entry.done_generation != view.metadata.generation:
            entry.task = self._group.create_task(self._serve(entry), name=f"workflow {uid}")
            self._services.telemetry.actors.inc()

    def _is_served(self, uid: str) -> bool:
        return uid in self._entries and self._owns(uid)

    def _stop(self, uid: str) -> None:
        entry = self._entries.get(uid)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    async def _sweep(self) -> None:
        """The safety net under the front: now and then compare with a list, in case a change was lost."""
        areas = self._services.settings.areas
        while True:
            await asyncio.sleep(self._services.settings.sweep_interval_seconds)
            known = list(self._entries)  # a Workflow that is created while we list must not look deleted
            try:
                views = [each for area in areas for each in await self._services.kube.list_workflows(area)]
            except TransientError as error:
                log.warning("the sweep could not list Workflows: %s", error)
                continue
            listed = {view.metadata.uid for view in views}
            for uid in known:
                if uid not in listed:
                    self.workflow_deleted(uid)
            for view in views:
                self.workflow_changed(view)

    async def _serve(self, entry: _Entry) -> None:
        """Session after session until the workflow has ended, is gone, or must not be touched."""
        failures = 0
        try:
            while True:
                generation, begun = entry.view.metadata.generation, asyncio.get_running_loop().time()
                error = await self._session(entry)
                if isinstance(error, CorruptionError | LogFull):
                    await self._stall(entry, error)
                if error is None or isinstance(error, WorkflowGone | CorruptionError | LogFull):
                    entry.done_generation = generation
                    return
                if isinstance(error, LogWriteRefused):
                    await self._show_refusal(entry, error)
                failures = failures_in_a_row(failures, asyncio.get_running_loop().time() - begun)
                await asyncio.sleep(min(RESTART_SECONDS_MAX, 0.1 * 2 ** min(failures, 10)))
        finally:
            entry.task = None
            self._services.telemetry.actors.dec()
            # It may be ours again, or have changed, while this session was ending.
            asyncio.get_running_loop().call_soon(self._consider, entry.view.metadata.uid)

    async def _session(self, entry: _Entry) -> Exception | None:
        """Run one actor to its end; returns what ended it early. The one boundary of the process."""
        name = f"{entry.view.metadata.namespace}/{entry.view.metadata.name}"
        try:
            with await self._lobby.turn(lambda: entry.view) as turn:
                entry.actor = actor = Actor(entry.view, self._services, seen=entry.seen)
                await actor.open()
                await actor.run(turn.close)
        except Exception as caught:
            error = first_of(caught)
            self._services.telemetry.failures.labels(type(error).__name__).inc()
            match error:
                case WorkflowGone():
                    log.info("%s: the Workflow is gone", name)
                case ConcurrencyConflict():
                    log.warning("%s: lost a race for the log, starting over: %s", name, error)
                case TransientError():
                    log.warning("%s: starting over: %s", name, error)
                case CorruptionError() | LogFull():
                    log.error("%s: stopped: %s: %s", name, type(error).__name__, error)
                case _:
                    log.exception("%s: starting over after an unexpected error", name, exc_info=error)
            return error
        finally:
            if entry.actor is not None:
                entry.seen = entry.actor.head or entry.seen
                entry.actor = None
        return None

    async def _stall(self, entry: _Entry, error: Exception) -> None:
        """Show why nothing happens any more. Nothing else is written."""
        metadata = entry.view.metadata
        status: Mapping[str, object] = projections.stalled(
            entry.view.status,
            reason=type(error).__name__,
            message=str(error),
            generation=metadata.generation,
            now=self._services.clock.now(),
        )
        for wait_seconds in (0.5, 1.0, 2.0, 5.0, 10.0):
            if await self._amend(entry, status):
                return
            await asyncio.sleep(wait_seconds)

    async def _show_refusal(self, entry: _Entry, error: LogWriteRefused) -> None:
        """Show that commits are refused, once for each session that ends so: the next one tries again, from the log."""
        status = projections.refused(
            entry.view.status,
            message=str(error),
            generation=entry.view.metadata.generation,
            now=self._services.clock.now(),
        )
        await self._amend(entry, status)

    async def _amend(self, entry: _Entry, status: Mapping[str, object]) -> bool:
        """Write these keys of the status; whether the answer was definite."""
        metadata = entry.view.metadata
        try:
            answer = await self._services.kube.amend_workflow_status(
                metadata.namespace, metadata.name, metadata.uid, status
            )
        except TransientError:
            return False
        return answer.status in (200, 404)


def failures_in_a_row(before: int, lived_seconds: float) -> int:
    """How many sessions have failed one after another; one that lived well begins the count anew."""
    return 1 if lived_seconds > RESTART_SECONDS_MAX else before + 1


def first_of(error: Exception) -> Exception:
    """The telling one of an exception group: a stop before a retry."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [first_of(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, CorruptionError | WorkflowGone)), leaves[0])


def is_settled(view: WorkflowView) -> bool:
    """Whether the run has ended and its status has said so for this very spec: nothing is left to do."""
    status, phase = view.status, view.status.get("phase")
    ended = phase in FINISHED and status.get("observedGeneration") == view.metadata.generation
    return ended and not requests.opens_run(view.spec, phase, status.get("run"))
