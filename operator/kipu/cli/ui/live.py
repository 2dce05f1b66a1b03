"""Workflows of a cluster, as the person who asks may see them: a list, a watch, and logs read when they have moved.

Promises: reads alone. One watch; the list is read in pages (watching.py). The log of a Workflow is read when a page
asks for it and the list says that it has moved, by one reader at a time, and not again before PACE times as long as the
last reading took. STORIES_MAX histories are kept; sealed objects of their logs are not read twice, up to
SEALED_BYTES_MAX.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus

from kipu.api.pods import MAIN
from kipu.core.errors import CorruptionError, KipuError
from kipu.eventlog.codec import UnknownEvent
from kipu.eventlog.ports import History, StreamId

from ..cluster import CORE, Cluster
from ..options import Where
from ..reading import gather, load
from ..sealed import Sealed
from .feed import Feed
from .source import NoSuchWorkflow, Tail
from .story import Story
from .summaries import Key
from .watching import Sleep, Watching

STORIES_MAX = 4  # a log of 250,000 events takes some 270 MB as objects; seldom are several such open
PACE = 3.0
PACE_SECONDS_MIN = 1.0
TAIL_LINES = 200
TAIL_BYTES_MAX = 64 * 1024


@dataclass(slots=True)
class _Kept:
    """One Workflow's history, and when it may be read again (time.monotonic)."""

    story: Story | None = None
    sealed: Sealed | None = None
    next_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Live:
    """Of one kubeconfig's context. `namespace` None: all, or the context's where not all may be listed."""

    def __init__(self, cluster: Cluster, namespace: str | None, sleep: Sleep = asyncio.sleep) -> None:
        self.feed = Feed()
        self._cluster = cluster
        self._sleep = sleep
        self._watching = Watching(cluster, self.feed, namespace, sleep)
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    @property
    def label(self) -> str:
        """See Source."""
        return self._watching.label

    async def start(self) -> None:
        """See Source."""
        await self._watching.read()
        self._task = asyncio.create_task(self._watching.follow())

    async def stop(self) -> None:
        """See Source."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def story(self, namespace: str, name: str) -> Story:
        """See Source."""
        key = (namespace, name)
        if key not in self.feed.summaries:
            raise NoSuchWorkflow(f"there is no Workflow '{name}' in namespace '{namespace}'")
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        while len(self._kept) > STORIES_MAX:
            self._kept.popitem(last=False)
        async with kept.lock:
            if self._has_moved(key, kept.story):
                await self._sleep(max(0.0, kept.next_at - time.monotonic()))
                began = time.monotonic()
                try:
                    await self._read(key, kept)
                finally:
                    ended = time.monotonic()
                    kept.next_at = ended + max(PACE_SECONDS_MIN, PACE * (ended - began))
            assert kept.story is not None
            return kept.story

    def _has_moved(self, key: Key, story: Story | None) -> bool:
        told = self.feed.summaries.get(key)
        if story is None:
            return True
        if told is None:
            return False  # it was deleted while somebody looks: what is known stays
        position = told["position"]
        assert isinstance(position, int)
        return told["uid"] != story.stream.uid or position > story.position

    async def _read(self, key: Key, kept: _Kept) -> None:
        if kept.sealed is None:
            kept.sealed = Sealed(self._cluster)
        kept.sealed.turn_over()
        stream, history, notes = await asyncio.to_thread(_read, kept.sealed, key)
        story = kept.story
        if story is None or not story.is_begun_by(stream, history.records):
            story = Story(stream)
        story.notes = notes
        await asyncio.to_thread(story.grow, history.records[story.position :])
        kept.story = story

    async def tail(self, namespace: str, pod: str) -> Tail:
        """See Source."""
        query = {"container": MAIN, "tailLines": str(TAIL_LINES), "limitBytes": str(TAIL_BYTES_MAX)}
        try:
            answer = await self._cluster.get_text(f"{CORE}/namespaces/{namespace}/pods/{pod}/log", query)
        except KipuError as error:
            return Tail(trouble=str(error))
        if answer.status == HTTPStatus.OK:
            return Tail(text=answer.message)
        if answer.status == HTTPStatus.NOT_FOUND:
            return Tail(trouble=f"the pod {pod} is gone, and its log with it")
        return Tail(trouble=answer.message or f"status {answer.status}")


def _read(cluster: Sealed, key: Key) -> tuple[StreamId, History, tuple[str, ...]]:
    """In a thread: the verified log, or of a damaged one what can be verified, with words on what is missing."""
    namespace, name = key
    try:
        stream, history, _ = asyncio.run(load(cluster, namespace, name))
    except UnknownEvent:
        raise
    except CorruptionError:
        cluster.forget()
        found = asyncio.run(gather(cluster, namespace, name))
        return found.stream, found.history, found.notes
    return stream, history, ()


def connect(where: Where) -> Live:
    """Raises CannotTell."""
    return Live(where.connect()[0], where.namespace)
