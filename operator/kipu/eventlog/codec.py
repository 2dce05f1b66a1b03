"""What a record looks like: one event as canonical JSON, and the hash that ties it to all before it.

    {"attempt":1,"epoch":1,"job":"nightly-load-1f","pos":4,"run":1,"step":"load","ts":17,"type":"StepScheduled","v":1}

Canonical: keys sorted by code point, no spaces, UTF-8, no floats, every string in NFC. Such a value is
**refused**, never normalised: what was decided live must equal what a replay reads. A field that is None is
left out. A definition, or the items of a fan-out, above INLINE_BYTES_MAX are kept beside the log, named by their
hash: `"definition":{"blob":"<sha256>"}`, `"items":{"blob":"<sha256>"}`.

Promises: decode(encode(e)) == e; the same event gives the same bytes in every process and version. A key of a record
that this release does not know is passed over and kept; whatever else it does not know is an UnknownEvent (ADR 0019).
Must never do I/O, and never be lenient otherwise: what no version of ours has written is a CorruptionError.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_type_hints

import msgspec

from kipu.core.definition import Definition
from kipu.core.definition_json import NotUnderstood, from_json, to_json
from kipu.core.errors import CorruptionError, Problem
from kipu.core.events import EVENT_TYPES, Event, Items, StreamClaimed

from .ports import LogFull, NotRecordable
from .upcasting import RawRecord, upcast

VERSION = 1
RECORD_BYTES_MAX = 16 * 1024  # design 02; x 32 = one full batch of 512 KiB
INLINE_BYTES_MAX = 8 * 1024  # of a definition or of items: with its frame of < 0.5 KiB well under RECORD_BYTES_MAX
NO_BLOBS: Mapping[str, bytes] = MappingProxyType({})

_ENCODER = msgspec.json.Encoder(order="sorted")


class UnknownEvent(CorruptionError):
    """Written by a later version of Kipu: stop this workflow and write nothing, an upgrade reads on."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One record, and the blob that must be stored before the record is committed."""

    record: bytes
    blob: bytes | None = None
    blob_name: str = ""  # its SHA-256 in hex


@dataclass(frozen=True, slots=True)
class Decoded:
    """One record, read. `verbatim`: its bytes, where this release would write the event otherwise."""

    epoch: int
    ts: int
    event: Event
    verbatim: bytes | None = None


# -- the chain ---------------------------------------------------------------------------------------------


def seed(workflow_uid: str, spec_hash: str) -> bytes:
    """hash_0 of a stream: no two workflows and no two specs share a chain."""
    return hashlib.sha256(f"kipu.dev/log/v1\0{workflow_uid}\0{spec_hash}".encode()).digest()


def link(previous: bytes, record: bytes) -> bytes:
    """hash_n from hash_{n-1} and the bytes of record n."""
    return hashlib.sha256(previous + record).digest()


# -- event to record ---------------------------------------------------------------------------------------


def encode(event: Event, *, position: int, epoch: int, ts: int) -> Encoded:
    """The record of one event. Raises NotRecordable, and LogFull above RECORD_BYTES_MAX."""
    kind = type(event)
    assert not isinstance(event, StreamClaimed) or event.epoch == epoch, "a claim is the first of its own epoch"
    raw: dict[str, object] = {"v": VERSION, "pos": position, "epoch": epoch, "ts": ts, "type": kind.__name__}
    blob, blob_name = None, ""
    for name, key in _KEYS[kind]:
        value = getattr(event, name)
        if key in _MAY_BE_BLOBS and value is not None:
            text = canonical(to_json(value) if isinstance(value, Definition) else value)
            if len(text) > INLINE_BYTES_MAX:
                blob, blob_name = text, hashlib.sha256(text).hexdigest()
            raw[key] = {"blob": blob_name} if blob_name else msgspec.Raw(text)
        elif value is not None:
            raw[key] = _sound(value, key)
    record = _ENCODER.encode(raw)
    if len(record) > RECORD_BYTES_MAX:
        raise LogFull(f"a record of {kind.__name__} has {len(record)} bytes, the bound is {RECORD_BYTES_MAX}")
    return Encoded(record, blob, blob_name)


