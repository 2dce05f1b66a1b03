"""How a stream lies in ConfigMaps: a small head that is rewritten, and sealed chunks that never are.

The head's data, all strings: `meta` (canonical JSON: `Meta` below), `tail` (the newest records, one a line) and
`digest` (SHA-256 of meta, a newline, tail). A chunk is zlib over older lines; the head names it with its
SHA-256. Promises: every byte kept is under a digest that is checked on reading, so that any edit, gap or swap
is a CorruptionError. Must never do I/O, and never know an API server.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from kipu.core.errors import CorruptionError

from .chain import BATCH_BYTES_MAX, Tip, beginning, replay
from .codec import UnknownEvent, blob_named_by
from .ports import Recorded

FORMAT = 1
READER = 1  # what this release reads: heads whose minReader is not above it
TAIL_BYTES_MAX = 4 * 1024  # design 05: 2 / 4 / 8 KiB cost 1.34 / 1.15 / 1.08 writes and 2.1 / 3.1 / 5.0 KB a step
TAIL_BYTES_GROWN_MAX = 256 * 1024  # while a quota refuses chunks: with meta far below a ConfigMap's 1 MiB
CHUNK_BYTES_MAX = TAIL_BYTES_GROWN_MAX + BATCH_BYTES_MAX  # unpacked: a grown tail and the batch that rolls it
# x 0.21 KB of index = 420 KB of meta, with a grown tail of 256 KiB under a ConfigMap's 1,048,576 B. Merged chunks hold
# about 750 KiB each: 1.5 GB of records. Only where every merge is refused are they 4 KiB each: some 26,000 events.
CHUNKS_MAX = 2_000
BLOB_BYTES_MAX = 8 * 1024 * 1024  # unpacked: a definition of 5,000 steps x 1.6 KB
PACKED_BYTES_MAX = 1_000_000  # of one ConfigMap's binaryData: below the API server's 1,048,576 with its key.
# A chunk needs no check: zlib makes at most 0.1% more of CHUNK_BYTES_MAX = 786,432 bytes, however dense they are.


class ChunkRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the index."""

    name: str  # of the ConfigMap
    sha256: str  # of the packed bytes, in hex
    first: int
    last: int
    level: int


class Meta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the head says about its stream. A later release may add fields that this one need not know."""

    v: int = FORMAT
    min_reader: int = READER
    uid: str  # of the Workflow
    spec_hash: str  # with the uid it gives hash_0
    generation: int  # of the head: 1 at its creation, one more with each commit
    commit: str  # the id that the writer drew for this very commit
    position: int  # the last record's, as the four below
    hash: str
    epoch: int
    ts: int
    writer: str
    chunks: tuple[ChunkRef, ...]


class _Version(msgspec.Struct, rename="camel"):
    v: int
    min_reader: int


_ENCODER = msgspec.json.Encoder(order="sorted")
_META = msgspec.json.Decoder(Meta)
_VERSION = msgspec.json.Decoder(_Version)


# -- the head ----------------------------------------------------------------------------------------------


def seal(meta: Meta, tail: bytes) -> dict[str, str]:
    """The head's data."""
    text = _ENCODER.encode(meta)
    return {"meta": text.decode(), "tail": tail.decode(), "digest": _digest(text, tail)}


def unseal(data: object, *, workflow_uid: str) -> tuple[Meta, bytes, str]:
    """Meta, tail and digest of a head's data. Raises CorruptionError, UnknownEvent for a format of the future."""
    texts = _texts(data, {"meta", "tail", "digest"})
    meta_bytes, tail = texts["meta"].encode(), texts["tail"].encode()
    if texts["digest"] != _digest(meta_bytes, tail):
        raise CorruptionError("the head's digest does not match: meta or tail was changed")
    try:
        version = _VERSION.decode(meta_bytes)
        if version.min_reader > READER:
            needed = f"the log needs a reader of version {version.min_reader}, this is {READER}"
            raise UnknownEvent(f"{needed}: it was written by a later version of Kipu; upgrade to it again")
        meta = _META.decode(meta_bytes)
    except msgspec.MsgspecError as error:
        raise CorruptionError(f"malformed meta: {error}") from error
    if meta.uid != workflow_uid:
        raise CorruptionError(f"the head belongs to the workflow {meta.uid}, not to {workflow_uid}")
    return meta, tail, texts["digest"]


def roll(tail: bytes, lines: bytes, *, tail_bytes_max: int = TAIL_BYTES_MAX) -> tuple[bytes, bytes]:
    """What goes into a new chunk (nothing: b"") and what the tail is then, when `lines` are appended.

    A batch that is too large for a tail goes into the chunk whole, behind the tail. `tail_bytes_max` is how far
    the tail may fill up; it was raised if the store refused the last roll.
    """
    if len(tail) + len(lines) <= tail_bytes_max:
        return b"", tail + lines
    if len(lines) > TAIL_BYTES_MAX:
        return tail + lines, b""
    return tail, lines


