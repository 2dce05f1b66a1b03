"""The log in files: what a dead writer, a full disk or a changed byte may do to it, and what is made of it."""

from __future__ import annotations

import errno
import fcntl
import os
from itertools import islice
from pathlib import Path

import pytest

from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import Event
from kipu.eventlog import file, segments
from kipu.eventlog.file import FileLog
from kipu.eventlog.ports import ConcurrencyConflict, Head, LogMissing, Recorded
from tests.eventlog.contract import accepted, begin, large_definition, read
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, facts, scheduled

BATCHES = 5
STEPS_OF_A_BLOB = 60


def files(root: Path) -> list[Path]:
    return sorted((root / STREAM.uid).glob("*.log"))


async def written(root: Path, *, steps: int = 1) -> tuple[Head, list[Recorded], list[int]]:
    """A log, its definition kept as a blob if it has many steps: its head, its records, its size after each append."""
    log, told = FileLog(root), facts()
    first: list[Event] = [claim(), accepted(large_definition(steps))]
    head, records = await log.append(STREAM, None, first, ts=TS, spec_hash=SPEC_HASH)
    kept, sizes = list(records), [files(root)[-1].stat().st_size]
    for _ in range(BATCHES - 1):
        head, records = await log.append(STREAM, head, list(islice(told, 2)), ts=TS)
        kept += records
        sizes.append(files(root)[-1].stat().st_size)
    return head, kept, sizes


@pytest.mark.proof
@pytest.mark.parametrize(("steps", "stride"), [(1, 1), (STEPS_OF_A_BLOB, 61)])
async def test_a_file_that_ends_anywhere_is_read_up_to_its_last_whole_append(
    tmp_path: Path, steps: int, stride: int
) -> None:
    _, records, sizes = await written(tmp_path, steps=steps)
    (path,) = files(tmp_path)
    data = path.read_bytes()
    for size in range(len(data), -1, -stride):
        os.truncate(path, size)
        whole = sum(end <= size for end in sizes)
        history = await FileLog(tmp_path).load(STREAM)
        if not whole:
            assert history is None
            continue
        assert history is not None
        assert list(history.records) == records[: 2 * whole]
        assert path.stat().st_size == size, "a reader has changed the file"


@pytest.mark.proof
async def test_the_next_writer_cuts_what_was_not_written_to_its_end(tmp_path: Path) -> None:
    _, records, sizes = await written(tmp_path, steps=STEPS_OF_A_BLOB)
    (path,) = files(tmp_path)
    data = path.read_bytes()
    for size in [*range(sizes[-2], sizes[-1], 7), *range(0, sizes[0], 997)]:
        path.write_bytes(data[:size])
        whole = sum(end <= size for end in sizes)
        log = FileLog(tmp_path)
        history = await log.load(STREAM)
        head = history.head if history else None
        await log.append(STREAM, head, [claim(9)], ts=TS, spec_hash=SPEC_HASH)
        after = await read(FileLog(tmp_path), STREAM)
        assert list(after.records[:-1]) == records[: 2 * whole]
        assert after.records[-1].event == claim(9)
        kept = sizes[whole - 1] if whole else 0
        assert path.read_bytes()[:kept] == data[:kept], "what was written was written anew"


@pytest.mark.parametrize(
    ("change", "steps", "stride"),
    [
        pytest.param("another bit", 1, 1, marks=pytest.mark.proof),
        pytest.param("another byte", 1, 5, marks=pytest.mark.proof),
        pytest.param("NUL", 1, 5, marks=pytest.mark.proof),
        ("another bit", STEPS_OF_A_BLOB, 61),
    ],
)
async def test_every_single_changed_byte_is_detected(tmp_path: Path, change: str, steps: int, stride: int) -> None:
    await written(tmp_path, steps=steps)
    (path,) = files(tmp_path)
    sound = path.read_bytes()
    for place in range(0, len(sound), stride):
        byte = sound[place]
        other = {"another bit": byte ^ (1 << place % 8), "another byte": byte ^ 0xFF, "NUL": 0}[change]
        if other == byte:
            continue
        changed = bytearray(sound)
        changed[place] = other
        path.write_bytes(changed)
        with pytest.raises(CorruptionError, match=str(path)):
            await FileLog(tmp_path).load(STREAM)


@pytest.mark.proof
async def test_pages_that_were_never_written_are_a_torn_end(tmp_path: Path) -> None:
    _, records, sizes = await written(tmp_path)
    (path,) = files(tmp_path)
    data = path.read_bytes()
    for size in range(sizes[-2], sizes[-1] - segments.NULS_MIN + 1):
        path.write_bytes(data[:size] + bytes(len(data) - size))
        assert list((await read(FileLog(tmp_path), STREAM)).records) == records[:-2]
    path.write_bytes(data + bytes(4096))
    assert list((await read(FileLog(tmp_path), STREAM)).records) == records
    path.write_bytes(data[: sizes[3]] + bytes(32) + data[sizes[3] + 32 :])
    with pytest.raises(CorruptionError):
        await FileLog(tmp_path).load(STREAM)


async def test_a_record_changed_together_with_its_checksums_is_detected_by_the_chain(tmp_path: Path) -> None:
    await written(tmp_path)
    (path,) = files(tmp_path)
    data, start, frames = path.read_bytes(), 0, []
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        frames.append(data[start + 12 : end])
        start = end
    frames[-1] = frames[-1].replace(b"transform", b"transfers")
    path.write_bytes(b"".join(segments._framed(payload) for payload in frames))
    with pytest.raises(CorruptionError, match="not those that were written"):
        await FileLog(tmp_path).load(STREAM)


