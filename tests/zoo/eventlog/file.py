"""Mutants of kipu/eventlog/file.py: the log in files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kipu.eventlog import file, segments
from kipu.eventlog.chain import Batch
from kipu.eventlog.disk import sync
from kipu.eventlog.file import FileHead, FileLog, _head, _path
from kipu.eventlog.ports import StreamId
from tests.zoo.mutants import mutant

TESTS = "tests/eventlog/test_file.py"
_first = file._write


@mutant("_cut", breaks="torn tail not cut", caught_by=TESTS)
def a_torn_end_stays(path: Path, size: int) -> None:
    """What a dead writer left unfinished is written after, and not cut."""


@mutant("FileLog._settle", breaks="append that overwrites the log", caught_by=TESTS)
def whatever_is_there_is_cut(self: FileLog, stream: StreamId, expected: FileHead | None) -> None:
    """The log ends where the writer believes it does, whoever has written since."""
    folder = self._folder(stream)
    if expected is not None and (path := _path(folder, expected.segment)).exists():
        os.truncate(path, expected.size)


@mutant("_write", breaks="append that overwrites the log", caught_by=TESTS)
def the_file_is_written_anew(
    stream: StreamId, expected: FileHead | None, batch: Batch, folder: Path, spec_hash: str
) -> FileHead:
    """Every append rewrites the whole file, and a crash in the middle loses all of it."""
    if expected is None:
        return _first(stream, expected, batch, folder, spec_hash)
    path = _path(folder, expected.segment)
    kept = path.read_bytes()
    path.write_bytes(b"")
    sync(path)
    path.write_bytes(kept + segments.batch(batch))
    return _head(batch.tip, spec_hash, expected.segment, path.stat().st_size)


@mutant("_lock", breaks="two processes own the log", caught_by=TESTS)
@contextmanager
def nobody_is_kept_out(folder: Path) -> Iterator[None]:
    """Two processes may compare at once, and then both append."""
    yield


@mutant("sync", breaks="acknowledged before it is on the disk", caught_by=TESTS)
def a_new_name_is_not_waited_for(path: Path) -> None:
    """The file is on the disk, and the folder that names it is not."""