# -- packed bytes ------------------------------------------------------------------------------------------


def pack(content: bytes) -> bytes:
    """zlib, as it lies in binaryData."""
    return zlib.compress(content)


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def to_text(packed: bytes) -> str:
    """The base64 of binaryData."""
    return base64.b64encode(packed).decode()


def open_chunk(chunk: ChunkRef, binary_data: object) -> bytes:
    """The lines of a chunk. Raises CorruptionError."""
    packed = _packed(binary_data, "records", chunk.name)
    if sha256(packed) != chunk.sha256:
        raise CorruptionError(f"chunk {chunk.name} is not the one that was committed: its SHA-256 differs")
    return _unpack(packed, CHUNK_BYTES_MAX, chunk.name)


def open_unindexed(name: str, binary_data: object) -> list[bytes]:
    """The records of a chunk that no head vouches for. Raises CorruptionError."""
    return _lines(_unpack(_packed(binary_data, "records", name), CHUNK_BYTES_MAX, name), name)


def open_blob(digest: str, data: object, binary_data: object) -> bytes:
    """The blob of this SHA-256. Raises CorruptionError."""
    packed = _packed(binary_data, "blob", digest)
    if _texts(data, {"digest"})["digest"] != sha256(packed):  # deflate has bits that unpacking does not look at
        raise CorruptionError(f"blob {digest}: its packed bytes were changed")
    content = _unpack(packed, BLOB_BYTES_MAX, digest)
    if sha256(content) != digest:
        raise CorruptionError(f"blob {digest} is not the one that was committed: its SHA-256 differs")
    return content


# -- the whole stream --------------------------------------------------------------------------------------


def split(meta: Meta, contents: Sequence[bytes], tail: bytes) -> list[bytes]:
    """All records of a stream in order, each chunk holding just the positions that the index says."""
    lines: list[bytes] = []
    for chunk, content in zip(meta.chunks, contents, strict=True):
        if chunk.first != len(lines) + 1:
            raise CorruptionError(f"chunk {chunk.name} begins at {chunk.first}, the one before ends at {len(lines)}")
        lines.extend(_lines(content, chunk.name))
        if chunk.last != len(lines):
            raise CorruptionError(f"chunk {chunk.name} ends at {len(lines)}, the index says {chunk.last}")
    if tail:
        lines.extend(_lines(tail, "the tail"))
    return lines


def blobs_named_by(lines: Sequence[bytes]) -> Iterator[str]:
    """The SHA-256 of each blob that these records need."""
    return (name for line in lines if (name := blob_named_by(line)) is not None)


def verify(meta: Meta, lines: Sequence[bytes], blobs: Mapping[str, bytes]) -> tuple[Tip, tuple[Recorded, ...]]:
    """Read the records and compare their end with what the head says. Raises CorruptionError, UnknownEvent."""
    tip, records = replay(beginning(meta.uid, meta.spec_hash), lines, blobs)
    for name, found, said in (
        ("position", tip.position, meta.position),
        ("hash", tip.hash.hex(), meta.hash),
        ("epoch", tip.epoch, meta.epoch),
        ("ts", tip.ts, meta.ts),
        ("writer", tip.writer, meta.writer),
    ):
        if found != said:
            raise CorruptionError(f"the records end at {name} {found}, the head says {said}")
    return tip, records


def _digest(meta: bytes, tail: bytes) -> str:
    # Canonical JSON has no newline, so the first one ends meta.
    return sha256(meta + b"\n" + tail)


def _texts(data: object, keys: set[str]) -> dict[str, str]:
    if not isinstance(data, Mapping) or set(data) != keys or not all(isinstance(text, str) for text in data.values()):
        raise CorruptionError(f"the data does not have just the keys {', '.join(sorted(keys))}")
    return dict(data)


def _packed(binary_data: object, key: str, name: str) -> bytes:
    text = _texts(binary_data, {key})[key]
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CorruptionError(f"{name}: not base64: {error}") from error
    if to_text(packed) != text:  # unused bits of the last character were changed
        raise CorruptionError(f"{name}: its base64 is not canonical")
    return packed


def _unpack(packed: bytes, bytes_max: int, name: str) -> bytes:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, bytes_max + 1)
    except zlib.error as error:
        raise CorruptionError(f"{name}: not zlib: {error}") from error
    if len(content) > bytes_max:
        raise CorruptionError(f"{name}: more than {bytes_max} bytes")
    if not inflater.eof or inflater.unused_data:
        raise CorruptionError(f"{name}: cut or followed by something else")
    return content


def _lines(content: bytes, name: str) -> list[bytes]:
    if not content.endswith(b"\n"):
        raise CorruptionError(f"{name}: the last record is cut")
    return content[:-1].split(b"\n")