# -- several files -------------------------------------------------------------------------------------


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "SEGMENT_BYTES_MAX", 1_000)


@pytest.mark.usefixtures("small_files")
async def test_a_full_file_is_followed_by_the_next_and_is_never_touched_again(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM)
    seen: dict[Path, bytes] = {}
    for number in range(40):
        head, _ = await log.append(STREAM, head, [scheduled(f"{number}")], ts=TS)
        for path in files(tmp_path):
            assert path.read_bytes().startswith(seen.get(path, b""))
            seen[path] = path.read_bytes()
    assert len(seen) > 5
    history = await read(FileLog(tmp_path), STREAM)
    assert [record.event for record in history.records[1:]] == [scheduled(f"{number}") for number in range(40)]
    assert history.head == head


@pytest.mark.usefixtures("small_files")
async def test_a_file_that_is_missing_swapped_or_cut_before_the_last_is_detected(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM)
    for number in range(40):
        head, _ = await log.append(STREAM, head, [scheduled(f"{number}")], ts=TS)
    sound = {path: path.read_bytes() for path in files(tmp_path)}
    *earlier, last = sound
    changes: list[dict[Path, bytes]] = [{path: b""} for path in earlier]
    changes += [{path: sound[path][:-1]} for path in earlier] + [{earlier[0]: sound[last]}, {last: sound[earlier[0]]}]
    for change in changes:
        for path, data in (sound | change).items():
            path.write_bytes(data)
        with pytest.raises(CorruptionError):
            await FileLog(tmp_path).load(STREAM)
    for path in earlier:
        for other, data in sound.items():
            other.write_bytes(data)
        path.unlink()
        with pytest.raises(CorruptionError, match="a file is missing"):
            await FileLog(tmp_path).load(STREAM)


@pytest.mark.usefixtures("small_files")
async def test_a_new_file_without_a_whole_append_is_taken_away_by_the_next_writer(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM)
    while len(files(tmp_path)) < 3:
        before, (head, _) = head, await log.append(STREAM, head, [scheduled()], ts=TS)
    last = files(tmp_path)[-1]
    data = last.read_bytes()
    for size in range(0, len(data), 5):
        last.write_bytes(data[:size])
        torn = FileLog(tmp_path)
        assert (await read(torn, STREAM)).head == before
        again, _ = await torn.append(STREAM, before, [scheduled()], ts=TS)
        assert again == head
        assert last.read_bytes() == data


# -- writers -------------------------------------------------------------------------------------------


async def test_a_log_whose_files_are_gone_is_missing(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM)
    for path in files(tmp_path):
        path.unlink()
    with pytest.raises(LogMissing):
        await log.append(STREAM, head, [scheduled()], ts=TS)


async def test_while_another_process_writes_nothing_is_written(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM)
    with (tmp_path / STREAM.uid / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match="another process"):
            await log.append(STREAM, head, [scheduled()], ts=TS)
    assert (await log.append(STREAM, head, [scheduled()], ts=TS))[0].position == 2


async def test_a_log_that_has_lost_its_end_conflicts(tmp_path: Path) -> None:
    head, _, sizes = await written(tmp_path)
    os.truncate(files(tmp_path)[0], sizes[-2])
    with pytest.raises(ConcurrencyConflict):
        await FileLog(tmp_path).append(STREAM, head, [scheduled()], ts=TS)


async def test_a_uid_that_is_no_name_of_a_folder_is_a_misuse(tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="cannot name a folder"):
        await FileLog(tmp_path).load(replace(STREAM, uid="../other"))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the disk, in order; `broken` as the first entry makes the next fsync of a file fail."""
    asked: list[str] = []
    sound = os.fsync

    def fsync(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if asked[:1] == ["broken"]:
            asked[0] = "failed"
            raise OSError(errno.EIO, "Input/output error")
        asked.append(Path(name).name)
        sound(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return asked


async def test_an_append_is_acknowledged_only_once_the_file_and_its_name_are_on_the_disk(
    tmp_path: Path, disk: list[str]
) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM)
    assert disk == [tmp_path.name, "000000000001.log", STREAM.uid]
    disk.clear()
    await log.append(STREAM, head, [scheduled()], ts=TS)
    assert disk == ["000000000001.log"]


@pytest.mark.parametrize("begun", [True, False])
async def test_what_the_disk_refused_is_never_found_later(tmp_path: Path, disk: list[str], begun: bool) -> None:
    log = FileLog(tmp_path)
    head = await begin(log, STREAM) if begun else None
    (tmp_path / STREAM.uid).mkdir(exist_ok=True)
    disk[:] = ["broken"]
    with pytest.raises(TransientError, match="Input/output"):
        await log.append(STREAM, head, [claim(5)], ts=TS, spec_hash=SPEC_HASH)
    history = await FileLog(tmp_path).load(STREAM)
    assert (history.head if history else None) == head
    await log.append(STREAM, head, [claim(6)], ts=TS, spec_hash=SPEC_HASH)
    assert (await read(log, STREAM)).records[-1].event == claim(6)


@pytest.mark.parametrize(
    ("opening", "said"),
    [
        (b"no JSON", "begins with no opening"),
        (b'{"format":"kipu-log/v2","hash":"","position":0,"specHash":"","uid":""}', "this release reads 'kipu-log/v1'"),
    ],
)
def test_a_file_of_another_kind_or_release_is_told(opening: bytes, said: str) -> None:
    with pytest.raises(CorruptionError, match=said):
        segments.read(segments._framed(opening))
