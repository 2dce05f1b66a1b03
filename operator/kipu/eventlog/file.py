"""The backend of files: a folder a stream, in it append-only segments, for runs without a cluster.

    <root>/<uid>/000000000001.log 000000008412.log lock     # named by the first position in them

Promises: the port; an acknowledged append has reached the disk (the file, and the folder that names it); two writers,
in one process or several, never both commit after the same head. What was written is never written again: only what a
dead writer has not written to its end is cut, by the next writer and under the lock. Readers take no lock and change
nothing. Must never acknowledge what a failed fsync may have lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import Event

from . import segments
from .chain import Batch, Tip, beginning, extend, replay
from .disk import sync
from .ports import ConcurrencyConflict, Head, History, LogMissing, Recorded, StreamId

SEGMENT_BYTES_MAX = 4 * 1024 * 1024  # then the next one begins: a full log of 75 MB has 19
_UID = re.compile(r"[A-Za-z0-9-]+")
_SEGMENT = re.compile(r"([0-9]{12})\.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHead(Head):
    """Where a stream ends, and where in which file."""

    spec_hash: str
    tip: Tip
    segment: int  # the first position in the newest file that has a batch
    size: int  # of that file up to the end of its last whole batch


class FileLog:
    """One writer on a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def load(self, stream: StreamId) -> History | None:
        """The whole verified history; None when the stream was never begun. Raises CorruptionError, TransientError."""
        return self._load(stream)

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[Head, tuple[Recorded, ...]]:
        """Commit `events` after `expected`; see the port. The disk is waited for, and other tasks wait along."""
        return self._append(stream, expected, events, ts=ts, spec_hash=spec_hash)

    async def archive(self, stream: StreamId, head: Head) -> Head:  # noqa: ARG002 (a log in files stays as it grew)
        """Nothing to do."""
        return head

    async def sweep(self, stream: StreamId, head: Head) -> int:  # noqa: ARG002 (nothing is ever replaced)
        """Nothing to do."""
        return 0

    # -- reading -----------------------------------------------------------------------------------------------

    def _load(self, stream: StreamId) -> History | None:
        head: FileHead | None = None
        records: list[Recorded] = []
        try:
            firsts = _segments(self._folder(stream))
            for first in firsts:
                data = _path(self._folder(stream), first).read_bytes()
                try:
                    head, added = _read(stream, head, first, data, is_last=first == firsts[-1])
                except CorruptionError as error:
                    raise type(error)(f"{_path(self._folder(stream), first)}: {error}") from error
                records += added
        except OSError as error:
            raise TransientError(f"cannot read the log: {error}") from error
        return None if head is None else History(head=head, records=tuple(records))

    # -- writing -----------------------------------------------------------------------------------------------

    def _append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str
    ) -> tuple[FileHead, tuple[Recorded, ...]]:
        folder = self._folder(stream)
        if expected is None:
            tip = beginning(stream.uid, spec_hash)
        else:
            assert isinstance(expected, FileHead)
            tip, spec_hash = expected.tip, expected.spec_hash
            if not _segments(folder):
                raise LogMissing(f"the log of {stream.name} is gone: there is no file in {folder}")
        batch = extend(tip, events, ts=ts)
        try:
            if expected is None:
                _make_folder(folder)
            with _lock(folder):
                self._settle(stream, expected)
                head = _write(stream, expected, batch, folder, spec_hash)
        except OSError as error:
            raise TransientError(f"cannot write the log in {folder}: {error}") from error
        return head, batch.records

    def _settle(self, stream: StreamId, expected: FileHead | None) -> None:
        """Whether the stream ends where the caller believes; what a dead writer left unfinished is cut."""
        folder = self._folder(stream)
        firsts = _segments(folder)
        if not firsts:
            return
        if expected is not None and (firsts[-1], _size(folder, firsts[-1])) == (expected.segment, expected.size):
            return
        found = self._load(stream)
        if (found.head if found else None) != expected:
            position = found.head.position if found else 0
            raise ConcurrencyConflict(f"the log of {stream.name} has moved to position {position}")
        for first in firsts:
            if expected is None or first > expected.segment:
                _path(folder, first).unlink()
            elif first == expected.segment:
                _cut(_path(folder, first), expected.size)
        sync(folder)

    def _folder(self, stream: StreamId) -> Path:
        if not _UID.fullmatch(stream.uid):
            raise ValueError(f"'{stream.uid}' cannot name a folder")
        return self._root / stream.uid


