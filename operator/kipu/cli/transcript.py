"""A history as a file that proves itself: `kipu history -o jsonl` and `kipu export` write it, `kipu verify` checks it.

    {"blobs":{},"format":"kipu-history/v1","head":{"epoch":1,"hash":"9f...","position":2},"ids":["3c...","9f..."],...}
    {"epoch":1,"pos":1,"ts":17,"type":"StreamClaimed","v":1,"writer":"kipu-0"}
    {...}

The first line is metadata in canonical JSON: the workflow's `uid` and `specHash`, which seed the chain; the head;
the event id of every record (the first 128 bits of its hash), which tells a changed record from its successors;
the blobs that records name by their SHA-256. `namespace` and `name` are a note for people: no hash covers them.
Every other line is a canonical record, byte for byte as recorded (docs/event-log.md). An export has up to three keys
more in its first line: `spec`, the immutable part of the Workflow's spec as the text of its JSON, which must hash to
`specHash`; `witness`, the position and hash that `.status.log` has seen; and `partial`, where the log was damaged: why,
and `of` how many records these are the first.

Promises: `verify` accepts what `write` wrote, and no file in which a record, or what proves it, was changed, lost
or added since. It cannot know a file that somebody made up from the beginning: compare the head's hash with a
witness (`.status.log` of the Workflow); nor does any hash cover what a partial file says of the part that it lacks.
Must never read a cluster: a file is enough.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from kipu.api import definition as specs
from kipu.core import adoption, graph
from kipu.core.definition import Definition
from kipu.core.errors import CorruptionError, Problem
from kipu.core.events import WorkflowAccepted
from kipu.core.evolve import evolve
from kipu.core.state import State
from kipu.eventlog.chain import Tip, beginning, replay
from kipu.eventlog.codec import UnknownEvent, blob_named_by, canonical, encode, link
from kipu.eventlog.ports import History, NotRecordable, Recorded, StreamId

from .errors import CannotTell

FORMAT = "kipu-history/v1"
ID_LENGTH = 32  # hex digits: 128 bits of the record's hash


class BadRecord(CorruptionError):
    """The first position at which a history is not what was recorded, and why."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(f"position {position}: {why.removeprefix(f'position {position}: ')}")
        self.position = position


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    position: int
    hash: str
    epoch: int


class Witness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the Workflow's status has seen of its log."""

    position: int
    hash: str


class Partial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the file does not hold the whole log, and how many records the log is known to have had."""

    why: str
    of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """What an export adds to a history. The spec is its immutable part."""

    spec: Mapping[str, object] | None = None
    witness: Witness | None = None
    partial: Partial | None = None


class _Metadata(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    format: str
    namespace: str
    name: str
    uid: str
    spec_hash: str
    head: _Head
    ids: list[str]
    blobs: dict[str, dict[str, object] | list[object]]
    spec: str | None = None
    witness: Witness | None = None
    partial: Partial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a sound history amounts to."""

    namespace: str
    name: str
    uid: str
    tip: Tip
    state: State
    records: tuple[Recorded, ...]
    enclosed: Enclosed

    @property
    def stream(self) -> StreamId:
        """Whose history it is."""
        return StreamId(namespace=self.namespace, name=self.name, uid=self.uid)


def extent(position: int, partial: Partial) -> str:
    """How much of a log a partial file holds, in words."""
    of = "an unknown number" if partial.of is None else str(partial.of)
    return f"partial: verified up to position {position} of {of}"


# -- writing -----------------------------------------------------------------------------------------------


def write(stream: StreamId, history: History, spec_hash: str, enclosed: Enclosed | None = None) -> Iterator[bytes]:
    """The lines of the file, without their newlines.

    Raises BadRecord when a record cannot be written as it was recorded.
    """
    records: list[bytes] = []
    blobs: dict[str, object] = {}
    digest = beginning(stream.uid, spec_hash).hash
    for recorded in history.records:
        encoded = encode(recorded.event, position=recorded.position, epoch=recorded.epoch, ts=recorded.ts)
        record = recorded.verbatim or encoded.record
        digest = link(digest, record)
        if digest.hex() != recorded.hash:
            raise BadRecord(recorded.position, "this release writes the record differently than it was recorded")
        if encoded.blob is not None:
            blobs[encoded.blob_name] = msgspec.json.decode(encoded.blob)
        records.append(record)
    yield canonical(
        {
            "format": FORMAT,
            "namespace": stream.namespace,
            "name": stream.name,
            "uid": stream.uid,
            "specHash": spec_hash,
            "head": {"position": history.head.position, "hash": history.head.hash, "epoch": history.head.epoch},
            "ids": [recorded.hash[:ID_LENGTH] for recorded in history.records],
            "blobs": blobs,
            **_enclosed(enclosed or Enclosed()),
        }
    )
    yield from records


def _enclosed(given: Enclosed) -> dict[str, object]:
    """Keys of the first line; what is absent is left out."""
    found: dict[str, object] = {}
    if given.spec is not None:
        found["spec"] = _spec_text(given.spec)
    if given.witness is not None:
        found["witness"] = msgspec.structs.asdict(given.witness)
    if given.partial is not None:
        found["partial"] = msgspec.structs.asdict(given.partial)
    return found


