"""The explainer: why attempts have not started, in the cluster's own words, for the status.

The watch of pods leaves out those that are Pending, which are half of all changes (docs/performance.md). So what holds
a pod up is asked for, and only where something is late: one list of the Pending pods of all workflows (one for each
namespace, where the operator serves some alone), and where a pod says nothing, or there is none, what Kubernetes' own
notices say of it or of its Job.

Promises: no request while nothing is late; one at a time, each with a pause behind it that grows with what it took; a
request that fails is counted and nothing else; all that it finds are words for people. Must never decide or record
anything, and never hold anybody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kipu.eventlog.ports import StreamId, Unanswered

from .kube_pending import NoticeView, PendingKube
from .kube_views import PodView
from .observations import finished_condition, waiting_reason
from .observer import Observer, Sighting
from .settings import EVERYWHERE

LATE_SECONDS = 2.0  # from the decision on: a pod whose image is there runs by then, unless the nodes are busy
CHECK_SECONDS = 1.0  # between two looks into memory for what is late
PAUSE_SECONDS = 2.0  # between two inquiries; with a second of the status, what holds is shown within 5
PAUSE_TIMES, PAUSE_SECONDS_MAX = 10, 30.0  # of the time that the last one took: a slow API server is left in peace
SILENT_SECONDS = 3.0  # from the decision on: a pod that has said nothing by then is asked about
NOTICES_READ_MAX = 2  # lists of notices in one inquiry; each makes the API server read all those of a namespace
NOTICES_AGAIN_SECONDS = (4.0, 8.0, 16.0, 32.0, 60.0)  # until they are read again; the last one repeats
PROGRESS = frozenset({"Pulling"})  # what is said of a pod that goes on, and yet tells why it has not started

Tell = Callable[[str, str], None]  # step, why it waits ("" when it no longer does)
Count = Callable[[str], None]  # answered | failed


@dataclass(slots=True, kw_only=True, eq=False)
class Awaited:
    """An attempt of which no pod has run. The times are the loop's."""

    stream: StreamId
    job: str
    step: str
    tell: Tell
    since: float
    is_pending: bool = False  # a pod of it was in the list that is being read
    subject: str = ""  # whose notices may say why: the uid of its pod, or of its Job
    pod_says: str = ""
    notice_says: str = ""
    notices_read: int = 0
    read_at: float = 0.0  # not before

    def show(self) -> None:
        """Tell again, since others tell of this step too."""
        if words := self.pod_says or self.notice_says:
            self.tell(self.step, words)

    def found(self, subject: str, says: str) -> None:
        """What its pod says; of what there is no pod, its Job is the subject."""
        if (self.pod_says and not says) or (self.notice_says and subject != self.subject):
            self.tell(self.step, "")
        if subject != self.subject:
            self.notice_says, self.notices_read, self.read_at = "", 0, 0.0
        self.subject, self.pod_says = subject, says
        self.show()


