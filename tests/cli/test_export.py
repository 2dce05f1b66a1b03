"""`kipu export`: of a sound log everything, of a damaged one what can be verified, with words on what is missing."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from kipu.api.definition import immutable_part
from kipu.cli import transcript
from kipu.cli.errors import CannotTell
from kipu.core.errors import CorruptionError
from kipu.eventlog.configmaps import ConfigMapLog
from tests.api.specs import spec, step
from tests.cli import exports, histories
from tests.cli.api_server import WORKFLOWS, ApiServer, StoredConfigMaps
from tests.cli.exports import CONFIG_MAPS, HEAD, SPEC, half_done, recorded
from tests.cli.histories import STREAM
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.proof

NAME = STREAM.name


def first_line(content: str) -> dict[str, object]:
    line: dict[str, object] = json.loads(content.splitlines()[0])
    return line


# -- of a sound log ------------------------------------------------------------------------------------------


def test_an_export_is_a_history_with_the_spec_and_what_the_status_has_seen(
    terminal: Terminal, server: ApiServer
) -> None:
    head = recorded(server, half_done())
    outcome = terminal.kipu("export", NAME)
    assert (outcome.code, outcome.err) == (0, "")
    line = first_line(outcome.out)
    assert json.loads(str(line.pop("spec"))) == immutable_part(SPEC)
    assert line.pop("witness") == {"position": head.position, "hash": head.hash}
    plain, *records = terminal.kipu("history", NAME, "-o", "jsonl").out.splitlines()
    assert (line, outcome.out.splitlines()[1:]) == (json.loads(plain), records)


def test_verify_accepts_an_export(terminal: Terminal, server: ApiServer) -> None:
    head = recorded(server, half_done())
    content = terminal.kipu("export", NAME).out.encode()
    outcome = terminal.kipu("verify", "-", stdin=content)
    assert outcome == (0, f"OK: {head.position} events, head {head.hash}, phase Running\n", "")


def test_a_workflow_that_has_ended_or_is_wide_is_exported_too(terminal: Terminal, server: ApiServer) -> None:
    given, flow = exports.wide()
    recorded(server, flow, given)
    content = terminal.kipu("export", NAME).out
    assert first_line(content)["blobs"]
    assert terminal.kipu("verify", "-", stdin=content.encode()).out.endswith("phase Succeeded\n")


def test_the_file_is_written_whole_and_a_sound_one_replaces_another(
    terminal: Terminal, server: ApiServer, tmp_path: Path
) -> None:
    recorded(server, half_done())
    file = tmp_path / "nightly.jsonl"
    file.write_text("older")
    assert terminal.kipu("export", NAME, "--output", str(file)) == (0, "", "")
    assert file.read_text() == terminal.kipu("export", NAME).out
    assert [path.name for path in tmp_path.iterdir() if "nightly" in path.name] == ["nightly.jsonl"]


def test_a_file_that_cannot_be_written_is_said(terminal: Terminal, server: ApiServer, tmp_path: Path) -> None:
    recorded(server, half_done())
    outcome = terminal.kipu("export", NAME, "--output", str(tmp_path / "no" / "file"))
    assert outcome.code == 2
    assert outcome.err.endswith("No such file or directory\n")


def test_a_spec_that_was_edited_since_is_left_out_and_that_is_said(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, half_done())
    server.objects[f"{WORKFLOWS.format('default')}/{NAME}"]["spec"] = spec(step("other"))
    outcome = terminal.kipu("export", NAME)
    assert outcome.code == 1
    assert outcome.err.startswith("kipu: the spec was edited after it was taken up")
    assert "spec" not in first_line(outcome.out)
    assert terminal.kipu("verify", "-", stdin=outcome.out.encode()).code == 0


def test_a_workflow_that_no_operator_took_up_has_nothing_to_export(terminal: Terminal, server: ApiServer) -> None:
    server.add_workflow(STREAM)
    assert terminal.kipu("export", NAME) == (
        2,
        "",
        "kipu: Workflow 'nightly' has no log yet: no operator has taken it up\n",
    )


# -- what was changed since ----------------------------------------------------------------------------------


def exported(terminal: Terminal, server: ApiServer) -> bytes:
    recorded(server, half_done())
    return terminal.kipu("export", NAME).out.encode()


def test_no_changed_byte_of_an_export_passes(terminal: Terminal, server: ApiServer) -> None:
    """But for the namespace and the name, a note for people that no hash covers."""
    content = exported(terminal, server)
    notes = [f'"{key}":"{value}"'.encode() for key, value in (("name", "nightly"), ("namespace", "default"))]
    noted = {content.find(note) + offset for note in notes for offset in range(len(note))}
    for place in sorted(set(range(content.index(b"\n"))) - noted):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises((CorruptionError, CannotTell)):
            transcript.verify(changed.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"busybox:1.36", b"busybox:1.37", "the spec is not the one that was taken up"),
        (b'"spec":"{', b'"spec":"[', "the spec is not the one that was taken up"),
        (b'"witness":{"hash":"', b'"witness":{"hash":"0', "is not the one that the status has seen"),
    ],
)
def test_what_was_changed_is_named(terminal: Terminal, server: ApiServer, old: bytes, new: bytes, why: str) -> None:
    content = exported(terminal, server)
    assert old in content
    with pytest.raises(CorruptionError, match=why):
        transcript.verify(content.replace(old, new, 1).splitlines(keepends=True))


# -- of a damaged log ----------------------------------------------------------------------------------------


def wide_and_damaged(server: ApiServer) -> tuple[int, int]:
    """The head is gone; returns where the chunks and where the log ended."""
    given, flow = exports.wide()
    head = recorded(server, flow, given, condition="Stalled")
    del server.objects[HEAD]
    return head.chunks[-1].last, head.position


def test_of_a_lost_head_the_chunks_are_exported_and_what_is_missing_is_said(
    terminal: Terminal, server: ApiServer
) -> None:
    sealed, position = wide_and_damaged(server)
    outcome = terminal.kipu("export", NAME)
    extent = f"partial: verified up to position {sealed} of {position}"
    why = f"the status has seen position {position}, but there is no log"
    assert (outcome.code, outcome.err) == (1, f"kipu: {extent}: {why}\n")
    assert len(outcome.out.splitlines()) == sealed + 1
    verdict = terminal.kipu("verify", "-", stdin=outcome.out.encode())
    assert verdict.code == 1
    assert verdict.out.startswith(f"{extent}, head ")
    assert verdict.out.endswith(f": {why}\n")


def test_a_partial_file_is_checked_as_far_as_it_goes(terminal: Terminal, server: ApiServer) -> None:
    wide_and_damaged(server)
    content = terminal.kipu("export", NAME).out.encode()
    outcome = terminal.kipu("verify", "-", stdin=content.replace(b'"step":"shard-7"', b'"step":"shard-8"', 1))
    assert outcome.code == 1
    assert outcome.err.startswith("kipu: not sound: position ")


def test_a_partial_export_replaces_no_file(terminal: Terminal, server: ApiServer, tmp_path: Path) -> None:
    wide_and_damaged(server)
    file = tmp_path / "nightly.jsonl"
    assert terminal.kipu("export", NAME, "--output", str(file)).code == 1
    file.write_text("the whole one")
    outcome = terminal.kipu("export", NAME, "--output", str(file))
    assert outcome.code == 2
    assert "name another file" in outcome.err
    assert file.read_text() == "the whole one"


def test_of_a_log_behind_its_status_all_is_exported_as_partial(terminal: Terminal, server: ApiServer) -> None:
    head = recorded(server, half_done())
    server.add_workflow(STREAM, {"position": head.position + 1, "hash": "ab" * 32}, spec=SPEC)
    outcome = terminal.kipu("export", NAME)
    assert outcome.code == 1
    assert f"verified up to position {head.position} of {head.position + 1}" in outcome.err
    assert terminal.kipu("verify", "-", stdin=outcome.out.encode()).code == 1


def test_of_another_past_than_the_status_has_seen_all_is_exported_as_partial(
    terminal: Terminal, server: ApiServer
) -> None:
    head = recorded(server, half_done())
    server.add_workflow(STREAM, {"position": 3, "hash": "ab" * 32}, spec=SPEC)
    outcome = terminal.kipu("export", NAME)
    assert outcome.code == 1
    assert f"verified up to position {head.position} of an unknown number" in outcome.err
    assert "is not the one that the status has seen" in outcome.err


def test_a_lost_definition_is_made_anew_from_the_spec(terminal: Terminal, server: ApiServer) -> None:
    given, flow = exports.wide()
    head = recorded(server, flow, given)
    (blob,) = [path for path in server.objects if "kipu-blob-" in path]
    del server.objects[blob]
    outcome = terminal.kipu("export", NAME)
    assert outcome.code == 0
    assert outcome.err.endswith(" is gone, and a record names it; the file is whole all the same\n")
    assert len(outcome.out.splitlines()) == head.position + 1
    assert terminal.kipu("verify", "-", stdin=outcome.out.encode()).code == 0


def test_of_a_history_that_the_core_does_not_take_the_part_before_is_exported(
    terminal: Terminal, server: ApiServer
) -> None:
    flow = half_done()
    flow.log.append(copy.deepcopy(flow.log[-2]))
    head = recorded(server, flow)
    outcome = terminal.kipu("export", NAME)
    assert outcome.code == 1
    assert f"verified up to position {head.position - 1} of {head.position}: position {head.position}: " in outcome.err


def test_where_nothing_is_left_no_file_is_written(terminal: Terminal, server: ApiServer, tmp_path: Path) -> None:
    recorded(server, half_done())
    del server.objects[HEAD]
    outcome = terminal.kipu("export", NAME, "--output", str(tmp_path / "file"))
    assert outcome.code == 1
    assert outcome.err.endswith("nothing of the log can be verified\n")
    assert not (tmp_path / "file").exists()


def test_of_a_spec_that_no_release_takes_a_damaged_log_is_exported_all_the_same(
    terminal: Terminal, server: ApiServer
) -> None:
    flow = histories.diamond()
    histories.record(ConfigMapLog(StoredConfigMaps(server)), flow)
    server.add_workflow(STREAM, {"position": 99, "hash": "ab" * 32}, spec={"steps": []})
    outcome = terminal.kipu("export", NAME)
    assert outcome.code == 1
    assert f"verified up to position {len(flow.log)} of 99" in outcome.err


def test_who_may_not_list_config_maps_is_told_so(terminal: Terminal, server: ApiServer) -> None:
    wide_and_damaged(server)
    server.lists_nothing = True
    outcome = terminal.kipu("export", NAME)
    assert outcome == (2, "", f'kipu: no right to list {CONFIG_MAPS}: User "me" cannot list {CONFIG_MAPS}\n')
