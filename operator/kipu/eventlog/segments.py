"""How a stream lies in files: segments of frames. Pure: bytes in, bytes out.

    segment:  <opening> <batch> <batch> ...
    frame:    length of the payload, CRC-32 of the payload, CRC-32 of those eight bytes (big-endian); payload
    opening:  {"format":"kipu-log/v1","hash":"...","position":12,"specHash":"...","uid":"..."}, what comes before it
    batch:    the chain's hash after it, then its records, then (after an empty line) their blobs; one a line

One append is one frame, so that all of its records are there or none is. Promises: `read` gives what `opening` and
`batch` wrote; a frame that was not written to its end is **torn**, and only where the file ends so; anything else that
is not as it was written raises CorruptionError. Must never do I/O, nor decide whether a torn end is cut.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from kipu.core.errors import CorruptionError

from .chain import Batch, Tip
from .codec import canonical

FORMAT = "kipu-log/v1"
# A batch has at most 512 KiB of records, and beside them the definition of one Workflow: 5,000 steps of 2 KiB.
PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
# Where a machine lost its power, a file may have grown by pages that were never written. No payload holds a NUL, and
# so many in a row at the very end are no changed byte.
NULS_MIN = 16
_HEADER = struct.Struct(">III")
_SUMMED = struct.Struct(">II")


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The first frame of a segment: whose it is, and where the stream stood before it."""

    format: str
    uid: str
    spec_hash: str
    position: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One batch as it was stored."""

    hash: str  # of the chain after it, in hex
    records: list[bytes]
    blobs: Mapping[str, bytes]  # by SHA-256 in hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a file holds. `size` is where its last whole batch ends: 0 if there is none."""

    opening: Opening | None
    frames: tuple[Frame, ...]
    size: int
    is_torn: bool  # something that was not written to its end follows


def opening(uid: str, spec_hash: str, tip: Tip) -> bytes:
    """The frame that begins a segment after `tip`."""
    return _framed(
        canonical(
            {
                "format": FORMAT,
                "uid": uid,
                "specHash": spec_hash,
                "position": tip.position,
                "hash": tip.hash.hex(),
            }
        )
    )


def batch(given: Batch) -> bytes:
    """The frame of one append."""
    blobs = b"".join(blob + b"\n" for blob in given.blobs.values())
    return _framed(given.tip.hash.hex().encode() + b"\n" + given.lines + (b"\n" + blobs if blobs else b""))


def read(data: bytes) -> Segment:
    """The frames of a file. Raises CorruptionError with the place of the first fault."""
    opened: Opening | None = None
    frames: list[Frame] = []
    size = end = 0
    for end, payload in _payloads(data):
        if opened is None:
            opened = _opening(payload)
        else:
            frames.append(_frame(payload))
            size = end
    return Segment(opening=opened, frames=tuple(frames), size=size, is_torn=size < len(data))


def _framed(payload: bytes) -> bytes:
    assert len(payload) <= PAYLOAD_BYTES_MAX
    summed = _SUMMED.pack(len(payload), zlib.crc32(payload))
    return summed + zlib.crc32(summed).to_bytes(4) + payload


def _payloads(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each whole frame: where it ends, and what is in it."""
    start = 0
    while start < len(data):
        body = start + _HEADER.size
        if len(data) < body:
            return
        length, checksum, header_checksum = _HEADER.unpack_from(data, start)
        sound_header = zlib.crc32(data[start : start + _SUMMED.size]) == header_checksum
        end = body + length
        if sound_header and length <= PAYLOAD_BYTES_MAX:
            if len(data) < end:
                return
            payload = data[body:end]
            if zlib.crc32(payload) == checksum:
                yield end, payload
                start = end
                continue
        if _was_never_written(data[start:], length if sound_header else None):
            return
        raise CorruptionError(f"the frame at byte {start} is not the one that was written: its checksum differs")


def _was_never_written(rest: bytes, length: int | None) -> bool:
    """Whether this frame is the last, and what is missing of it are pages that the file only grew by.

    `length` is None where the header itself is not whole.
    """
    written = len(rest.rstrip(b"\0"))
    is_last = written < _HEADER.size if length is None else len(rest) <= _HEADER.size + length
    return is_last and len(rest) - written >= NULS_MIN


def _opening(payload: bytes) -> Opening:
    try:
        found = msgspec.json.decode(payload, type=Opening)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptionError(f"the file begins with no opening of a segment: {error}") from error
    if found.format != FORMAT:
        raise CorruptionError(f"the file's format is '{found.format}', this release reads '{FORMAT}'")
    return found


def _frame(payload: bytes) -> Frame:
    digest, _, rest = payload.partition(b"\n")
    lines, _, blobs = rest.partition(b"\n\n")
    kept = blobs.removesuffix(b"\n").split(b"\n") if blobs else []
    return Frame(
        hash=digest.decode("ascii", "replace"),
        records=lines.removesuffix(b"\n").split(b"\n"),
        blobs={hashlib.sha256(blob).hexdigest(): blob for blob in kept},
    )