def _read(
    stream: StreamId, head: FileHead | None, first: int, data: bytes, *, is_last: bool
) -> tuple[FileHead | None, list[Recorded]]:
    """A file's verified records, and where the stream stands after them."""
    segment = segments.read(data)
    if segment.is_torn and not is_last:
        raise CorruptionError(f"it is not whole, and others follow: it ends at byte {segment.size}")
    if segment.opening is None or not segment.frames:
        if is_last:
            return head, []
        raise CorruptionError("it is empty, and others follow")
    opened = segment.opening
    tip = head.tip if head else beginning(stream.uid, opened.spec_hash)
    if (opened.uid, opened.position, opened.hash) != (stream.uid, tip.position, tip.hash.hex()) or (
        first != tip.position + 1 or (head and head.spec_hash != opened.spec_hash)
    ):
        raise CorruptionError(f"it does not follow position {tip.position}: a file is missing, or it is another log's")
    records: list[Recorded] = []
    for frame in segment.frames:
        tip, added = replay(tip, frame.records, frame.blobs)
        if tip.hash.hex() != frame.hash:
            raise CorruptionError(f"the records up to position {tip.position} are not those that were written")
        records += added
    return _head(tip, opened.spec_hash, first, segment.size), records


def _write(stream: StreamId, expected: FileHead | None, batch: Batch, folder: Path, spec_hash: str) -> FileHead:
    """Append one frame, in a new file where the old one is full. Raises OSError; then nothing was added."""
    data = segments.batch(batch)
    if expected is not None and expected.size < SEGMENT_BYTES_MAX:
        segment, size = expected.segment, expected.size
    else:
        before = expected.tip if expected else beginning(stream.uid, spec_hash)
        segment, size = before.position + 1, 0
        data = segments.opening(stream.uid, spec_hash, before) + data
        if expected is not None:  # a dead writer may have written its last batch, and not have waited for the disk
            sync(_path(folder, expected.segment))
    path = _path(folder, segment)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        _write_whole(descriptor, data)
        os.fsync(descriptor)
        if size == 0:
            sync(folder)
    except OSError:
        # After a failed fsync nobody knows what is on the disk: what is not acknowledged must not be found later.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        raise
    finally:
        os.close(descriptor)
    return _head(batch.tip, spec_hash, segment, size + len(data))


def _head(tip: Tip, spec_hash: str, segment: int, size: int) -> FileHead:
    return FileHead(
        position=tip.position,
        hash=tip.hash.hex(),
        epoch=tip.epoch,
        spec_hash=spec_hash,
        tip=tip,
        segment=segment,
        size=size,
    )


# -- files -----------------------------------------------------------------------------------------------------


def _segments(folder: Path) -> list[int]:
    """The first position of each file, in order."""
    if not folder.is_dir():
        return []
    return sorted(int(match[1]) for name in os.listdir(folder) if (match := _SEGMENT.fullmatch(name)))


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:012}.log"


def _size(folder: Path, first: int) -> int:
    return _path(folder, first).stat().st_size


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Alone among all writers of this stream. It is held for one append, and ends with the process that holds it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise TransientError(f"another process writes to the log in {folder}") from error
    finally:
        os.close(descriptor)


def _write_whole(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _cut(path: Path, size: int) -> None:
    with path.open("rb+") as file:
        file.truncate(size)
        os.fsync(file.fileno())
