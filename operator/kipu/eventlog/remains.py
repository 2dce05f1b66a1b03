"""What is left of a damaged log: the longest beginning of it that something vouches for.

    a sound head, a chunk is gone      the records before the first gap: the head names each chunk by its SHA-256
    the head is gone or was changed    the records in the chunks, which the API server lets nobody edit, and of the
                                       tail what the status has seen, by its hash

Promises: whatever is returned has the one chain of hashes from the Workflow's uid and spec hash, and every record of
it was read whole. Without a sound head, that a chunk was committed is not proven: of two that go on differently from
the same position none is taken. Must never do I/O, write anything, or be asked by the operator: it stops (I19).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from kipu.core.errors import CorruptionError

from .chain import beginning, replay
from .chunks import Meta, blobs_named_by, open_blob, open_chunk, open_unindexed, split, unseal
from .codec import NO_BLOBS, UnknownEvent
from .objects import GENERATION_DIGITS, blob_name, head_name
from .ports import Head, History, Recorded, StreamId

Objects = Mapping[str, Mapping[str, object]]  # the bodies of the stream's ConfigMaps by their names


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """The part that is vouched for; `of`: the highest position that the log is known to have had, if above it.

    `whole`: it ends where the head says, and is not behind the witness or against it; only a blob was made anew.
    """

    spec_hash: str
    history: History
    of: int | None
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Records in order, the first `sealed` of them in chunks that may be believed."""

    lines: Sequence[bytes]
    sealed: int
    meta: Meta | None = None  # of a sound head


class _Named(msgspec.Struct):
    """The two fields of a record that are looked at before it is read."""

    pos: int
    spec_hash: str = msgspec.field(name="specHash", default="")


def recover(
    stream: StreamId,
    objects: Objects,
    *,
    spec_hash: str,
    witness: tuple[int, str] | None,
    blobs: Mapping[str, bytes] = NO_BLOBS,
) -> Remains:
    """The longest beginning of the stream that is vouched for; its records may be none.

    `spec_hash` is used where neither a head nor a record says it; `witness` is a position and its hash; `blobs` are
    those that could be made anew, should they be lost.
    Raises UnknownEvent.
    """
    found = _by_index(stream, objects) or _by_name(stream, objects)
    seed = found.meta.spec_hash if found.meta else _recorded_spec_hash(found.lines) or spec_hash
    records = _replay(stream, seed, found.lines, {**_stored(stream, objects, found.lines), **blobs})
    kept = records[: _vouched(found, records, witness)]
    last = kept[-1] if kept else None
    head = Head(position=len(kept), hash=last.hash if last else "", epoch=last.epoch if last else 0)
    of = max(witness[0] if witness else 0, found.meta.position if found.meta else 0)
    return Remains(
        spec_hash=seed,
        history=History(head=head, records=tuple(kept)),
        of=of if of > head.position else None,
        whole=_reaches_head(found, kept) and (witness is None or _agrees(kept, witness)),
    )


def _vouched(found: _Found, records: Sequence[Recorded], witness: tuple[int, str] | None) -> int:
    """How many of the records may be believed."""
    if _reaches_head(found, records):
        return len(records)
    vouched = min(found.sealed, len(records))
    if witness is None or witness[0] > len(records):
        return vouched
    # Against it, something before is not what the status has seen, and nothing says where.
    return max(vouched, witness[0]) if _agrees(records, witness) else 0


def _reaches_head(found: _Found, records: Sequence[Recorded]) -> bool:
    last, meta = records[-1] if records else None, found.meta
    return last is not None and meta is not None and (last.position, last.hash) == (meta.position, meta.hash)


def _agrees(records: Sequence[Recorded], witness: tuple[int, str]) -> bool:
    position, seen = witness
    return 1 <= position <= len(records) and records[position - 1].hash == seen


# -- the records --------------------------------------------------------------------------------------------


