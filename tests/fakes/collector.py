"""The fake garbage collector: owner references, foreground and orphan deletion.

As the real one does, it finds out what may have to go from its caches, which lag behind the store for Jobs, pods
and all else apart, and asks the store itself before it deletes anything. So nothing whose owner is there is ever
collected; but a Job that is deleted in the foreground may go before a pod of its that the collector has not heard
of, and that a Job is gone proves nothing about its pods (design 02, "Proof of Cancelled").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .etcd import Change, Json, Key, Stored
from .informers import Informer
from .kinds import KINDS
from .refusals import Refused
from .registry import FOREGROUND, ORPHAN

if TYPE_CHECKING:
    from .apiserver import ApiServer

USER = "garbage-collector"
TIES = ("ownerReferences", "finalizers", "deletionTimestamp")
PLURALS = {kind.kind: kind.plural for kind in KINDS}


class Collector:
    """A graph of what was heard, and a queue of uids to look at."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._known: dict[str, Stored] = {}  # by uid, as heard
        self._dependents: dict[str, dict[str, None]] = {}  # owner's uid -> dependents' uids, as heard, in order
        self._queued: set[str] = set()
        others = sorted({kind.plural for kind in KINDS} - {"jobs", "pods", "events"})  # events it ignores
        Informer(server, ["jobs"], lambda lags: lags.collector_jobs_seconds, self._heard, _changes_ties)
        Informer(server, ["pods"], lambda lags: lags.collector_pods_seconds, self._heard, _changes_ties)
        Informer(server, others, lambda lags: lags.collector_others_seconds, self._heard, _changes_ties)

    def restored(self) -> None:
        """The store went back: begin anew. What is there, it is told next."""
        self._known.clear()
        self._dependents.clear()

    # -- the graph ---------------------------------------------------------------------------------------

    def _heard(self, change: Change) -> None:
        if change.after is None:
            assert change.before is not None
            self._forget(change.before)
            return
        after, known = change.after, self._known.get(change.after.uid)
        self._known[after.uid] = after
        self._link(known, after)
        if known is None and any(owner["uid"] not in self._known for owner in _owners(after)):
            self._enqueue(after.uid)  # its owner may never have been there
        if _waits(after) and not _waits(known):
            self._enqueue(after.uid)

    def _link(self, known: Stored | None, after: Stored) -> None:
        owners = {owner["uid"]: None for owner in _owners(after)}
        for owner in _owners(known):
            if owner["uid"] not in owners:
                self._unlink(owner["uid"], after.uid)
        for uid in owners:
            self._dependents.setdefault(uid, {})[after.uid] = None

    def _forget(self, gone: Stored) -> None:
        self._known.pop(gone.uid, None)
        for uid in self._dependents.pop(gone.uid, {}):
            self._enqueue(uid)
        for owner in _owners(gone):
            self._unlink(owner["uid"], gone.uid)

    def _unlink(self, owner_uid: str, uid: str) -> None:
        """One dependent less; whoever waits for the last one is looked at again."""
        self._dependents.get(owner_uid, {}).pop(uid, None)
        if _waits(self._known.get(owner_uid)):
            self._enqueue(owner_uid)

    def _enqueue(self, uid: str) -> None:
        if uid not in self._queued:
            self._queued.add(uid)
            self._server.later(self._server.jitter(self._server.lags.collector_work_seconds), self._look_at, uid)

    # -- the work ----------------------------------------------------------------------------------------

    def _look_at(self, uid: str) -> None:
        self._queued.discard(uid)
        heard = self._known.get(uid)
        if heard is None:
            return
        finalizers = heard.object["metadata"].get("finalizers", ())
        leaving = "deletionTimestamp" in heard.object["metadata"]
        if leaving and ORPHAN in finalizers:
            self._orphan(heard)
        elif leaving and FOREGROUND in finalizers:
            self._finish(heard)
        elif not leaving:
            self._collect(heard)

    def _orphan(self, heard: Stored) -> None:
        for dependent in self._dependents_of(heard.uid):
            self._update(dependent, lambda body: _without_owners(body, {heard.uid}))
        self._update(heard, lambda body: _without_finalizer(body, ORPHAN))

    def _finish(self, heard: Stored) -> None:
        """Go on with a foreground deletion: the dependents first."""
        blocking = [each for each in self._dependents_of(heard.uid) if _blocks(each, heard.uid)]
        for dependent in blocking:
            self._enqueue(dependent.uid)
        if not blocking:
            self._update(heard, lambda body: _without_finalizer(body, FOREGROUND))

    def _collect(self, heard: Stored) -> None:
        """Delete it if the store itself says that none of its owners is left, or that they wait for it to go."""
        live = self._live(heard.key, heard.uid)
        owners = _owners(live)
        if live is None or not owners:
            return
        standing = {owner["uid"]: self._live(_key_of(owner, heard.key.namespace), owner["uid"]) for owner in owners}
        useless = {uid for uid, owner in standing.items() if owner is None or _is_foreground(owner)}
        if len(useless) < len(standing):
            if useless:
                self._update(live, lambda body: _without_owners(body, useless))
            return
        waited_for = any(standing.values()) and self._dependents.get(heard.uid)
        self._delete(live, "Foreground" if waited_for else _policy(live))

    def _delete(self, live: Stored, policy: str) -> None:
        key, options = live.key, {"propagationPolicy": policy, "preconditions": {"uid": live.uid}}
        try:
            self._server.delete(key.plural, key.namespace, key.name, user=USER, **options)
        except Refused:
            return  # by a policy of the test

    def _update(self, stored: Stored, make: Callable[[Json], Json]) -> None:
        key = stored.key
        if self._live(key, stored.uid) is None:
            return
        try:
            self._server.amend(key.plural, key.namespace, key.name, make, user=USER)
        except Refused:
            return  # by a policy of the test

    def _live(self, key: Key, uid: str) -> Stored | None:
        """What the store has, if it is still this one."""
        stored = self._server.etcd.get(key)
        return stored if stored is not None and stored.uid == uid else None

    def _dependents_of(self, uid: str) -> list[Stored]:
        return [self._known[each] for each in self._dependents.get(uid, {}) if each in self._known]


