"""One watch of the fake API server: the changes of a selection as lines, in order, with all the ways it can end."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum

import msgspec

from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_http import Request

from .etcd import Change, CompactedError, Etcd, Json, Stored
from .refusals import Refused
from .selectors import Predicate, select
from .wire import Target

BOOKMARK_SECONDS, BOOKMARK_BEFORE_END_SECONDS = 60.0, 2.0
SERVER_SECONDS = 1_800.0
REPEATED_MAX = 8  # changes that `repeat` can tell again
ROUNDING_SECONDS = 1e-4  # a timer may fire this much before its time, in floats


class End(Enum):
    """How a watch ends, other than by its client."""

    CLOSED = "closed"  # an orderly end of the stream, without a word
    RESET = "reset"  # the connection breaks
    MUTE = "mute"  # it stays open and says nothing more


@dataclass(slots=True)
class _Line:
    due: float  # loop time
    data: bytes


class Watch:
    """Fed by the store, read by one transport."""

    def __init__(
        self, etcd: Etcd, target: Target, request: Request, rng: random.Random, lag_seconds: float, *, user: str
    ) -> None:
        query = request.query
        self.user = user
        self.plural = target.kind.plural
        self._etcd = etcd
        self.namespace = target.namespace
        self._chosen: Predicate = select(self.plural, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        self._bookmarks = query.get("allowWatchBookmarks") == "true"
        self._head = {"kind": target.kind.kind, "apiVersion": target.kind.api_version}
        self._loop = asyncio.get_running_loop()
        self._closes_at = self._loop.time() + float(query.get("timeoutSeconds") or SERVER_SECONDS)
        self._rng, self._lag_seconds = rng, lag_seconds
        self._lines: deque[_Line] = deque()
        self._said: deque[bytes] = deque(maxlen=REPEATED_MAX)
        self._held_until = 0.0
        self._news = asyncio.Event()
        self._end: End | None = None
        self._after = 0
        self._begin(query.get("resourceVersion", ""))

    def _begin(self, version: str) -> None:
        """Replay what came after `version`; without one, start with what is there."""
        if not version.isdigit() and version:
            raise Refused(500, "", f'resourceVersion: Invalid value: "{version}": invalid syntax')
        if version in ("", "0"):
            for stored in self._etcd.cached(self.plural):
                if self._selects(stored):
                    self._say("ADDED", stored.encoded())
            return
        self._after = int(version)  # may be ahead of a store that was restored: then nothing comes for long
        try:
            for change in self._etcd.since(int(version), self.plural):
                self.feed(change)
        except CompactedError:
            self.fail(410, "Expired", f"too old resource version: {version} ({self._etcd.compacted})")

    # -- what is fed in ----------------------------------------------------------------------------------

    def feed(self, change: Change) -> None:
        """One write of the store."""
        if change.key.plural != self.plural or change.revision <= self._after or self._end is not None:
            return
        if self._etcd.lost is not None and change.revision <= self._etcd.lost.deaf_until:
            return
        was, now = self._selects(change.before), self._selects(change.after)
        if change.after is not None and now:
            self._say("MODIFIED" if was else "ADDED", change.after.encoded())
        elif change.before is not None and was:
            last: Json = change.before.copy()
            last["metadata"]["resourceVersion"] = str(change.revision)
            self._say("DELETED", msgspec.json.encode(last))

    def fail(self, code: int, reason: str, message: str) -> None:
        """An ERROR event, and the end."""
        self.say_raw(msgspec.json.encode({"type": "ERROR", "object": Refused(code, reason, message).body()}))
        self.end(End.CLOSED)

    def end(self, how: End) -> None:
        """End it once what was said has been read."""
        self._end = how
        self._news.set()

    def hold(self, seconds: float) -> None:
        """Nothing that is said from now on is heard before so many seconds have passed."""
        self._held_until = self._loop.time() + seconds

    def repeat(self, count: int) -> None:
        """Say the last changes once more."""
        if self._end is None:
            for line in list(self._said)[-count:]:
                self.say_raw(line)

    def say_raw(self, line: bytes) -> None:
        """Any line at all."""
        due = max(self._loop.time() + self._lag_seconds * self._rng.random(), self._held_until)
        if self._lines:
            due = max(due, self._lines[-1].due)  # order is kept
        self._lines.append(_Line(due, line))
        self._news.set()

    def _say(self, kind: str, body: bytes) -> None:
        line = b'{"type":"%s","object":%s}' % (kind.encode(), body)
        self._said.append(line)
        self.say_raw(line)

    def _selects(self, stored: Stored | None) -> bool:
        if stored is None or (self.namespace is not None and stored.key.namespace != self.namespace):
            return False
        return self._chosen(stored.object)

    # -- what is read ------------------------------------------------------------------------------------

    async def lines(self, silence_seconds: float) -> AsyncIterator[bytes]:
        """Until the end. Raises Unanswered after a reset and after `silence_seconds` without a line."""
        heard_at = self._loop.time()
        bookmark_at = self._next_bookmark(heard_at)
        while True:
            while self._lines:
                line = self._lines[0]
                if line.due > self._loop.time():
                    await asyncio.sleep(line.due - self._loop.time())
                self._lines.popleft()
                heard_at = self._loop.time()
                yield line.data
            now = self._loop.time() + ROUNDING_SECONDS
            if self._end is End.CLOSED or (self._end is None and now >= self._closes_at):
                return
            if self._end is End.RESET:
                raise Unanswered("connection reset by peer")
            if self._bookmarks and self._end is None and now >= bookmark_at:
                bookmark_at = self._next_bookmark(now)
                self._bookmark()
                continue
            if now >= heard_at + silence_seconds:
                raise Unanswered(f"nothing was heard for {silence_seconds} s")
            await self._wait(heard_at + silence_seconds, bookmark_at)

    async def _wait(self, silent_at: float, bookmark_at: float) -> None:
        wake_at = silent_at
        if self._end is None:
            wake_at = min(wake_at, self._closes_at, bookmark_at if self._bookmarks else silent_at)
        self._news.clear()
        try:
            async with asyncio.timeout_at(max(wake_at, self._loop.time())):
                await self._news.wait()
        except TimeoutError:
            pass

    def _next_bookmark(self, now: float) -> float:
        """Every minute, and shortly before the end that is set."""
        before_end = self._closes_at - BOOKMARK_BEFORE_END_SECONDS
        return min(now + BOOKMARK_SECONDS, before_end if before_end > now else self._closes_at)

    def _bookmark(self) -> None:
        """Only of a version that the watch has come to."""
        lost, revision = self._etcd.lost, self._etcd.cached_revision
        if revision < self._after or (lost is not None and revision == self._after):
            return
        metadata = {"resourceVersion": str(revision)}
        self.say_raw(msgspec.json.encode({"type": "BOOKMARK", "object": {**self._head, "metadata": metadata}}))