def _by_index(stream: StreamId, objects: Objects) -> _Found | None:
    """By a sound head: its chunks up to the first that is not there as committed, and the tail if all are."""
    try:
        meta, tail, _ = unseal(objects.get(head_name(stream), {}).get("data"), workflow_uid=stream.uid)
        contents: list[bytes] = []
        for chunk in meta.chunks:
            try:
                contents.append(open_chunk(chunk, objects.get(chunk.name, {}).get("binaryData")))
            except CorruptionError:
                break
        whole = len(contents) == len(meta.chunks)
        lines = split(msgspec.structs.replace(meta, chunks=meta.chunks[: len(contents)]), contents, b"")
        sealed = len(lines)
        if whole:
            lines = split(meta, contents, tail)
    except UnknownEvent:
        raise
    except CorruptionError:
        return None
    return _Found(lines=lines, sealed=sealed, meta=meta)


def _by_name(stream: StreamId, objects: Objects) -> _Found:
    """Without a head that can be believed: chunk after chunk as they go on, and the tail as it stands."""
    by_first: dict[int, list[tuple[int, list[bytes]]]] = {}
    for name, body in sorted(objects.items()):
        if (generation := _generation(stream, name)) is not None:
            try:
                content = open_unindexed(name, body.get("binaryData"))
                by_first.setdefault(_named(content[0]).pos, []).append((generation, content))
            except CorruptionError:
                continue
    lines: list[bytes] = []
    while (following := _choose(by_first.pop(len(lines) + 1, []))) is not None:
        lines += following
    return _Found(lines=[*lines, *_tail(objects.get(head_name(stream), {}))], sealed=len(lines))


def _choose(candidates: Sequence[tuple[int, list[bytes]]]) -> list[bytes] | None:
    """What goes on from a position: the newest, since it was made of a later head; None if two differ."""
    newest = max((generation for generation, _ in candidates), default=0)
    contents = [content for generation, content in candidates if generation == newest]
    return contents[0] if contents and all(content == contents[0] for content in contents) else None


def _generation(stream: StreamId, name: str) -> int | None:
    """Of the commit that a chunk was made for; None for what is no chunk of this stream."""
    digits = name.removeprefix(f"{head_name(stream)}-").partition("-")[0]
    return int(digits) if digits != name and len(digits) == GENERATION_DIGITS and digits.isdecimal() else None


def _tail(head: Mapping[str, object]) -> list[bytes]:
    data = head.get("data")
    tail = data.get("tail") if isinstance(data, Mapping) else None
    return tail.encode(errors="replace").split(b"\n")[:-1] if isinstance(tail, str) else []


def _recorded_spec_hash(lines: Iterable[bytes]) -> str:
    """That of the first record that holds one: the spec may have been edited since."""
    for line in lines:
        try:
            if (said := _named(line).spec_hash) != "":
                return said
        except CorruptionError:
            break
    return ""


def _named(line: bytes) -> _Named:
    try:
        return msgspec.json.decode(line, type=_Named)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptionError(f"malformed record: {error}") from error


def _stored(stream: StreamId, objects: Objects, lines: Sequence[bytes]) -> dict[str, bytes]:
    """The blobs that these records name and that are there as they were committed."""
    found = {}
    for digest in blobs_named_by(lines):
        body = objects.get(blob_name(stream, digest), {})
        try:
            found[digest] = open_blob(digest, body.get("data"), body.get("binaryData"))
        except CorruptionError:
            continue
    return found


def _replay(stream: StreamId, spec_hash: str, lines: Iterable[bytes], blobs: Mapping[str, bytes]) -> list[Recorded]:
    """The records up to the first that cannot be read."""
    tip, records = beginning(stream.uid, spec_hash), []
    for line in lines:
        try:
            tip, (recorded,) = replay(tip, [line], blobs)
        except UnknownEvent:
            raise
        except CorruptionError:
            break
        records.append(recorded)
    return records
