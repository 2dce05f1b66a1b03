"""The fake's store: every object at its newest revision, a bounded history, and whoever listens to it.

Promises what etcd promises under an API server: one revision counter for everything, each write raises it by
one, a stored object is never changed in place, and a revision older than the window is gone for good.

And what an API server's watch cache adds to it: after etcd alone was restored, lists and watches still tell the lost
future, while a read of one object is right (design 02). See `restore`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]
FIRST_REVISION = 1_000
OBJECT_BYTES_MAX = 1_572_864  # 1.5 MiB, the limit of etcd's requests
HISTORY_MAX = 20_000  # changes that a watch can resume from or a list can be continued at; the rest is compacted


class Key(NamedTuple):
    """Where an object is stored."""

    plural: str
    namespace: str
    name: str


@dataclass(slots=True)
class Stored:
    """One version of one object. `object` may not be changed: copy it."""

    key: Key
    object: Json
    revision: int
    _encoded: bytes | None = field(default=None, repr=False)

    @property
    def uid(self) -> str:
        return str(self.object["metadata"]["uid"])

    def encoded(self) -> bytes:
        """JSON, encoded once."""
        if self._encoded is None:
            self._encoded = msgspec.json.encode(self.object)
        return self._encoded

    def draft(self) -> Json:
        """The object, free to be changed in its first two levels: the rest is shared with the store."""
        return {key: dict(value) if isinstance(value, dict) else value for key, value in self.object.items()}

    def copy(self) -> Json:
        """The object, free to be changed."""
        body: Json = msgspec.json.decode(self.encoded())
        return body


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what was there and what is there now."""

    revision: int
    key: Key
    before: Stored | None
    after: Stored | None


class TooLargeError(Exception):
    """An object that etcd does not take."""


class CompactedError(Exception):
    """The asked revision is older than the history."""


@dataclass(slots=True)
class LostFuture:
    """What the watch cache of an API server holds after etcd was restored under it.

    It hears of nothing until the revisions have come past the one it knows, and never of what was written before.
    """

    deaf_until: int
    revision: int
    objects: dict[str, dict[tuple[str, str], Stored]]

    def hear(self, change: Change) -> None:
        if change.revision <= self.deaf_until:
            return
        self.revision = change.revision
        of_kind, place = self.objects.setdefault(change.key.plural, {}), (change.key.namespace, change.key.name)
        if change.after is None:
            of_kind.pop(place, None)
        else:
            of_kind[place] = change.after


class Etcd:
    """Objects by key."""

    def __init__(self, history_max: int = HISTORY_MAX) -> None:
        self.revision = FIRST_REVISION
        self.compacted = FIRST_REVISION  # the oldest revision from which every later change is still known
        self.lost: LostFuture | None = None
        self.listeners: list[Callable[[Change], None]] = []  # of every change
        self._followers: dict[str, list[Callable[[Change], None]]] = {}
        self._objects: dict[str, dict[tuple[str, str], Stored]] = {}
        self._history: deque[Change] = deque()
        self._history_max = history_max

    def follow(self, plurals: Iterable[str], call: Callable[[Change], None]) -> None:
        """Tell of every change of these kinds."""
        for plural in plurals:
            self._followers.setdefault(plural, []).append(call)

    def tell_followers(self, change: Change) -> None:
        """A change of what they hear of; also one that a new list showed them."""
        for follower in self._followers.get(change.key.plural, ()):
            follower(change)

    def get(self, key: Key) -> Stored | None:
        return self._objects.get(key.plural, {}).get((key.namespace, key.name))

    def all(self, plural: str) -> list[Stored]:
        """Every object of a kind, in the order of keys."""
        return [stored for _, stored in sorted(self._objects.get(plural, {}).items())]

    def everything(self) -> dict[Key, Stored]:
        """Every object of every kind."""
        return {stored.key: stored for of_kind in self._objects.values() for stored in of_kind.values()}

    @property
    def cached_revision(self) -> int:
        """How far the API server's watch cache has come."""
        return self.revision if self.lost is None else self.lost.revision

    def cached(self, plural: str) -> list[Stored]:
        """What a list finds: every object of a kind in the watch cache, in the order of keys."""
        objects = self._objects if self.lost is None else self.lost.objects
        return [stored for _, stored in sorted(objects.get(plural, {}).items())]

    def put(self, key: Key, body: Json) -> Stored:
        """Store `body`, which now belongs to the store. Raises TooLargeError."""
        body["metadata"]["resourceVersion"] = str(self.revision + 1)
        stored = Stored(key, body, self.revision + 1)
        if len(stored.encoded()) > OBJECT_BYTES_MAX:
            raise TooLargeError
        before = self.get(key)
        self.revision += 1
        self._objects.setdefault(key.plural, {})[key.namespace, key.name] = stored
        self._tell(Change(self.revision, key, before, stored))
        return stored

    def delete(self, key: Key) -> None:
        self.revision += 1
        before = self._objects[key.plural].pop((key.namespace, key.name))
        self._tell(Change(self.revision, key, before, None))

    def since(self, revision: int, plural: str) -> list[Change]:
        """The changes of a kind after `revision`, oldest first. Raises CompactedError."""
        if revision < self.compacted:
            raise CompactedError
        later: list[Change] = []
        for change in reversed(self._history):
            if change.revision <= revision:
                break
            if change.key.plural == plural:
                later.append(change)
        later.reverse()
        return later

    def snapshot(self, revision: int, plural: str) -> list[Stored]:
        """Every object of a kind as it was at `revision`. Raises CompactedError."""
        objects = dict(self._objects.get(plural, {}))
        for change in reversed(self.since(revision, plural)):
            place = change.key.namespace, change.key.name
            if change.before is None:
                objects.pop(place, None)
            else:
                objects[place] = change.before
        return [stored for _, stored in sorted(objects.items())]

    def is_intact(self) -> bool:
        """Whether no version that is known was changed in place."""
        versions = (stored for change in self._history for stored in (change.before, change.after) if stored)
        return all(msgspec.json.encode(stored.object) == stored.encoded() for stored in versions)

    def compact(self) -> None:
        """Forget the whole history: no watch can resume, no list can be continued."""
        self._history.clear()
        self.compacted = self.revision

    def restore(self, revision: int, *, under_a_live_server: bool = False) -> None:
        """Go back to what was stored at `revision`, silently, as when etcd's backup is restored.

        The API server is started anew with it; or it lives on and keeps its watch cache, until `restart_server`.
        """
        objects = {plural: dict(of_kind) for plural, of_kind in self._objects.items()}
        lost = LostFuture(self.revision, self.revision, objects)
        for plural in list(self._objects):
            kept = self.snapshot(revision, plural)
            self._objects[plural] = {(stored.key.namespace, stored.key.name): stored for stored in kept}
        self.revision = revision
        self.compact()
        self.lost = lost if under_a_live_server else None

    def restart_server(self) -> None:
        """A new API server, whose watch cache is read from what is stored now. Its watches are to be ended, too."""
        self.lost = None

    def _tell(self, change: Change) -> None:
        if self.lost is not None:
            self.lost.hear(change)
        self._history.append(change)
        if len(self._history) > self._history_max:
            self.compacted = self._history.popleft().revision
        self.tell_followers(change)
        for listener in list(self.listeners):
            listener(change)
