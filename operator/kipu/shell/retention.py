"""What is not kept for ever: old Jobs of a long run, and Workflows whose time after the end has passed.

Promises: a Job is deleted early only if nothing of it can come back: it was scheduled and created by this very
session, every one of its creates had a definite answer, and its attempt is recorded as over (design 02, "Fencing
effects"; tests/models holds the model). A Workflow is deleted only as it was when its time passed: by uid and
resourceVersion, so that an edit in between keeps it. Both are bounded in rate and make way for everything else.
Must never delete a placeholder, a log, or anything of a Workflow that has not ended.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from kipu.api.durations import to_ms
from kipu.api.v1alpha1_base import KIND
from kipu.eventlog.ports import StreamId, Unanswered

from .clock import Clock
from .kube import Kube
from .kube_views import WorkflowView, epoch_ms

log = logging.getLogger(__name__)
PAUSE_SECONDS = 0.05  # between two Jobs: at most 20 a second, each of which costs the cluster as much as a step
REST_SECONDS = 1.0  # without a step that begins or ends: then it is quiet
# While steps move, which they may do for ever, a row as long as this is worked off, at one a second for each thousand
# Jobs in it: below the 12,500 pods at which the cluster's own collector begins (--terminated-pod-gc-threshold), which
# asks nobody whose they are.
LONG_ROW = 10_000
RETIREMENT_SECONDS_MIN = 0.1  # between two Workflows: 10 a second, each of which costs the collector its Jobs and pods
WAIT_SECONDS_MAX = 3_600.0  # an hour: then the clock is asked again


class Janitor:
    """Deletes Jobs that are kept no longer, of all workflows, one after another; `run` serves until cancelled.

    It makes way: while steps move it waits, unless its row is long, and catches up when they rest. 0.2 KiB for each
    Job in its row.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._row: deque[tuple[StreamId, str, str]] = deque()  # of a Job its name and uid
        self._some = asyncio.Event()
        self._quiet_from = 0.0

    def __len__(self) -> int:
        return len(self._row)

    def steps_move(self) -> None:
        """Some have begun or ended."""
        self._quiet_from = asyncio.get_running_loop().time() + REST_SECONDS

    def delete(self, stream: StreamId, job: str, uid: str) -> None:
        """When it is its turn."""
        self._row.append((stream, job, uid))
        self._some.set()

    async def run(self, is_served: Callable[[str], bool]) -> None:
        """Delete what is in the row; `is_served` says of a Workflow's uid whether it is there, and ours, still.

        An answer of any kind settles a Job: it is worth no retry.
        """
        while True:
            await self._some.wait()
            self._some.clear()
            while self._row:
                await asyncio.sleep(self._pause_seconds())
                if not self._may_delete():
                    continue
                stream, job, uid = self._row.popleft()
                if is_served(stream.uid):
                    with suppress(Unanswered):
                        await self._kube.delete_job(stream.namespace, job, uid)

    def _pause_seconds(self) -> float:
        if self._is_quiet():
            return PAUSE_SECONDS
        return max(PAUSE_SECONDS, 1_000 / len(self._row)) if self._is_long() else REST_SECONDS

    def _may_delete(self) -> bool:
        return self._is_quiet() or self._is_long()

    def _is_long(self) -> bool:
        return len(self._row) >= LONG_ROW

    def _is_quiet(self) -> bool:
        return asyncio.get_running_loop().time() >= self._quiet_from


class Shelf:
    """The finished Jobs of one session, oldest first; those beyond `kept` fall off, and are deleted."""

    def __init__(self, janitor: Janitor, stream: StreamId, *, kept: int) -> None:
        self._janitor = janitor
        self._stream = stream
        self._kept = kept
        self._created: dict[str, str] = {}  # name -> uid, of Jobs that this session made for certain: those at once
        self._finished: deque[tuple[str, str]] = deque()

    def created(self, job: str, uid: str) -> None:
        """This session's create of this Job was answered with 201, and no earlier try was left unanswered."""
        self._created[job] = uid

    def finished(self, job: str) -> None:
        """The attempt of this Job is over, and that is recorded."""
        if (uid := self._created.pop(job, None)) is not None:
            self._finished.append((job, uid))
        while len(self._finished) > self._kept:
            self._janitor.delete(self._stream, *self._finished.popleft())


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
