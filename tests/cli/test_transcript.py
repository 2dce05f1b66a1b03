from __future__ import annotations

import json

import pytest

from kipu.cli import transcript
from kipu.cli.errors import CannotTell
from kipu.core.errors import CorruptionError
from kipu.eventlog.codec import canonical
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.memory import MemoryLog
from tests.cli import histories
from tests.cli.terminal import Terminal
from tests.core.given import Flow
from tests.eventlog import newer
from tests.eventlog.recorded import SPEC_HASH
from tests.eventlog.store import Client, Store


def written(flow: Flow) -> list[bytes]:
    log = MemoryLog()
    histories.record(log, flow)
    history = histories.run(log.load(histories.STREAM))
    assert history is not None
    return list(transcript.write(histories.STREAM, history, histories.SPEC_HASH))


def as_file(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


DIAMOND = written(histories.diamond())
SKIPPING = written(histories.skipping())
WIDE = written(histories.wide())
NOTES = tuple(f'"{key}":"{value}"'.encode() for key, value in (("name", "nightly"), ("namespace", "default")))


def test_what_was_written_is_found_sound(terminal: Terminal) -> None:
    outcome = terminal.kipu("verify", "-", stdin=as_file(DIAMOND))
    events, head = len(DIAMOND) - 1, json.loads(DIAMOND[0])["head"]["hash"]
    assert outcome == (0, f"OK: {events} events, head {head}, phase Succeeded\n", "")


def test_a_definition_in_a_blob_comes_along(terminal: Terminal) -> None:
    assert json.loads(WIDE[0])["blobs"]
    assert terminal.kipu("verify", "-", stdin=as_file(WIDE)).code == 0


def test_the_last_newline_may_be_missing() -> None:
    assert transcript.verify(as_file(DIAMOND)[:-1].splitlines(keepends=True)).state.phase == "Succeeded"


def test_a_changed_record_is_named_by_its_position(terminal: Terminal) -> None:
    lines = [line.replace(b'"exitCode":3', b'"exitCode":4') for line in DIAMOND]
    (position,) = [number for number, line in enumerate(lines) if line != DIAMOND[number]]
    outcome = terminal.kipu("verify", "-", stdin=as_file(lines))
    why = f"position {position}: the record is not the one that was recorded here: its hash differs"
    assert outcome == (1, "", f"kipu: not sound: {why}\n")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (DIAMOND[:-1], f"position {len(DIAMOND) - 1}: the record is missing; the history ends at {len(DIAMOND) - 1}"),
        (DIAMOND[:3] + DIAMOND[4:], "position 3: the record at position 3 says that it is number 4"),
        ([*DIAMOND[:3], DIAMOND[2], *DIAMOND[3:]], "position 3: the record at position 3 says that it is number 2"),
        ([*DIAMOND[:4], b"", *DIAMOND[4:]], "position 4: malformed record"),
        ([DIAMOND[0].replace(b'"epoch":1', b'"epoch":2'), *DIAMOND[1:]], "is not the head that the first line names"),
        ([DIAMOND[0].replace(b'":', b'": ', 1), *DIAMOND[1:]], "the first line was changed"),
        ([WIDE[0].replace(b"shard-7", b"shard-x", 1), *WIDE[1:]], "is not the one that was recorded"),
        ([WIDE[0].replace(b'"blobs":{"', b'"blobs":{"0":{},"'), *WIDE[1:]], "the blob 0 is named by no record"),
    ],
)
def test_a_file_that_was_changed_is_told_by_why(lines: list[bytes], why: str) -> None:
    with pytest.raises(CorruptionError) as error:
        transcript.verify(lines)
    assert why in str(error.value)


def test_a_record_more_does_not_belong() -> None:
    more = DIAMOND[1].replace(b'"pos":1', b'"pos":%d' % len(DIAMOND)).replace(b'"epoch":1', b'"epoch":2')
    more = more.replace(b'"ts":', b'"ts":9')
    with pytest.raises(CorruptionError, match="the record does not belong here"):
        transcript.verify([*DIAMOND, more])


def test_a_history_that_the_core_cannot_have_decided_is_not_sound() -> None:
    """Every hash is right, but the step's start was never decided."""
    flow = histories.diamond()
    flow.log = [pair for pair in flow.log if type(pair[0]).__name__ != "StepScheduled"]
    with pytest.raises(transcript.BadRecord) as error:
        transcript.verify(written(flow))
    assert str(error.value) == "position 3: step 'fetch': attempt 1 is not its newest, 0"


def test_a_record_of_a_later_release_is_not_called_false(terminal: Terminal) -> None:
    lines = [line.replace(b'"type":"WorkflowFinished"', b'"type":"WorkflowArchived"') for line in DIAMOND]
    outcome = terminal.kipu("verify", "-", stdin=as_file(lines))
    assert outcome.code == 2
    assert "WorkflowArchived v1 was written by a later version of Kipu; upgrade to it again" in outcome.err


async def test_keys_that_a_later_release_has_written_come_along_and_are_proven() -> None:
    kept = json.loads(newer.NEWER_KEY.read_text())
    store = Store()
    store.objects = {(newer.STREAM.namespace, each["metadata"]["name"]): each for each in kept["objects"]}
    history = await ConfigMapLog(Client(store=store)).load(newer.STREAM)
    assert history is not None
    lines = list(transcript.write(newer.STREAM, history, SPEC_HASH))
    assert b"lastWords" in lines[-1]
    assert transcript.verify(lines).tip.hash.hex() == kept["hashes"][-1]
    with pytest.raises(transcript.BadRecord, match="position 4: the record is not the one"):
        transcript.verify([*lines[:-1], lines[-1].replace(b"lastWords", b"lostWords")])


@pytest.mark.parametrize("first", [b"", b"{}", b"apiVersion: v1", DIAMOND[1], b"\xff"])
def test_a_file_of_another_kind_is_not_called_false(terminal: Terminal, first: bytes) -> None:
    outcome = terminal.kipu("verify", "-", stdin=first)
    assert outcome.code == 2
    assert outcome.err.startswith("kipu: not a file of 'kipu history -o jsonl'")


def test_a_format_of_the_future_is_named() -> None:
    metadata = json.loads(DIAMOND[0]) | {"format": "kipu-history/v2"}
    with pytest.raises(CannotTell, match="the file's format is 'kipu-history/v2'"):
        transcript.verify([canonical(metadata)])


def test_a_file_that_is_not_there_is_wrong_usage(terminal: Terminal) -> None:
    outcome = terminal.kipu("verify", "no-such-file")
    assert outcome.code == 2
    assert "No such file or directory" in outcome.err


def check_every_byte(content: bytes, slice_number: int = 0, slices: int = 1) -> int:
    """How many bytes were changed. But for the namespace and the name, a note for people that no hash covers."""
    noted = {content.find(note) + offset for note in NOTES for offset in range(len(note))}
    places = [place for place in range(len(content) - 1) if place not in noted][slice_number::slices]
    for place in places:
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises((CorruptionError, CannotTell)):
            transcript.verify(changed.splitlines(keepends=True))
    return len(places)


@pytest.mark.proof
def test_no_changed_byte_passes() -> None:
    assert check_every_byte(as_file(SKIPPING)) > 2_000


@pytest.mark.simulation
@pytest.mark.parametrize("slice_number", range(8))
def test_no_changed_byte_of_a_history_of_200_events_passes(slice_number: int) -> None:
    """About a minute of one core in all, so not among the units."""
    lines = written(histories.retrying(200))
    assert len(lines) > 200
    assert check_every_byte(as_file(lines), slice_number, 8) > 4_000