def _changes_ties(change: Change) -> bool:
    """Whether anything of it is in the graph: most changes are of a spec or a status."""
    if change.before is None or change.after is None:
        return True
    before, after = change.before.object["metadata"], change.after.object["metadata"]
    return any(before.get(key) != after.get(key) for key in TIES)


def _owners(stored: Stored | None) -> list[Json]:
    return [] if stored is None else stored.object["metadata"].get("ownerReferences", [])


def _key_of(owner: Json, namespace: str) -> Key:
    return Key(PLURALS.get(owner["kind"], ""), namespace, owner["name"])


def _waits(stored: Stored | None) -> bool:
    """Whether its deletion has begun and is the collector's to finish."""
    if stored is None or "deletionTimestamp" not in stored.object["metadata"]:
        return False
    finalizers = stored.object["metadata"].get("finalizers", ())
    return FOREGROUND in finalizers or ORPHAN in finalizers


def _is_foreground(stored: Stored) -> bool:
    return _waits(stored) and FOREGROUND in stored.object["metadata"]["finalizers"]


def _policy(stored: Stored) -> str:
    """What whoever deletes it has asked for already."""
    finalizers = stored.object["metadata"].get("finalizers", ())
    return "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"


def _blocks(stored: Stored, uid: str) -> bool:
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in _owners(stored))


def _without_owners(body: Json, uids: set[str]) -> Json:
    metadata = body["metadata"]
    metadata["ownerReferences"] = [each for each in metadata.get("ownerReferences", ()) if each["uid"] not in uids]
    if not metadata["ownerReferences"]:
        del metadata["ownerReferences"]
    return body


def _without_finalizer(body: Json, finalizer: str) -> Json:
    metadata = body["metadata"]
    metadata["finalizers"] = [each for each in metadata.get("finalizers", ()) if each != finalizer]
    return body
