"""The fake garbage collector: owner references, foreground and orphan deletion, each with a lag.

Its view lags behind the store, by the seed and for each object apart: that a Job is gone proves nothing about
its pods (design 02, "Proof of Cancelled").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .etcd import Change, Json, Key, Stored
from .refusals import Refused
from .registry import FOREGROUND, ORPHAN, Make

if TYPE_CHECKING:
    from .apiserver import ApiServer

Argument = TypeVar("Argument")
USER = "garbage-collector"


class Collector:
    """Acts on what it is told of changes, a little later."""

    def __init__(self, server: ApiServer, lag_seconds: float = 0.2) -> None:
        self._server = server
        self.lag_seconds = lag_seconds
        self._live: dict[str, Key] = {}  # uid -> where
        self._dependents: dict[str, set[Key]] = {}  # owner uid -> where
        server.etcd.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        before, after = change.before, change.after
        if before is not None and (after is None or after.uid != before.uid):
            self._live.pop(before.uid, None)
        for owner in _owners(before):
            self._dependents.get(owner["uid"], set()).discard(change.key)
        for owner in _owners(after):
            self._dependents.setdefault(owner["uid"], set()).add(change.key)
        if after is None:
            assert before is not None
            for key in sorted(self._dependents.get(before.uid, ())):
                self._soon(self._collect, key)
            for owner in _owners(before):
                self._soon(self._finalise, owner["uid"])
            return
        self._live[after.uid] = change.key
        if any(owner["uid"] not in self._live for owner in _owners(after)):
            self._soon(self._collect, change.key)
        if "deletionTimestamp" in after.object["metadata"]:
            self._soon(self._finalise, after.uid)

    def _soon(self, act: Callable[[Argument], None], argument: Argument) -> None:
        self._server.later(self._server.jitter(self.lag_seconds), act, argument)

    def _collect(self, key: Key) -> None:
        """Delete an object none of whose owners is left."""
        stored = self._server.etcd.get(key)
        owners = _owners(stored)
        if stored is None or not owners or any(owner["uid"] in self._live for owner in owners):
            return
        self._delete(stored)

    def _delete(self, stored: Stored) -> None:
        if "deletionTimestamp" in stored.object["metadata"]:
            return
        key, guard = stored.key, {"uid": stored.uid}
        self._server.delete(
            key.plural, key.namespace, key.name, user=USER, propagationPolicy="Background", preconditions=guard
        )

    def _finalise(self, uid: str) -> None:
        """Go on with the deletion of an object that waits for its dependents."""
        key = self._live.get(uid)
        stored = self._server.etcd.get(key) if key is not None else None
        if stored is None or "deletionTimestamp" not in stored.object["metadata"]:
            return
        finalizers = stored.object["metadata"].get("finalizers", ())
        dependents = [self._server.etcd.get(each) for each in sorted(self._dependents.get(uid, ()))]
        if ORPHAN in finalizers:
            for dependent in dependents:
                if dependent is not None:
                    self._update(dependent, lambda body: _without_owner(body, uid))
            self._update(stored, lambda body: _without_finalizer(body, ORPHAN))
        elif FOREGROUND in finalizers:
            for dependent in dependents:
                if dependent is not None:
                    self._delete(dependent)
            if not any(_blocks(dependent, uid) for dependent in dependents if dependent is not None):
                self._update(stored, lambda body: _without_finalizer(body, FOREGROUND))

    def _update(self, stored: Stored, make: Make) -> None:
        key = stored.key
        try:
            self._server.update(key.plural, key.namespace, key.name, make, user=USER)
        except Refused:
            return  # it is gone already


def _owners(stored: Stored | None) -> list[Json]:
    return [] if stored is None else stored.object["metadata"].get("ownerReferences", [])


def _blocks(stored: Stored, uid: str) -> bool:
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in _owners(stored))


def _without_owner(body: Json, uid: str) -> Json:
    metadata = body["metadata"]
    metadata["ownerReferences"] = [owner for owner in metadata.get("ownerReferences", ()) if owner["uid"] != uid]
    if not metadata["ownerReferences"]:
        del metadata["ownerReferences"]
    return body


def _without_finalizer(body: Json, finalizer: str) -> Json:
    metadata = body["metadata"]
    metadata["finalizers"] = [each for each in metadata.get("finalizers", ()) if each != finalizer]
    return body
