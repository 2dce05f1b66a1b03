"""What an event log is, whatever keeps it: streams of events with compare-and-append.

Promises that every backend keeps (tests/eventlog/contract.py): an acknowledged append is in every later
read; positions start at 1 and have no gap; all events of one append commit or none does, and once at most; an
append whose `expected` is no longer the head raises ConcurrencyConflict and changes nothing. Any error but
LogFull and NotRecordable may hide a commit whose answer was lost: read the log again before going on.
Must never be asked by two callers for the same `expected` and take both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kipu.core.errors import CorruptionError, KipuError, TransientError
from kipu.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamId:
    """The workflow that owns a stream. Every stored name carries the uid: a namesake is never taken for it."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One committed event with its place in the stream."""

    position: int  # 1-based, dense
    epoch: int
    ts: int  # milliseconds since 1970 UTC, never falls within a stream
    hash: str  # hash_n in hex: SHA-256(hash_{n-1} || canonical record bytes)
    event: Event
    verbatim: bytes | None = (
        None  # the record, where this release would write the event otherwise: it is newer, or older
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a stream ends: the token for the next append. Backends subclass it with what their guard needs."""

    position: int
    hash: str
    epoch: int
    refusal: str = ""  # why the store refuses what would keep commits small (condition LogQuota); "" when it does not
    superseded: int = 0  # how many stored objects the commit of this head made useless: `sweep` deletes them


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A verified stream."""

    head: Head
    records: tuple[Recorded, ...]


class ConcurrencyConflict(KipuError):
    """Somebody else moved the head: re-read, fold, decide again."""


class LogMissing(CorruptionError):
    """The head of a workflow that had one is gone. Never start a new log for it."""


class LogWriteRefused(TransientError):
    """The store refuses the commit although no guard changed (a policy, an immutable object); retry slowly."""


class LogFull(KipuError):
    """The stream or a record has passed a hard bound; the run must end."""


class NotRecordable(LogFull):
    """A value that no record may hold (a float, text not in NFC): nothing was written, nothing ever will be.

    The API layer refuses such a manifest with its path, so that this is a fault of ours if it comes up.
    """


class EventLog(Protocol):
    """Compare-and-append over streams. Methods raise TransientError when the store cannot be reached."""

    async def load(self, stream: StreamId) -> History | None:
        """The whole verified history; None when the stream was never begun. Raises CorruptionError."""

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[Head, tuple[Recorded, ...]]:
        """Commit `events` after `expected`; None begins the stream (then `spec_hash` seeds the chain).

        A `StreamClaimed` among the events raises the epoch from that record on. `ts`: milliseconds since
        1970 UTC, not below the last record's. Returns only when the commit is certain; a timeout or an
        unclear answer is resolved by reading. Raises ConcurrencyConflict, LogMissing, LogWriteRefused,
        LogFull, NotRecordable, CorruptionError, TransientError; ValueError for no events, a `ts` or an
        epoch that falls.
        """

    async def archive(self, stream: StreamId, head: Head) -> Head:
        """Store a stream that has ended in as few objects as its backend can; no record changes or is added.

        At most one commit, none where nothing is left to do. What the store refuses stays as it was. Raises what
        `append` raises for its commit.
        """

    async def sweep(self, stream: StreamId, head: Head) -> int:
        """Delete stored objects that no commit can name any more, a bounded number of them; how many.

        `head` is one that this log gave: where the stream is not at least as far, nothing is touched. Never
        raises: what cannot be read or deleted stays for the next sweep.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said to one request."""

    status: int  # the HTTP status
    reason: str  # metav1.Status.reason for an error, else ""
    message: str
    body: Mapping[str, object]  # the object, or the metav1.Status


class Unanswered(TransientError):
    """No answer came (timeout, reset): the request may have been carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectName:
    """A stored object, as far as a deletion has to know it."""

    name: str
    uid: str


class ConfigMapApi(Protocol):
    """The few calls that the ConfigMap log makes. GETs carry no resourceVersion: consistent reads.

    Each but the list sends one request, without retries, and raises Unanswered; every HTTP status comes back as
    Answer.
    """

    async def create_config_map(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST. A name that is taken is 409 with reason AlreadyExists."""

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        """GET by name, consistent. An absent one is 404."""

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        """JSON Patch (RFC 6902). A failed `test` is 422."""

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        """DELETE of just this object: another uid is 409, an absent name 404."""

    async def list_config_maps(self, namespace: str, label_selector: str) -> Sequence[ObjectName]:
        """Name and uid of all that are labelled so. Raises Unanswered, also where the list is refused."""
