"""The observer: three label-selected watches of each area, and what they have shown of each attempt.

Promises: holds only views, decides nothing, writes nothing; each actor is told of changes of its own Jobs and children
alone; `synced` is set only while a complete consistent list of all kinds has been folded since the start.
Bounded: one entry per Job or child of a workflow that is not finished; of an attempt that is over only its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import keepsakes
from .kube import Kube
from .kube_owned import RUNS, RunView
from .kube_views import POD_ENDED, JobView, PodView, T
from .settings import EVERYWHERE
from .watch import JOBS, PODS, Change, is_behind, list_and_watch

OURS = "app.kubernetes.io/managed-by=kipu"
WORKFLOW_UID = "kipu.dev/workflow-uid"
CHILDREN = f"{OURS},{WORKFLOW_UID}"  # those of CronWorkflows have the first label alone


@dataclass(slots=True)
class Sighting:
    """What was last seen under one attempt's name."""

    job: JobView | None = None
    child: RunView | None = None  # of a sub-workflow step
    _pods: PodView | dict[str, PodView] | None = None  # nearly all have but one; several are found by their uid

    @property
    def pods(self) -> Collection[PodView]:
        """All of them."""
        if isinstance(self._pods, dict):
            return self._pods.values()
        return () if self._pods is None else (self._pods,)

    def pod(self, uid: str) -> PodView | None:
        """The one of this uid."""
        if isinstance(self._pods, dict):
            return self._pods.get(uid)
        return None if self._pods is None or self._pods.metadata.uid != uid else self._pods

    def keep(self, pod: PodView) -> None:
        """In place of what it was before."""
        if isinstance(self._pods, dict):
            self._pods[pod.metadata.uid] = pod
        elif self._pods is None or self._pods.metadata.uid == pod.metadata.uid:
            self._pods = pod
        else:
            self._pods = {each.metadata.uid: each for each in (self._pods, pod)}

    def drop(self, uid: str) -> None:
        """The pod of this uid, if it is there."""
        if isinstance(self._pods, dict):
            self._pods.pop(uid, None)
        elif self.pod(uid) is not None:
            self._pods = None


Listener = Callable[[str, Sighting, bool], None]  # name, what is there, whether the Job or child was just deleted

_List = tuple[str, str | None]  # of which kind, in which area


