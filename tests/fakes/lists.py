"""Lists of the fake API server: consistent, stale or of an exact version, in pages or whole.

Which of them a request asks for follows from resourceVersion, resourceVersionMatch, limit and continue, as the
Kubernetes documentation has it under "Semantics for list"; the conformance suite asks for each.
"""

from __future__ import annotations

import base64
import json
import random
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from kipu.shell.kube_http import Request

from .etcd import Change, CompactedError, Etcd, Json, Stored
from .informers import Lags
from .kinds import Kind
from .refusals import (
    bad_list_options,
    bad_request,
    continue_expired,
    version_expired,
    version_in_the_future,
)
from .selectors import select

EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"
NOW = -1  # as a continue token's version: an inconsistent rest of a list


class Lists:
    """Answers lists. `time` is the event loop's."""

    def __init__(self, etcd: Etcd, lags: Callable[[], Lags], time: Callable[[], float], rng: random.Random) -> None:
        self._etcd = etcd
        self._lags = lags
        self._time = time
        self._rng = rng
        self._heard = 0  # the oldest revision that a stale list may still show
        self._coming: deque[tuple[float, int]] = deque()  # when each later revision was written
        etcd.listeners.append(self._stored)

    def answer(self, kind: Kind, namespace: str | None, request: Request) -> Json:
        """The list, of whole objects or of their metadata alone. Raises Refused."""
        query, is_metadata = request.query, ";as=PartialObjectMetadataList" in request.accept
        chosen = select(kind.plural, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        limit, start = int(query.get("limit", "0")), ""
        if query.get("continue"):
            everything, revision, start = self._continued(kind.plural, query)
        else:
            everything, revision, limit = self._begun(kind.plural, query, limit)
        items: list[msgspec.Raw] = []
        metadata: Json = {"resourceVersion": str(revision)}
        for stored in everything:
            place = f"{stored.key.namespace}/{stored.key.name}"
            outside = namespace is not None and stored.key.namespace != namespace
            if place < start or outside or not chosen(stored.object):
                continue
            if limit and len(items) == limit:
                metadata["continue"] = _token(revision, place)
                break
            items.append(_metadata_of(stored) if is_metadata else msgspec.Raw(stored.encoded()))
        what = ("PartialObjectMetadata", "meta.k8s.io/v1") if is_metadata else (kind.kind, kind.api_version)
        return {"kind": f"{what[0]}List", "apiVersion": what[1], "metadata": metadata, "items": items}

    def _begun(self, plural: str, query: Mapping[str, str], limit: int) -> tuple[list[Stored], int, int]:
        """What the list is of, its revision, and the limit that holds."""
        etcd, version, match = self._etcd, query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        _check(version, match)
        if version == "0":
            revision = self._stale_revision()
            return self._at(plural, revision), revision, 0
        if version and int(version) > etcd.cached_revision:
            raise version_in_the_future(int(version), etcd.cached_revision)
        if version and (match == EXACT or (limit and not match)):
            return self._at(plural, int(version)), int(version), limit
        return etcd.cached(plural), etcd.cached_revision, limit

    def _continued(self, plural: str, query: Mapping[str, str]) -> tuple[list[Stored], int, str]:
        revision, start = _parsed(query["continue"])
        if query.get("resourceVersion", "0") != "0":
            raise bad_request("specifying resource version is not allowed when using continue")
        if query.get("resourceVersionMatch"):
            raise bad_list_options("Forbidden: resourceVersionMatch is forbidden when continue is provided")
        if revision == NOW:
            return self._etcd.cached(plural), self._etcd.cached_revision, start
        try:
            return self._etcd.snapshot(revision, plural), revision, start
        except CompactedError:
            raise continue_expired(_token(NOW, start)) from None

    def _at(self, plural: str, revision: int) -> list[Stored]:
        if revision == self._etcd.cached_revision:
            return self._etcd.cached(plural)
        try:
            return self._etcd.snapshot(revision, plural)
        except CompactedError:
            raise version_expired() from None

    # -- a cache that lags behind ------------------------------------------------------------------------

    def _stored(self, change: Change) -> None:
        self._coming.append((self._time(), change.revision))
        self._forget_old()

    def _forget_old(self) -> None:
        """What every stale list has to show by now."""
        oldest = self._time() - self._lags().list_cache_seconds
        while self._coming and self._coming[0][0] <= oldest:
            self._heard = self._coming.popleft()[1]

    def _stale_revision(self) -> int:
        """Never older than the lag, nor than the one before: it is one API server."""
        self._forget_old()
        if self._etcd.lost is not None or self._etcd.revision < self._heard:
            return self._etcd.cached_revision
        for _ in range(self._rng.randrange(len(self._coming) + 1)):
            self._heard = self._coming.popleft()[1]
        return max(self._heard, self._etcd.compacted)


def _metadata_of(stored: Stored) -> msgspec.Raw:
    shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": stored.object["metadata"]}
    return msgspec.Raw(msgspec.json.encode(shown))


def _check(version: str, match: str) -> None:
    if match and not version:
        raise bad_list_options("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match and match not in (EXACT, NOT_OLDER_THAN):
        raise bad_list_options(f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""')
    if match == EXACT and version == "0":
        raise bad_list_options('Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if version and not version.isdigit():
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{version}"')


def _token(revision: int, start: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"rv": revision, "start": start}).encode()).decode()


def _parsed(token: str) -> tuple[int, str]:
    try:
        given = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(given["rv"]), str(given["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: {error}") from error
