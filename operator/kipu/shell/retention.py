"""What is not kept for ever: old Jobs of a long run, and Workflows whose time after the end has passed.

Promises: a Job is deleted early only if nothing of it can come back: it was scheduled and created by this very
session, every one of its creates had a definite answer, and its attempt is recorded as over (design 02, "Fencing
effects"; tests/models holds the model). A Workflow is deleted only as it was when its time passed: by uid and
resourceVersion, so that an edit in between keeps it. Both are bounded in rate and wait behind everything else.
Must never delete a placeholder, a log, or anything of a Workflow that has not ended.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from dataclasses import dataclass

from kipu.api.durations import to_ms
from kipu.api.v1alpha1_base import KIND
from kipu.eventlog.ports import StreamId, Unanswered

from .clock import Clock
from .kube import Kube
from .kube_views import WorkflowView, epoch_ms

log = logging.getLogger(__name__)
DELETES_IN_FLIGHT_MAX = 2  # of the 32 requests that steps may have in flight: housekeeping takes a sixteenth
RETIREMENT_SECONDS_MIN = 0.1  # between two Workflows: 10 a second, each of which costs the collector its Jobs and pods
WAIT_SECONDS_MAX = 3_600.0  # an hour: then the clock is asked again


class Shelf:
    """The finished Jobs of one session, oldest first; those beyond `kept` fall off, and are deleted."""

    def __init__(self, kube: Kube, stream: StreamId, slots: asyncio.Semaphore, *, kept: int) -> None:
        self._kube = kube
        self._stream = stream
        self._slots = slots
        self._kept = kept
        self._created: dict[str, str] = {}  # name -> uid, of Jobs that this session made for certain: those at once
        # 0.2 KiB each. Where deletes lag behind ends there are more than `kept`, up to all of a run: 10 MiB for 50,000.
        self._finished: deque[tuple[str, str]] = deque()

    def created(self, job: str, uid: str) -> None:
        """This session's create of this Job was answered with 201, and no earlier try was left unanswered."""
        self._created[job] = uid

    def finished(self, job: str) -> None:
        """The attempt of this Job is over, and that is recorded."""
        if (uid := self._created.pop(job, None)) is not None:
            self._finished.append((job, uid))

    @property
    def is_due(self) -> bool:
        """Whether more is kept than should be."""
        return len(self._finished) > self._kept

    async def clear(self) -> None:
        """Delete one after another what is too much. An answer of any kind settles a Job: it is worth no retry."""
        while self.is_due:
            job, uid = self._finished.popleft()
            async with self._slots:
                try:
                    await self._kube.delete_job(self._stream.namespace, job, uid)
                except Unanswered:
                    continue


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    at: int  # milliseconds since 1970 UTC
    uid: str


class Retirement:
    """Deletes Workflows some time after their end. One for all; `run` serves until cancelled."""

    def __init__(self, kube: Kube, clock: Clock, *, default_ms: int | None) -> None:
        self._kube = kube
        self._clock = clock
        self._default_ms = default_ms
        self._views: dict[str, WorkflowView] = {}  # by uid: those that have ended and are to go
        self._heap: list[_Due] = []  # outdated entries are dropped when met
        self._changed = asyncio.Event()

    def consider(self, view: WorkflowView) -> None:
        """This Workflow has ended, and its status says so."""
        if (at := self._due(view)) is None:
            self.forget(view.metadata.uid)
            return
        self._views[view.metadata.uid] = view
        heapq.heappush(self._heap, _Due(at, view.metadata.uid))
        self._changed.set()

    def forget(self, uid: str) -> None:
        """It is gone, or goes on."""
        self._views.pop(uid, None)

    async def run(self) -> None:
        """Delete each when it is due."""
        while True:
            seconds = self._wait_seconds()
            if seconds > 0:
                self._changed.clear()
                try:
                    async with asyncio.timeout(seconds):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            due = heapq.heappop(self._heap)
            view = self._views.get(due.uid)
            if view is not None and self._due(view) == due.at:
                await self._retire(view)
                await asyncio.sleep(RETIREMENT_SECONDS_MIN)

    def _wait_seconds(self) -> float:
        if not self._heap:
            return WAIT_SECONDS_MAX
        return min(WAIT_SECONDS_MAX, (self._heap[0].at - self._clock.now()) / 1000)

    def _due(self, view: WorkflowView) -> int | None:
        """When it is to go, in milliseconds since 1970 UTC; None for never."""
        if any(owner.controller and owner.kind == KIND for owner in view.metadata.owner_references):
            return None  # a child goes with its parent, which may not have heard of its end yet
        own = view.spec.get("ttlAfterFinished")
        ttl_ms = to_ms(own) if isinstance(own, str) else self._default_ms
        ended = view.status.get("completionTime")
        ended_ms = epoch_ms(ended) if isinstance(ended, str) else None
        return None if ttl_ms is None or ended_ms is None else ended_ms + ttl_ms

    async def _retire(self, view: WorkflowView) -> None:
        metadata = view.metadata
        name = f"{metadata.namespace}/{metadata.name}"
        try:
            answer = await self._kube.delete_workflow(
                metadata.namespace, metadata.name, metadata.uid, metadata.resource_version
            )
        except Unanswered as error:
            log.warning("%s: not known to be deleted after its time: %s", name, error)
            return  # the next sweep tells of it again if it is still there
        if answer.status in (200, 202, 404):
            log.info("%s: deleted, its time after the end has passed", name)
            self.forget(metadata.uid)
        elif answer.status != 409:  # 409: it was changed, and we shall hear of it
            log.warning("%s: cannot be deleted after its time: %s", name, answer.message)