class Observer:
    """Routes changes to the actor of their workflow. Touched from the engine's loop only."""

    def __init__(self, kube: Kube, areas: Sequence[str | None] = EVERYWHERE) -> None:
        self._kube = kube
        self._areas = areas
        self._sightings: dict[str, dict[str, Sighting]] = {}
        self._listeners: dict[str, Listener] = {}
        self._ignored: set[str] = set()  # finished workflows: their Jobs stay, nobody asks
        self._over: dict[str, set[str]] = {}  # likewise, by workflow: attempts that are over, while their Jobs stay
        self._lists: dict[_List, asyncio.Event] = {
            (kind, area): asyncio.Event() for kind in ("jobs", "pods", "children") for area in areas
        }

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for area in self._areas:
                for watch in self._watches(area):
                    group.create_task(watch)

    def _watches(self, area: str | None) -> Iterator[Coroutine[None, None, None]]:
        jobs = list_and_watch(self._kube, JOBS, namespace=area, label_selector=OURS, trace=self._trace_of_job)
        yield self._watch(("jobs", area), jobs, self._fold_owned)
        # A pending pod says nothing that is acted on: half the events, half the bytes (design 05).
        running = "status.phase!=Pending"
        pods = list_and_watch(
            self._kube,
            PODS,
            namespace=area,
            label_selector=OURS,
            field_selector=running,
            trace=self._trace_of_pod,
        )
        yield self._watch(("pods", area), pods, self._fold_pod)
        children = list_and_watch(self._kube, RUNS, namespace=area, label_selector=CHILDREN)
        yield self._watch(("children", area), children, self._fold_owned)

    async def synced(self) -> None:
        """Until a complete list of Jobs, of Pods and of children has been folded."""
        for event in self._lists.values():
            await event.wait()

    @property
    def is_synced(self) -> bool:
        """Whether all lists are complete."""
        return all(event.is_set() for event in self._lists.values())

    def listen(self, uid: str, listener: Listener) -> dict[str, Sighting]:
        """Tell this actor from now on; returns what is known already."""
        self._ignored.discard(uid)
        self._listeners[uid] = listener
        return self._sightings.setdefault(uid, {})

    def known(self, uid: str) -> Mapping[str, Sighting]:
        """What was seen of this workflow's Jobs and children so far."""
        return self._sightings.get(uid, {})

    def over(self, uid: str, name: str) -> None:
        """The attempt of this name is over, and that is recorded: whatever is seen of it changes nothing any more."""
        if (sightings := self._sightings.get(uid)) is not None and sightings.pop(name, None) is not None:
            self._over.setdefault(uid, set()).add(name)

    def forget(self, uid: str, *, finished: bool) -> None:
        """The actor stopped. `finished`: nobody will ask again, drop what is known."""
        self._listeners.pop(uid, None)
        if finished:
            self._sightings.pop(uid, None)
            self._over.pop(uid, None)
            self._ignored.add(uid)

    def attend(self, uid: str) -> None:
        """It goes on, or is run again: whoever serves it will ask for its Jobs."""
        self._ignored.discard(uid)

    def deleted(self, uid: str) -> None:
        """The Workflow itself is gone."""
        self.forget(uid, finished=True)
        self._ignored.discard(uid)

    def saw_job(self, view: JobView) -> None:
        """A Job came by another way than the watch: an answer to a create or a read."""
        self._fold_owned(Change(kind="Modified", view=view))

    def saw_child(self, view: RunView) -> None:
        """A child came by another way than the watch."""
        self._fold_owned(Change(kind="Modified", view=view))

    async def _watch(self, which: _List, changes: AsyncIterator[Change[T]], fold: Callable[[Change[T]], None]) -> None:
        async for change in changes:
            if change.view is None:
                self._lists[which].set()
            else:
                fold(change)

    def _trace_of_job(self, view: JobView) -> keepsakes.Trimmed[JobView]:
        return keepsakes.trimmed(view, self._job(view.metadata.labels.workflow_uid, view.metadata.name))

    def _trace_of_pod(self, view: PodView) -> keepsakes.Trimmed[PodView]:
        labels = view.metadata.labels
        return keepsakes.trimmed(view, self._job(labels.workflow_uid, labels.job_name))

    def _job(self, uid: str, name: str) -> JobView | None:
        sighting = self._sightings.get(uid, {}).get(name)
        return None if sighting is None else sighting.job

    def _fold_owned(self, change: Change[JobView] | Change[RunView]) -> None:
        """A Job or a child."""
        view = change.view
        assert view is not None
        uid, name = view.metadata.labels.workflow_uid, view.metadata.name
        gone = change.kind == "Deleted"
        if self._is_ignored(uid, name):
            if gone:
                self._over.get(uid, set()).discard(name)
            return
        sighting = self._sightings.setdefault(uid, {}).setdefault(name, Sighting())
        if not _is_news(view, sighting.job if isinstance(view, JobView) else sighting.child, gone=gone):
            return
        if isinstance(view, JobView):
            sighting.job = None if gone else keepsakes.of_job(view, sighting.job)
        else:
            sighting.child = None if gone else view
        self._tell(uid, name, sighting, gone)
        if sighting.job is None and sighting.child is None:  # what is left of its pods says nothing without it
            self._gone(uid, name)

    def _fold_pod(self, change: Change[PodView]) -> None:
        view = change.view
        assert view is not None
        uid, name = view.metadata.labels.workflow_uid, view.metadata.labels.job_name
        if not name or self._is_ignored(uid, name):
            return
        sighting = self._sightings.setdefault(uid, {}).setdefault(name, Sighting())
        if change.kind == "Deleted":
            # A pod that had ended before it was removed still says how it ended.
            known = sighting.pod(view.metadata.uid)
            if known is None or known.status.phase not in POD_ENDED or sighting.job is None:
                sighting.drop(view.metadata.uid)
        else:
            sighting.keep(keepsakes.of_pod(view, sighting.job))
        self._tell(uid, name, sighting, False)
        if sighting.job is None and not sighting.pods:
            self._gone(uid, name)

    def _gone(self, uid: str, name: str) -> None:
        sightings = self._sightings[uid]
        sightings.pop(name, None)
        if not sightings and uid not in self._listeners:
            del self._sightings[uid]  # of a Workflow that was deleted itself

    def _is_ignored(self, uid: str, name: str) -> bool:
        return not uid or uid in self._ignored or name in self._over.get(uid, ())

    def _tell(self, uid: str, name: str, sighting: Sighting, gone: bool) -> None:
        if (listener := self._listeners.get(uid)) is not None:
            listener(name, sighting, gone)


def _is_news(view: JobView | RunView, known: JobView | RunView | None, *, gone: bool) -> bool:
    """Whether it is not behind what is known."""
    if not gone:
        return not is_older(view, known)
    # Of an older one of this name: what stands there now is newer news.
    return known is None or known.metadata.uid == view.metadata.uid


def is_older(view: JobView | RunView, known: JobView | RunView | None) -> bool:
    """Whether a view of the same object is behind what is known: the answer to a create may come after the watch."""
    if known is None or known.metadata.uid != view.metadata.uid:
        return False
    return is_behind(view.metadata.resource_version, known.metadata.resource_version)
