"""The fake API server's semantics, on dicts: what a create, an update and a delete do to what is stored.

Every rule is one that the conformance suite also asks of a real API server. Nothing here knows of HTTP.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from .admission import Attempt
from .clock import LoopClock, timestamp
from .etcd import Etcd, Json, Key, Stored, TooLargeError
from .kinds import Kind
from .refusals import (
    already_exists,
    bad_request,
    invalid,
    not_found,
    precondition,
    stale,
    too_large_for_etcd,
)

NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
WITH_EMPTY_STATUS = ("jobs", "resourcequotas")
_SYSTEM = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace")

Make = Callable[[Stored], Json]
Admit = Callable[[Attempt], None]


class Registry:
    """Creates, reads, updates and deletes."""

    def __init__(self, etcd: Etcd, clock: LoopClock, rng: random.Random, admit: Admit) -> None:
        self._etcd = etcd
        self._admit = admit
        self._clock = clock
        self._rng = rng

    def get(self, kind: Kind, namespace: str, name: str) -> Stored:
        stored = self._etcd.get(Key(kind.plural, namespace, name))
        if stored is None:
            raise not_found(kind.resource, name)
        return stored

    # -- create ------------------------------------------------------------------------------------------

    def create(self, kind: Kind, namespace: str, body: Json, *, user: str = "") -> Stored:
        """`body` then belongs to the store. Raises Refused."""
        metadata = body.setdefault("metadata", {})
        if metadata.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        name = metadata.get("name") or self._generate(metadata)
        kind.check_name(name)
        metadata.update(
            name=name,
            namespace=namespace,
            uid=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            creationTimestamp=timestamp(self._clock.now()),
        )
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            metadata.pop(key, None)
        if kind.has_generation:
            metadata["generation"] = 1
        if kind.has_status:
            body.pop("status", None)
        body["apiVersion"], body["kind"] = kind.api_version, kind.kind
        kind.prepare(body)
        self._admit(Attempt(user=user, verb="create", kind=kind, namespace=namespace, name=name, after=body))
        place = Key(kind.plural, namespace, name)
        if (standing := self._etcd.get(place)) is not None:
            leaving = "deletionTimestamp" in standing.object["metadata"]
            raise already_exists(kind.resource, name, leaving=leaving)
        if kind.plural in WITH_EMPTY_STATUS:
            body["status"] = {}
        return self._put(place, body)

    def _generate(self, metadata: Json) -> str:
        prefix = metadata.get("generateName")
        if not prefix:
            raise invalid("Object", "", "metadata.name", "Required value: name or generateName is required")
        return str(prefix)[:58] + "".join(self._rng.choice(NAME_LETTERS) for _ in range(5))

    # -- update ------------------------------------------------------------------------------------------

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        make: Make,
        *,
        status: bool = False,
        is_patch: bool = True,
        user: str = "",
    ) -> Stored:
        """Replace the object by what `make` makes of it. Raises Refused; a change of nothing is no write."""
        key = Key(kind.plural, namespace, name)
        if kind.is_made_by_update and not is_patch and self._etcd.get(key) is None:
            return self._made(kind, namespace, name, make(Stored(key, {}, 0)), user)
        current = self.get(kind, namespace, name)
        given = make(current)
        self._check_guards(kind, current, given, is_patch=is_patch, status=status)
        updated = self._with_status(current, given) if status else self._with_spec(kind, current, given)
        if updated == current.object:
            return current
        kind.check(current.object, updated)
        self._admit(
            Attempt(
                user=user,
                verb="update",
                kind=kind,
                namespace=namespace,
                name=name,
                is_status=status,
                before=current.object,
                after=updated,
            )
        )
        return self._put_or_remove(current.key, updated)

    def _made(self, kind: Kind, namespace: str, name: str, given: Json, user: str) -> Stored:
        """An update of an absent object, where it creates one: of another one than it names it does not."""
        if uid := given.get("metadata", {}).get("uid"):
            raise precondition(kind.resource, name, "UID", uid, "")
        return self.create(kind, namespace, given, user=user)

    def _check_guards(self, kind: Kind, current: Stored, given: Json, *, is_patch: bool, status: bool) -> None:
        before, after = current.object["metadata"], given.get("metadata", {})
        name = before["name"]
        if after.get("name", name) != name:
            why = f"the name of the object ({after['name']}) does not match the name on the URL ({name})"
            raise bad_request(why)
        if kind.needs_version and not is_patch and not after.get("resourceVersion"):
            why = "Invalid value: must be specified for an update"
            raise invalid(kind.title, name, "metadata.resourceVersion", why)
        if after.get("resourceVersion") and after["resourceVersion"] != before["resourceVersion"]:
            raise stale(kind.resource, name)
        uid = after.get("uid") or before["uid"]
        if uid == before["uid"] or (is_patch and status and kind.is_custom):
            return  # the status strategy of custom resources takes the metadata of what is stored: no guard at all
        if is_patch:
            raise invalid(kind.title, name, "metadata.uid", f'Invalid value: "{uid}": field is immutable')
        raise precondition(kind.resource, name, "UID", uid, before["uid"])

    def _with_status(self, current: Stored, given: Json) -> Json:
        updated = {key: value for key, value in current.object.items() if key != "status"}
        updated["metadata"] = dict(current.object["metadata"])
        if "status" in given:
            updated["status"] = given["status"]
        return updated

    def _with_spec(self, kind: Kind, current: Stored, given: Json) -> Json:
        before = current.object
        metadata = dict(given.get("metadata") or {})
        given = {**given, "metadata": metadata}
        for key in (*_SYSTEM, "name", "resourceVersion"):
            if key in before["metadata"]:
                metadata[key] = before["metadata"][key]
            else:
                metadata.pop(key, None)
        if not metadata.get("finalizers"):
            metadata.pop("finalizers", None)
        if metadata.get("managedFields") == [{}]:  # how a writer has the bookkeeping switched off
            metadata.pop("managedFields")
        if kind.has_status:
            given.pop("status", None)
            if "status" in before:
                given["status"] = before["status"]
        if kind.has_generation and kind.plural != "pods" and before.get("spec") != given.get("spec"):
            metadata["generation"] += 1  # a pod's spec changes only when it is bound, which is no new generation
        added = set(metadata.get("finalizers", ())) - set(before["metadata"].get("finalizers", ()))
        if added and "deletionTimestamp" in metadata:
            why = "Forbidden: no new finalizers can be added if the object is being deleted"
            raise invalid(kind.title, metadata["name"], "metadata.finalizers", why)
        given["apiVersion"], given["kind"] = kind.api_version, kind.kind
        return given

    def _put_or_remove(self, key: Key, body: Json) -> Stored:
        metadata = body["metadata"]
        ended = not metadata.get("finalizers") and metadata.get("deletionGracePeriodSeconds") == 0
        if "deletionTimestamp" in metadata and ended:
            self._etcd.delete(key)
            return Stored(key, body, self._etcd.revision)
        return self._put(key, body)

    def _put(self, key: Key, body: Json) -> Stored:
        try:
            return self._etcd.put(key, body)
        except TooLargeError:
            raise too_large_for_etcd(key.plural, key.name) from None

    # -- delete ------------------------------------------------------------------------------------------

    def delete(self, kind: Kind, namespace: str, name: str, options: Json, *, user: str = "") -> tuple[Stored, bool]:
        """The object as it is now, and whether it is gone. Raises Refused."""
        current = self.get(kind, namespace, name)
        metadata = current.object["metadata"]
        guards = options.get("preconditions") or {}
        for key, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if guards.get(key) and guards[key] != metadata[key]:
                raise precondition(kind.title, name, what, guards[key], metadata[key])
        self._admit(Attempt(user=user, verb="delete", kind=kind, namespace=namespace, name=name, before=current.object))
        finalizers = self._finalizers(kind, metadata, options)
        grace_seconds = self._grace_seconds(kind, current.object, options)
        if not finalizers and not grace_seconds:
            self._etcd.delete(current.key)
            return current, True
        body = current.copy()
        self._mark(body["metadata"], finalizers, grace_seconds)
        return (current, False) if body == current.object else (self._put(current.key, body), False)

    def _finalizers(self, kind: Kind, metadata: Json, options: Json) -> list[str]:
        """The object's own, and the one that the propagation policy asks the garbage collector for."""
        finalizers = list(metadata.get("finalizers") or ())
        policy = options.get("propagationPolicy")
        if policy is None:
            if FOREGROUND in finalizers or ORPHAN in finalizers:
                return finalizers
            policy = kind.propagation
        wanted = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
        finalizers = [each for each in finalizers if each not in (FOREGROUND, ORPHAN)]
        return [*finalizers, wanted] if wanted else finalizers

    def _grace_seconds(self, kind: Kind, body: Json, options: Json) -> int:
        if kind.plural != "pods" or not body["spec"].get("nodeName"):
            return 0
        if body["status"]["phase"] in ("Succeeded", "Failed"):
            return 0
        given = options.get("gracePeriodSeconds")
        return int(body["spec"]["terminationGracePeriodSeconds"] if given is None else given)

    def _mark(self, metadata: Json, finalizers: list[str], grace_seconds: int) -> None:
        """Being deleted from now on; a later delete can only shorten the grace."""
        if finalizers:
            metadata["finalizers"] = finalizers
        known = metadata.get("deletionGracePeriodSeconds")
        if known is not None and known <= grace_seconds:
            return
        if known is None and "generation" in metadata:
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = timestamp(self._clock.now() + grace_seconds * 1000)
        metadata["deletionGracePeriodSeconds"] = grace_seconds
