"""The list of Workflows, read once and then watched.

Promises: at most WORKFLOWS_MAX are shown, and it is said where there are more; whatever fails is told to the feed and
tried again after a growing wait, at most WAIT_SECONDS_MAX. Each watch is ended by the API server after WATCH_SECONDS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from kipu.core.errors import KipuError

from ..cluster import REQUEST_SECONDS, Cluster, read_page, refused, workflows_of
from ..errors import NoRight
from ..streaming import Stream
from .feed import Feed
from .summaries import Key, Summary, key, summary

WORKFLOWS_MAX = 5_000  # x 1 KB of what is shown
WATCH_SECONDS = 290
WAIT_SECONDS = 1.0
WAIT_SECONDS_MAX = 30.0
Sleep = Callable[[float], Awaitable[None]]


class ListIsOld(KipuError):
    """The watch cannot go on from where it was: the list is to be read anew."""


class Watching:
    """Of all namespaces, or of one."""

    def __init__(self, cluster: Cluster, feed: Feed, namespace: str | None, sleep: Sleep) -> None:
        self._cluster = cluster
        self._feed = feed
        self._namespace = namespace
        self._sleep = sleep
        self._version = ""

    @property
    def label(self) -> str:
        """Whose Workflows are shown."""
        where = "all namespaces" if self._namespace is None else f"namespace {self._namespace}"
        return f"{where} of {self._cluster.client.configuration.host}"

    async def read(self) -> None:
        """Read it, whole. Raises KipuError."""
        try:
            found = await self._pages()
        except NoRight:
            if self._namespace is not None:
                raise
            self._namespace = self._cluster.namespace  # not all may be listed: the context's own
            found = await self._pages()
        self._feed.replace(found)

    async def _pages(self) -> dict[Key, Summary]:
        query, found, self._version = dict[str, str](), dict[Key, Summary](), ""
        while True:
            page = await read_page(self._cluster, workflows_of(self._namespace), query)
            found |= {key(told): told for told in map(summary, page.items)}
            self._version = page.version
            if not page.rest or len(found) >= WORKFLOWS_MAX:
                self._feed.tell(
                    f"only the first {len(found)} workflows are shown: name a namespace by -n" if page.rest else ""
                )
                return found
            query["continue"] = page.rest

    async def follow(self) -> None:
        """Watch, for ever."""
        wait = WAIT_SECONDS
        while True:
            try:
                if not self._version:
                    await self.read()
                await self._watch()
                wait = WAIT_SECONDS
            except ListIsOld:
                self._version = ""
            except KipuError as error:
                self._feed.tell(f"{error}; what is shown may be old")
                self._version = ""
                await self._sleep(wait)
                wait = min(2 * wait, WAIT_SECONDS_MAX)

    async def _watch(self) -> None:
        query = {"watch": "true", "resourceVersion": self._version, "timeoutSeconds": str(WATCH_SECONDS)}
        query["allowWatchBookmarks"] = "true"
        path = workflows_of(self._namespace)
        opened = await self._cluster.open(path, query, read_seconds=WATCH_SECONDS + REQUEST_SECONDS)
        if not isinstance(opened, Stream):
            raise refused(opened, f"watch {path}")
        async with aclosing(opened.changes()) as changes:
            async for change in changes:
                self._take(change)

    def _take(self, change: Mapping[str, Any]) -> None:
        body = change.get("object") or {}
        if change.get("type") == "ERROR":
            raise ListIsOld(str(body.get("message", "")))
        self._version = body["metadata"]["resourceVersion"]
        if change.get("type") == "BOOKMARK":
            return
        told = summary(body)
        is_gone = change.get("type") == "DELETED"
        if is_gone or key(told) in self._feed.summaries or len(self._feed.summaries) < WORKFLOWS_MAX:
            self._feed.change({key(told): None if is_gone else told})