class Explainer:
    """One for all workflows; `run` serves until cancelled. Touched from the engine's loop only.

    Bounded: it knows of as many attempts as hold a place and do not run.
    """

    def __init__(
        self, kube: PendingKube, observer: Observer, count: Count, areas: Sequence[str | None] = EVERYWHERE
    ) -> None:
        self._kube = kube
        self._observer = observer
        self._count = count
        self._areas = areas
        self._awaited: dict[str, dict[str, Awaited]] = {}  # by uid of the workflow, by Job
        self._some = asyncio.Event()
        self._tokens: dict[str | None, str] = {}  # by area: where its list goes on
        self._not_before = 0.0

    def expect(self, stream: StreamId, job: str, step: str, tell: Tell) -> None:
        """This attempt is to run; `tell` hears why it does not."""
        since = asyncio.get_running_loop().time()
        awaited = Awaited(stream=stream, job=job, step=step, tell=tell, since=since)
        self._awaited.setdefault(stream.uid, {}).setdefault(job, awaited)
        self._some.set()

    def forget(self, uid: str, job: str) -> None:
        """It runs, is over, or was given up: what was said of it does not hold any more."""
        own = self._awaited.get(uid, {})
        awaited = own.pop(job, None)
        if awaited is not None and (awaited.pod_says or awaited.notice_says):
            awaited.tell(awaited.step, "")
        if not own:
            self._awaited.pop(uid, None)

    def leave(self, uid: str) -> None:
        """The actor of this workflow stops."""
        self._awaited.pop(uid, None)

    async def run(self) -> None:
        """Ask, whenever something is late."""
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            while self._awaited:
                await asyncio.sleep(CHECK_SECONDS)
                late = self._late(loop.time())
                if late and loop.time() >= self._not_before:
                    begun = loop.time()
                    self._count(await self._inquire(late))
                    took_seconds = loop.time() - begun
                    self._not_before = begun + min(max(PAUSE_SECONDS, PAUSE_TIMES * took_seconds), PAUSE_SECONDS_MAX)
            self._some.clear()

    def _late(self, now: float) -> list[Awaited]:
        """Those that should run by now. Those that do are let go."""
        late = []
        for awaited in [each for own in self._awaited.values() for each in own.values()]:
            sighting = self._observer.known(awaited.stream.uid).get(awaited.job)
            if sighting is None or sighting.job is None:
                continue  # whoever creates it says why there is none
            if sighting.pods or finished_condition(sighting.job) is not None:
                self.forget(awaited.stream.uid, awaited.job)
            elif now - awaited.since >= LATE_SECONDS and not sighting.job.spec.suspend:
                late.append(awaited)
        return late

    async def _inquire(self, late: Sequence[Awaited]) -> str:
        try:
            await self._list_pods(late)
            await self._read_notices(late)
        except Unanswered:
            return "failed"
        return "answered"

    # -- pods ----------------------------------------------------------------------------------------

    async def _list_pods(self, late: Sequence[Awaited]) -> None:
        """One page more of each area in which something is late."""
        namespaces = {each.stream.namespace for each in late}
        for area in self._areas:
            if area is None or area in namespaces:
                await self._list_page(area, [each for each in late if area in (None, each.stream.namespace)])

    async def _list_page(self, area: str | None, late: Iterable[Awaited]) -> None:
        """What no page of a whole list has shown has no pod that is Pending."""
        token = self._tokens.pop(area, "")
        if not token:
            for awaited in late:
                awaited.is_pending = False
        page = await self._kube.pending_pods(area, token)
        if page is None:
            return
        for pod in page.items:
            if (known := self._of(pod)) is not None:
                known.is_pending = True
                known.found(pod.metadata.uid, waiting_reason(pod))
        if page.metadata.continue_:
            self._tokens[area] = page.metadata.continue_
            return
        for awaited in late:
            if not awaited.is_pending and (sighting := self._still(awaited)) is not None:
                awaited.found("" if sighting.job is None else sighting.job.metadata.uid, "")

    def _of(self, pod: PodView) -> Awaited | None:
        labels = pod.metadata.labels
        return self._awaited.get(labels.workflow_uid, {}).get(labels.job_name)

    def _still(self, awaited: Awaited) -> Sighting | None:
        """What is seen of it, if it is awaited still."""
        if self._awaited.get(awaited.stream.uid, {}).get(awaited.job) is not awaited:
            return None
        return self._observer.known(awaited.stream.uid).get(awaited.job)

    # -- notices -------------------------------------------------------------------------------------

    async def _read_notices(self, late: Iterable[Awaited]) -> None:
        """Of a few that say nothing themselves, those first that were not asked about for longest."""
        now = asyncio.get_running_loop().time()
        silent = [each for each in late if each.subject and not each.pod_says and now >= each.read_at]
        silent = [each for each in silent if now - each.since >= SILENT_SECONDS]
        for awaited in sorted(silent, key=lambda each: each.read_at)[:NOTICES_READ_MAX]:
            again_seconds = NOTICES_AGAIN_SECONDS[min(awaited.notices_read, len(NOTICES_AGAIN_SECONDS) - 1)]
            awaited.notices_read, awaited.read_at = awaited.notices_read + 1, now + again_seconds
            words = telling(await self._kube.notices_of(awaited.stream.namespace, awaited.subject))
            if self._still(awaited) is None:
                continue
            if awaited.notice_says and not words:
                awaited.tell(awaited.step, "")
            awaited.notice_says = words
            awaited.show()


def telling(notices: Iterable[NoticeView]) -> str:
    """What was said last, if it says why something does not go on; of one second a warning is the last."""
    last = max(notices, key=lambda each: (each.seen_at // 1_000, _is_telling(each), each.seen_at), default=None)
    if last is None or not _is_telling(last):
        return ""
    return f"{last.reason}: {last.note}".rstrip(": ")


def _is_telling(notice: NoticeView) -> bool:
    return notice.type == "Warning" or notice.reason in PROGRESS