def _spec_text(spec: Mapping[str, object]) -> str:
    """As text, since a spec may hold what no record may: fractions, and whatever a rejected one holds."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


# -- verifying ---------------------------------------------------------------------------------------------


def verify(lines: Iterable[bytes]) -> Verdict:
    """Check chain, positions, epochs, times, and that the fold takes every event.

    Raises BadRecord or another CorruptionError; UnknownEvent for a record of a later release; CannotTell for a
    file of another kind.
    """
    first, *records = [line.removesuffix(b"\n") for line in lines] or [b""]
    metadata = _read_metadata(first)
    blobs = _read_blobs(metadata.blobs, records)
    tip, found = beginning(metadata.uid, metadata.spec_hash), []
    for position, (record, event_id) in enumerate(zip_longest(records, metadata.ids), start=1):
        if record is None:
            raise BadRecord(position, f"the record is missing; the history ends at {len(metadata.ids)}")
        tip, recorded = _replay(tip, record, blobs)
        if event_id is None:
            raise BadRecord(position, f"the record does not belong here; the history ends at {len(metadata.ids)}")
        if recorded.hash[:ID_LENGTH] != event_id:
            raise BadRecord(position, "the record is not the one that was recorded here: its hash differs")
        found.append(recorded)
    if (tip.position, tip.hash.hex(), tip.epoch) != (metadata.head.position, metadata.head.hash, metadata.head.epoch):
        raise BadRecord(tip.position, "the last record is not the head that the first line names")
    enclosed = Enclosed(spec=_read_spec(metadata), witness=metadata.witness, partial=metadata.partial)
    _check_witness(enclosed, found)
    return Verdict(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        tip=tip,
        state=fold(found),
        records=tuple(found),
        enclosed=enclosed,
    )


def fold(records: Sequence[Recorded]) -> State:
    """The state after these records. Raises BadRecord at the first that the core does not take."""
    state = State()
    for recorded in records:
        event = recorded.event
        problems = _problems(event.definition) if isinstance(event, WorkflowAccepted) else ()
        if problems:
            raise BadRecord(recorded.position, f"its definition is not sound: {problems[0]}")
        try:
            state = evolve(state, event, ts=recorded.ts)
        except CorruptionError as error:
            raise BadRecord(recorded.position, str(error)) from error
    return state


def _problems(definition: Definition) -> tuple[Problem, ...]:
    return graph.check(definition) or adoption.check(definition)


def _read_metadata(line: bytes) -> _Metadata:
    try:
        metadata = msgspec.json.decode(line, type=_Metadata)
        is_canonical = canonical(msgspec.json.decode(line)) == line
    except (msgspec.MsgspecError, UnicodeDecodeError, NotRecordable) as error:
        raise CannotTell(f"not a file of 'kipu history -o jsonl': its first line is no metadata ({error})") from error
    if metadata.format != FORMAT:
        raise CannotTell(f"the file's format is '{metadata.format}', this release reads '{FORMAT}'")
    if not is_canonical:
        raise CorruptionError("the first line was changed: it is not canonical JSON")
    return metadata


def _read_spec(metadata: _Metadata) -> Mapping[str, object] | None:
    if metadata.spec is None:
        return None
    try:
        spec = json.loads(metadata.spec)
    except ValueError:
        spec = None
    if not isinstance(spec, dict) or _spec_text(spec) != metadata.spec or specs.spec_hash(spec) != metadata.spec_hash:
        raise CorruptionError("the spec is not the one that was taken up: its hash differs")
    return spec


def _check_witness(enclosed: Enclosed, found: Sequence[Recorded]) -> None:
    """A whole log holds what the status has seen. Of a partial one that may be just what is missing."""
    witness = enclosed.witness
    if witness is None or enclosed.partial is not None:
        return
    if not 1 <= witness.position <= len(found) or found[witness.position - 1].hash != witness.hash:
        raise CorruptionError(f"the record at position {witness.position} is not the one that the status has seen")


def _read_blobs(values: Mapping[str, object], records: Iterable[bytes]) -> dict[str, bytes]:
    """The blobs' bytes by name: exactly those that records name, each with the hash that it is named by."""
    blobs = {name: canonical(value) for name, value in values.items()}
    named = {blob_named_by(record) for record in records} - {None}
    for name in sorted(named ^ blobs.keys(), key=str):
        raise CorruptionError(f"the blob {name} is {'missing' if name in named else 'named by no record'}")
    for name, blob in blobs.items():
        if hashlib.sha256(blob).hexdigest() != name:
            raise CorruptionError(f"the blob {name} is not the one that was recorded: its hash differs")
    return blobs


def _replay(tip: Tip, record: bytes, blobs: Mapping[str, bytes]) -> tuple[Tip, Recorded]:
    try:
        tip, (recorded,) = replay(tip, [record], blobs)
    except UnknownEvent:
        raise
    except CorruptionError as error:
        raise BadRecord(tip.position + 1, str(error)) from error
    return tip, recorded
