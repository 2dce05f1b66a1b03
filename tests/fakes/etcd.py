"""The fake's store: every object at its newest revision, a bounded history, and whoever listens to it.

Promises what etcd promises under an API server: one revision counter for everything, each write raises it by
one, a stored object is never changed in place, and a revision older than the window is gone for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]
FIRST_REVISION = 1_000
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


class CompactedError(Exception):
    """The asked revision is older than the history."""


class Etcd:
    """Objects by key."""

    def __init__(self, history_max: int = HISTORY_MAX) -> None:
        self.revision = FIRST_REVISION
        self.compacted = FIRST_REVISION  # the oldest revision from which every later change is still known
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[str, dict[tuple[str, str], Stored]] = {}
        self._history: deque[Change] = deque()
        self._history_max = history_max

    def get(self, key: Key) -> Stored | None:
        return self._objects.get(key.plural, {}).get((key.namespace, key.name))

    def all(self, plural: str) -> list[Stored]:
        """Every object of a kind, in the order of keys."""
        return [stored for _, stored in sorted(self._objects.get(plural, {}).items())]

    def put(self, key: Key, body: Json) -> Stored:
        """Store `body`, which now belongs to the store."""
        before = self.get(key)
        self.revision += 1
        body["metadata"]["resourceVersion"] = str(self.revision)
        stored = Stored(key, body, self.revision)
        self._objects.setdefault(key.plural, {})[key.namespace, key.name] = stored
        self._tell(Change(self.revision, key, before, stored))
        return stored

    def delete(self, key: Key) -> None:
        self.revision += 1
        before = self._objects[key.plural].pop((key.namespace, key.name))
        self._tell(Change(self.revision, key, before, None))

    def since(self, revision: int, plural: str) -> Iterator[Change]:
        """The changes of a kind after `revision`, oldest first. Raises CompactedError."""
        if revision < self.compacted:
            raise CompactedError
        return (change for change in self._history if change.revision > revision and change.key.plural == plural)

    def snapshot(self, revision: int, plural: str) -> list[Stored]:
        """Every object of a kind as it was at `revision`. Raises CompactedError."""
        objects = dict(self._objects.get(plural, {}))
        for change in reversed(list(self.since(revision, plural))):
            place = change.key.namespace, change.key.name
            if change.before is None:
                objects.pop(place, None)
            else:
                objects[place] = change.before
        return [stored for _, stored in sorted(objects.items())]

    def compact(self) -> None:
        """Forget the whole history: no watch can resume, no list can be continued."""
        self._history.clear()
        self.compacted = self.revision

    def restore(self, revision: int) -> None:
        """Go back to what was stored at `revision`, silently, as when etcd's backup is restored."""
        for plural in list(self._objects):
            kept = self.snapshot(revision, plural)
            self._objects[plural] = {(stored.key.namespace, stored.key.name): stored for stored in kept}
        self.revision = revision
        self.compact()

    def _tell(self, change: Change) -> None:
        self._history.append(change)
        if len(self._history) > self._history_max:
            self.compacted = self._history.popleft().revision
        for listener in list(self.listeners):
            listener(change)
