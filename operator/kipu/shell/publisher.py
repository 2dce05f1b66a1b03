"""`.status`, written rarely: the projection of the committed state, one PATCH at a time.

Promises: a change of phase goes out at once, the rest at most once per interval, and in turn with the rest of all
other workflows (a status PATCH costs the API server 8 ms, and more in proportion to the object: design 06, 6.2);
what is sent was committed before; a status never replaces one that shows more of the log, however late it arrives
and whoever sent it. Must never be read as truth: nobody decides by it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from kipu.core.errors import KipuError
from kipu.eventlog.answers import identity
from kipu.eventlog.ports import Answer, StreamId, Unanswered

from .kube import Kube
from .kube_views import WorkflowView

Status = Mapping[str, object]
RETRY_SECONDS_MAX = 30.0
LARGE_STATUS_STEPS = 500  # from here on the object is near 100 KB and each PATCH costs tens of ms: once in 10 s


class WorkflowGone(KipuError):
    """The Workflow was deleted (or replaced by a namesake): stop, its collector does the rest."""


class Pace:
    """How often the statuses of all workflows together are written between their changes of phase: in turn."""

    def __init__(self, per_second: float) -> None:
        self._gap_seconds = 1.0 / per_second
        self._next = 0.0  # not before, in the loop's time
        self._row: deque[asyncio.Future[None]] = deque()  # who has given up is passed over
        self._timer: asyncio.TimerHandle | None = None

    def turn(self) -> asyncio.Future[None]:
        """After those of all that have asked before: done when it is there, maybe at once. Cancel it to give it up."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._row.append(turn)
        if self._timer is None:
            self._serve()
        return turn

    def _serve(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._row:
            if loop.time() < self._next:
                self._timer = loop.call_at(self._next, self._serve)
                return
            if not (turn := self._row.popleft()).done():
                turn.set_result(None)
                self._next = loop.time() + self._gap_seconds


class Publisher:
    """The status of one workflow. `offer` is called between turns, when the state is a committed one."""

    def __init__(
        self,
        kube: Kube,
        stream: StreamId,
        view: WorkflowView,
        *,
        interval_seconds: float,
        pace: Pace,
        nudge: Callable[[], None],
    ) -> None:
        self._kube = kube
        self._stream = stream
        self._version = view.metadata.resource_version  # that the next PATCH replaces
        self._phase = view.status.get("phase")
        self._interval_seconds = interval_seconds
        self._pace = pace
        self._turn: asyncio.Future[None] | None = None  # which a change of phase does not use up
        self._nudge = nudge
        self._dirty = False
        self._written: Status = {}
        self._sent: Status = {}
        self._failures = 0
        self._not_before = 0.0
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.TimerHandle | None = None

    def mark(self) -> None:
        """Something shown has changed; have the actor offer it when it is due."""
        if self._turn is None:
            self._turn = self._pace.turn()
            if not self._turn.done():
                self._turn.add_done_callback(self._turn_came)
        self._dirty = True
        self._wake_when_due()

    def seen(self, status: Status) -> None:
        """This is shown now. Where it is not what was sent last, but somebody's edit, it is to be put right."""
        if status != self._sent:
            self._written = {}
            self.mark()

    def offer(self, make: Callable[[], Status], *, phase: str, group: asyncio.TaskGroup) -> None:
        """Send what `make` projects if it is due, is not what was written last, and none is under way."""
        urgent = phase != self._phase
        if not (self._dirty or urgent) or self._task is not None:
            return
        if not urgent:
            if not self._is_due():
                self._wake_when_due()
                return
            self._turn = None
        self._forget_wake()
        self._dirty, self._phase = False, phase
        if (status := make()) == self._written:
            return
        self._task = group.create_task(self._send_once(status), name="status")
        self._task.add_done_callback(self._over)

    async def finish(self, make: Callable[[], Status]) -> None:
        """Until the last status is written, or the workflow is gone. What was written last is not written again."""
        if self._task is not None:
            await asyncio.wait([self._task])
        while make() != self._written and not await self._send(make()):
            await asyncio.sleep(self._retry_seconds())

    def close(self) -> None:
        """Wait for nothing any more."""
        self._forget_wake()
        if self._turn is not None:
            self._turn.cancel()

    def _forget_wake(self) -> None:
        if self._wake is not None:
            self._wake.cancel()

    async def _send_once(self, status: Status) -> None:
        loop = asyncio.get_running_loop()
        if await self._send(status):
            counts = status.get("counts")
            large = isinstance(counts, Mapping) and int(str(counts.get("total", 0))) > LARGE_STATUS_STEPS
            self._not_before = loop.time() + self._interval_seconds * (10 if large else 1)
        else:
            self._dirty = True
            self._not_before = loop.time() + self._retry_seconds()

    async def _send(self, status: Status) -> bool:
        """Whether `status`, or one that shows more of the log, is there now. Raises WorkflowGone."""
        try:
            answer = await self._patch(status)
            if answer.status == 409:
                if await self._is_outdone(status):
                    return True
                answer = await self._patch(status)
        except Unanswered:
            self._failures += 1
            return False
        if answer.status == 404:
            raise self._gone()
        if answer.status != 200:
            self._failures += 1
            return False
        self._failures, self._written = 0, status
        _, self._version = identity(answer.body)
        return True

    async def _patch(self, status: Status) -> Answer:
        stream, self._sent = self._stream, status
        return await self._kube.patch_workflow_status(
            stream.namespace, stream.name, stream.uid, status, resource_version=self._version
        )

    async def _is_outdone(self, status: Status) -> bool:
        """The Workflow was written meanwhile: take its version, and see whether a later session has shown more."""
        view = await self._kube.get_workflow(self._stream.namespace, self._stream.name)
        if view is None or view.metadata.uid != self._stream.uid:
            raise self._gone()
        self._version = view.metadata.resource_version
        return _position(view.status) > _position(status)

    def _gone(self) -> WorkflowGone:
        return WorkflowGone(f"{self._stream.namespace}/{self._stream.name} was deleted")

    def _retry_seconds(self) -> float:
        return float(min(RETRY_SECONDS_MAX, 0.25 * 2 ** min(self._failures, 10)))

    def _over(self, _task: asyncio.Task[None]) -> None:
        self._task = None
        if self._dirty:
            self._wake_when_due()

    def _turn_came(self, turn: asyncio.Future[None]) -> None:
        if not turn.cancelled():
            self._wake_when_due()

    def _wake_when_due(self) -> None:
        self._forget_wake()
        if self._is_its_turn:  # else this is called again when it comes
            self._wake = asyncio.get_running_loop().call_at(self._not_before, self._due)

    @property
    def _is_its_turn(self) -> bool:
        return self._turn is None or self._turn.done()

    def _is_due(self) -> bool:
        return self._is_its_turn and asyncio.get_running_loop().time() >= self._not_before

    def _due(self) -> None:
        # The loop may run a timer a hair early: without this the actor would be nudged again and again until then.
        self._not_before = 0.0
        self._nudge()


def _position(status: Status) -> int:
    """How much of the log a status shows."""
    log = status.get("log")
    position = log.get("position") if isinstance(log, Mapping) else None
    return position if isinstance(position, int) else 0
