"""The list of Workflows, read once and then watched.

Promises: at most WORKFLOWS_MAX are shown, and it is said where there are more; whatever fails is told to the feed and
tried again after a growing wait, at most WAIT_SECONDS_MAX. Each watch is ended by the API server after WATCH_SECONDS.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from kipu.core.errors import KipuError
from kipu.eventlog.ports import Unanswered

from ..cluster import PAGE_OBJECTS, REQUEST_SECONDS, WORKFLOWS, Cluster, refused
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
        except _Forbidden as error:
            if self._namespace is not None:
                raise error.why from None
            self._namespace = self._cluster.namespace  # not all may be listed: the context's own
            try:
                found = await self._pages()
            except _Forbidden as again:
                raise again.why from None
        self._feed.replace(found)

    async def _pages(self) -> dict[Key, Summary]:
        query, found, self._version = {"limit": str(PAGE_OBJECTS)}, dict[Key, Summary](), ""
        while True:
            answer = await self._cluster.get(self._path, query)
            if answer.status == HTTPStatus.FORBIDDEN:
                raise _Forbidden(refused(answer, f"list {self._path}"))
            if answer.status != HTTPStatus.OK:
                raise refused(answer, f"list {self._path}")
            body: Any = answer.body
            found |= {key(told): told for told in map(summary, body.get("items", []))}
            metadata = body.get("metadata", {})
            self._version = metadata.get("resourceVersion", "")
            rest = metadata.get("continue")
            if not rest or len(found) >= WORKFLOWS_MAX:
                self._feed.tell(
                    f"only the first {len(found)} workflows are shown: name a namespace by -n" if rest else ""
                )
                return found
            query["continue"] = rest

    @property
    def _path(self) -> str:
        return (
            f"{WORKFLOWS}/workflows"
            if self._namespace is None
            else f"{WORKFLOWS}/namespaces/{self._namespace}/workflows"
        )

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
        opened = await self._cluster.open(self._path, query, read_seconds=WATCH_SECONDS + REQUEST_SECONDS)
        if not isinstance(opened, Stream):
            raise refused(opened, f"watch {self._path}")
        try:
            while (line := await opened.line()) is not None:
                self._take(_parsed(line))
        finally:
            await opened.close()

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


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        change: Mapping[str, Any] = json.loads(line)
    except ValueError as error:
        raise Unanswered(f"the watch broke off within a line: {error}") from error
    return change


class _Forbidden(Exception):
    def __init__(self, why: KipuError) -> None:
        super().__init__(str(why))
        self.why = why
