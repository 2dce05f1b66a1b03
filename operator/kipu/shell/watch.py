"""List and watch: every change of a selection of objects, for ever, whatever the API server and the net do.

Promises: the first list is a consistent read in pages; after each complete list comes one `Synced`, and before
it a `Deleted` for every object that vanished unseen; the watch resumes after the last version seen when it is
closed or cut, and a new list is read when that version is too old (410 as a status or as an event), when it is
refused again and again, and when the server is behind it (a restored etcd falls silent, or counts backwards). No
error ends it: it waits, longer each time, and goes on.
Bounded: of each object of the selection its trace, which is the object unless the caller makes do with less. Must
never judge what it sees.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, Literal, Protocol

import msgspec

from kipu.eventlog.ports import Unanswered

from .kube import Kube
from .kube_resources import JOBS, PODS, WORKFLOWS, Resource
from .kube_views import AddedEvent, BookmarkEvent, DeletedEvent, ErrorEvent, ModifiedEvent, T, T_co

__all__ = ["JOBS", "PODS", "WORKFLOWS", "Change", "Resource", "list_and_watch"]

log = logging.getLogger(__name__)

SERVER_SECONDS = 540  # the server ends the watch after this + up to a fifth, so that watches do not end together
SILENCE_SECONDS = 90.0  # bookmarks come each 60 s: a stream without one is dead
CLOSED_AT_ONCE_SECONDS = 1.0  # a watch that ends sooner than this without a word counts as a failure
BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)  # the last one repeats; each is jittered by half
REFUSALS_MAX = 3  # in a row, of one version: then it is the version that is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[T]):
    """One change of the selection. `Synced` has no view: all that a complete list holds has been told."""

    kind: Literal["Added", "Modified", "Deleted", "Synced"]
    view: T | None


class Trace(Protocol[T_co]):
    """What is remembered of an object."""

    @property
    def uid(self) -> str:
        """Its own."""

    @property
    def resource_version(self) -> str:
        """In which it was last seen."""

    def view(self) -> T_co:
        """All that is told of the object if it vanishes unseen."""


@dataclass(frozen=True, slots=True)
class Whole(Generic[T]):
    """The object as it was."""

    it: T

    @property
    def uid(self) -> str:
        """See Trace."""
        return self.it.metadata.uid

    @property
    def resource_version(self) -> str:
        """See Trace."""
        return self.it.metadata.resource_version

    def view(self) -> T:
        """See Trace."""
        return self.it


async def list_and_watch(
    kube: Kube,
    resource: Resource[T],
    *,
    label_selector: str = "",
    field_selector: str = "",
    namespace: str | None = None,
    trace: Callable[[T], Trace[T]] = Whole,
) -> AsyncGenerator[Change[T], None]:
    """Endless; cancel the task or close the iterator to end it.

    A Deleted view is the last one there was; of an object that vanished unseen, what its `trace` says, which is made
    before the change is told.
    """
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    feed = _Feed(kube, resource, namespace, {key: value for key, value in selectors.items() if value}, trace)
    while True:
        try:
            async with aclosing(feed.changes()) as changes:
                async for change in changes:
                    yield change
            kube.meter.count_watch_restart(resource.plural, "Closed")
        except (Unanswered, _RefusedError) as error:
            kube.meter.count_watch_restart(resource.plural, "Failed")
            feed.failed(error)
        await feed.wait()


class _RefusedError(Exception):
    """The server answered, but with something that the watch cannot go on from."""


class _Feed(Generic[T]):
    """The state of one list-and-watch: what is known, up to which version, and how often it failed in a row."""

    def __init__(
        self,
        kube: Kube,
        resource: Resource[T],
        namespace: str | None,
        query: Mapping[str, str],
        trace: Callable[[T], Trace[T]],
    ) -> None:
        self._kube = kube
        self._resource = resource
        self._namespace = namespace
        self._query = query
        self._trace = trace
        self._known: dict[str, Trace[T]] = {}  # by uid
        self._version = ""  # to watch from; "" asks for a list
        self._failures = 0
        self._refusals = 0

    async def changes(self) -> AsyncGenerator[Change[T], None]:
        """The changes of one list, if one is needed, and of one watch. Raises Unanswered and _RefusedError."""
        if not self._version:
            async with aclosing(self._list()) as listed:
                async for change in listed:
                    yield change
        async with aclosing(self._watch()) as watched:
            async for change in watched:
                yield change

    def failed(self, error: Exception) -> None:
        """Count one failure; too many refusals of one version ask for a new list."""
        self._failures += 1
        self._refusals += isinstance(error, _RefusedError)
        if self._refusals >= REFUSALS_MAX:
            self._version, self._refusals = "", 0
        log.log(
            logging.WARNING if self._failures >= len(BACKOFF_SECONDS) else logging.INFO,
            "watch of %s: %s",
            self._resource.plural,
            error,
        )

    async def wait(self) -> None:
        """Not at all after a success; else longer with each failure in a row."""
        if self._failures:
            seconds = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS)) - 1]
            await asyncio.sleep(seconds * (0.5 + random.random() / 2))

    # -- the list ----------------------------------------------------------------------------------------

    async def _list(self) -> AsyncGenerator[Change[T], None]:
        vanished, token = dict(self._known), ""
        while True:
            query = {**self._query, **({"continue": token} if token else {})}
            page = await self._kube.list_page(self._resource, namespace=self._namespace, query=query)
            if page is None:
                raise _RefusedError("the list's continue token has expired")
            for view in page.items:
                vanished.pop(view.metadata.uid, None)
                if (change := self._listed(view)) is not None:
                    yield change
            token = page.metadata.continue_
            if not token:
                break
        for uid, trace in vanished.items():
            del self._known[uid]
            yield Change(kind="Deleted", view=trace.view())
        self._version = page.metadata.resource_version
        self._failures = 0
        yield Change(kind="Synced", view=None)

    def _listed(self, view: T) -> Change[T] | None:
        known = self._known.get(view.metadata.uid)
        if known is not None and known.resource_version == view.metadata.resource_version:
            return None
        self._remember(view)
        return Change(kind="Added" if known is None else "Modified", view=view)

    # -- the watch ---------------------------------------------------------------------------------------

    async def _watch(self) -> AsyncGenerator[Change[T], None]:
        query = {
            **self._query,
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(SERVER_SECONDS + random.randrange(SERVER_SECONDS // 5)),
        }
        opening = self._kube.watch(
            self._resource, namespace=self._namespace, query=query, silence_seconds=SILENCE_SECONDS
        )
        begun = asyncio.get_running_loop().time()
        heard = False
        try:
            async with opening as (status, lines):
                self._kube.meter.count_request("watch", self._resource.plural, str(status))
                if status != HTTPStatus.OK:
                    self._refuse(status, "")
                async for line in lines:
                    change = self._event(line)
                    heard, self._failures, self._refusals = True, 0, 0
                    if change is not None:
                        yield change
        finally:
            lasted_seconds = asyncio.get_running_loop().time() - begun
            if not heard and lasted_seconds >= SILENCE_SECONDS:
                self._version = ""  # not even a bookmark: the server has not come as far as this version
        if not heard and lasted_seconds < CLOSED_AT_ONCE_SECONDS:
            raise Unanswered("the watch was closed as soon as it began")

    def _event(self, line: bytes) -> Change[T] | None:
        try:
            event = self._resource.event.decode(line)
        except msgspec.MsgspecError as error:
            raise _RefusedError(f"a line that cannot be read: {error}") from error
        match event:
            case BookmarkEvent():
                self._advance(event.object.metadata.resource_version)
                return None
            case ErrorEvent():
                self._refuse(event.object.code, event.object.message)
                return None
            case _:
                return self._changed(event)

    def _changed(self, event: AddedEvent[T] | ModifiedEvent[T] | DeletedEvent[T]) -> Change[T]:
        view = event.object
        self._advance(view.metadata.resource_version)
        if isinstance(event, DeletedEvent):
            self._known.pop(view.metadata.uid, None)
            return Change(kind="Deleted", view=view)
        self._remember(view)
        return Change(kind="Added" if isinstance(event, AddedEvent) else "Modified", view=view)

    def _remember(self, view: T) -> None:
        trace = self._trace(view)
        self._known[trace.uid] = trace

    def _advance(self, version: str) -> None:
        """Resume from here. Versions never fall."""
        if is_behind(version, self._version):
            self._version = ""
            raise _RefusedError(f"the server counts backwards, to {version}: its store was restored")
        self._version = version

    def _refuse(self, status: int, message: str) -> None:
        if status == HTTPStatus.GONE:
            self._version = ""
        raise _RefusedError(f"{status} {message}".rstrip())


def is_behind(version: str, known: str) -> bool:
    """Whether a resourceVersion is older: since Kubernetes 1.35 those of one resource compare as numbers (KEP-5504)."""
    return version.isdigit() and known.isdigit() and int(version) < int(known)