def canonical(value: object) -> bytes:
    """Canonical JSON of plain values. Raises NotRecordable, with the path of what cannot be written."""
    return _ENCODER.encode(_sound(value, "$"))


def _sound(value: object, path: str) -> object:
    """The value as msgspec takes it, with everything refused that has no canonical form."""
    match value:
        case str():
            return _sound_text(value, path)
        case bool() | int() | None:
            return value
        case Mapping():
            return {_sound_text(key, path): _sound(item, f"{path}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [_sound(item, f"{path}[{index}]") for index, item in enumerate(value)]
        case Problem():
            return {name: _sound(getattr(value, name), f"{path}.{name}") for name in _PROBLEM_FIELDS}
        case float():
            raise NotRecordable(f"{path}: {value} is not a whole number; write it as a string")
    raise NotRecordable(f"{path}: a {type(value).__name__} has no canonical JSON")


def _sound_text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise NotRecordable(f"{path}: the key {value!r} is not a string")
    if not value.isascii():
        if not unicodedata.is_normalized("NFC", value):
            raise NotRecordable(f"{path}: the text is not in Unicode's normal form NFC")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise NotRecordable(f"{path}: half of a surrogate pair has no UTF-8") from error
    return value


# -- record to event ---------------------------------------------------------------------------------------


def decode(record: bytes, *, position: int, blobs: Mapping[str, bytes] = NO_BLOBS) -> Decoded:
    """The event that this record holds at this position, its blobs being given by their SHA-256.

    Raises UnknownEvent for a type, a version or a word of the future, CorruptionError for anything else.
    """
    verbatim = None
    try:
        body = _DECODER.decode(record)
        kind = _RECORD_TYPES[type(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        kind, body = _decode_other(record, position, error)
        verbatim = record
    if body.pos != position:
        raise CorruptionError(f"the record at position {position} says that it is number {body.pos}")
    values = {name: getattr(body, name) for name in _NAMES[kind]}
    try:
        for name, read in _READERS[kind]:
            values[name] = read(values[name], blobs)
    except NotUnderstood as error:
        raise _of_the_future(position, f"{kind.__name__} with {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptionError(f"position {position}: malformed {kind.__name__}: {error!r}") from error
    return Decoded(body.epoch, body.ts, kind(**values), verbatim)


def blob_named_by(record: bytes) -> str | None:
    """The SHA-256 of the blob that this record needs, if any. A malformed record needs none."""
    # Inside a string its quotes would be escaped: almost no record comes past here.
    if not any(mark in record for mark in _BLOB_MARKS):
        return None
    try:
        holder = msgspec.json.decode(record, type=_BlobHolder)
    except msgspec.MsgspecError:  # the mark stood deeper inside an inline definition
        return None
    named = holder.definition or holder.items
    return None if named is None else named.blob


def _decode_other(record: bytes, position: int, error: Exception) -> tuple[type[Event], Any]:
    """A record that is not of today's shapes: older, from the future, or broken. Unknown keys are passed over."""
    try:
        raw = msgspec.json.decode(record, type=RawRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CorruptionError(f"position {position}: malformed record: {error}") from error
    newest = upcast(raw)
    kind, version = newest.get("type"), newest.get("v")
    if isinstance(kind, str) and isinstance(version, int) and (kind not in _BY_NAME or version != VERSION):
        raise _of_the_future(position, f"{kind} v{version}")
    try:
        body = msgspec.convert(newest, type=Union[tuple(_open_record_types())])  # noqa: UP007 (computed: no other spelling)
    except msgspec.ValidationError as invalid:
        if str(invalid).startswith(_UNKNOWN_WORD):
            raise _of_the_future(position, f"{kind} with a word that is not known here ({invalid})") from error
        raise CorruptionError(f"position {position}: malformed record: {invalid}") from error
    return _open_record_types()[type(body)], body


@cache
def _open_record_types() -> Mapping[type[Any], type[Event]]:
    """Made when the first such record is read: hardly any log has one."""
    return {_record_type(kind, closed=False): kind for kind in EVENT_TYPES}


def _of_the_future(position: int, what: str) -> UnknownEvent:
    return UnknownEvent(f"position {position}: {what} was written by a later version of Kipu; upgrade to it again")


def _read_definition(raw: Mapping[str, object], blobs: Mapping[str, bytes]) -> Definition:
    """Raises KeyError for a blob that was not given."""
    if set(raw) == {"blob"}:
        return from_json(msgspec.json.decode(blobs[str(raw["blob"])], type=RawRecord))
    return from_json(raw)


def _read_items(raw: Any, blobs: Mapping[str, bytes]) -> Items | None:
    """Raises KeyError for a blob that was not given."""
    if isinstance(raw, Mapping):
        return tuple(msgspec.json.decode(blobs[str(raw["blob"])], type=list[Any]))
    return None if raw is None else tuple(raw)


def _read_problems(raw: tuple[Any, ...], _blobs: Mapping[str, bytes]) -> tuple[Problem, ...]:
    return tuple(Problem(path=item.path, reason=item.reason, hint=item.hint) for item in raw)


# -- tables, computed once ---------------------------------------------------------------------------------

_Reader = Callable[[Any, Mapping[str, bytes]], object]
_Whole = Annotated[int, msgspec.Meta(ge=0)]
_ENVELOPE: dict[str, Any] = {
    "v": Literal[1],
    "pos": Annotated[int, msgspec.Meta(ge=1)],
    "epoch": _Whole,
    "ts": _Whole,
}
_PROBLEM_FIELDS = tuple(field.name for field in fields(Problem))


class _ProblemRecord(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    reason: str
    hint: str


class _BlobName(msgspec.Struct, forbid_unknown_fields=True):
    blob: str


class _BlobHolder(msgspec.Struct):
    definition: _BlobName | None = None
    items: _BlobName | None = None


_UNKNOWN_WORD = "Invalid enum value"  # how msgspec begins to say so
_MAY_BE_BLOBS = frozenset({"definition", "items"})
_BLOB_MARKS = (b'"definition":{"blob":', b'"items":{"blob":')
_WIRE_TYPES: dict[Any, Any] = {
    Definition: dict[str, Any],
    tuple[Problem, ...]: tuple[_ProblemRecord, ...],
    Items | None: list[Any] | dict[str, str] | None,
}
_WIRE_READERS: dict[Any, _Reader] = {
    Definition: _read_definition,
    tuple[Problem, ...]: _read_problems,
    Items | None: _read_items,
}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _record_type(kind: type[Event], *, closed: bool) -> type[msgspec.Struct]:
    """The shape of this kind's record. Its fields join the envelope's; a claim's `epoch` is the envelope's.

    Closed, it holds only what this release would write itself: the quick way, and the only one for most logs.
    """
    hints = get_type_hints(kind)
    own: list[Any] = []
    for field in fields(kind):
        wire = _WIRE_TYPES.get(hints[field.name], hints[field.name])
        if field.name not in _ENVELOPE:
            own.append((field.name, wire, None) if field.default is None else (field.name, wire))
    return msgspec.defstruct(
        kind.__name__,
        [*_ENVELOPE.items(), *sorted(own, key=len)],  # those with a default come last
        rename=_camel,
        tag_field="type",
        tag=kind.__name__,
        forbid_unknown_fields=closed,
    )


_BY_NAME: dict[str, type[Event]] = {kind.__name__: kind for kind in EVENT_TYPES}
_RECORD_TYPES = {_record_type(kind, closed=True): kind for kind in EVENT_TYPES}
_NAMES: dict[Any, tuple[str, ...]] = {kind: tuple(field.name for field in fields(kind)) for kind in EVENT_TYPES}
_KEYS = {kind: tuple((name, _camel(name)) for name in names) for kind, names in _NAMES.items()}
_READERS: dict[Any, tuple[tuple[str, _Reader], ...]] = {
    kind: tuple((name, _WIRE_READERS[hint]) for name, hint in get_type_hints(kind).items() if hint in _WIRE_READERS)
    for kind in EVENT_TYPES
}
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Union[tuple(_RECORD_TYPES)])  # noqa: UP007 (no other spelling)
