"""`kipu get` and `kipu history --at`, as a person meets them."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.cli import histories
from tests.cli.api_server import ApiServer
from tests.cli.histories import recorded
from tests.cli.terminal import Terminal
from tests.core.given import fan, flow, step


def test_get_shows_the_tree(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    outcome = terminal.kipu("get", "nightly")
    first, headings, *rows = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert first.split()[:4] == ["nightly", "Succeeded", "4/4", "steps"]
    assert headings.split() == ["STEP", "PHASE", "ATTEMPTS", "DURATION", "DETAILS"]
    assert rows[0].split()[2:5] == ["fetch", "Succeeded", "1/1"]
    assert len(rows) == 4
    assert "\x1b" not in outcome.out


def test_on_a_terminal_phases_have_colours_unless_no_color_is_set(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server, histories.diamond())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[32m" in terminal.kipu("get", "nightly").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in terminal.kipu("get", "nightly").out


def test_get_says_what_only_the_status_knows(terminal: Terminal, server: ApiServer) -> None:
    given = flow(step("a"))
    running = [{"step": "a", "attempt": 1, "message": "ErrImagePull: no such image"}]
    recorded(server, given, running=running, reason="Waiting", message="step 'a': ErrImagePull")
    out = terminal.kipu("get", "nightly").out
    assert "ErrImagePull: no such image" in out
    assert "step 'a': ErrImagePull" in out.splitlines()[0]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_get_gives_data_to_programs(terminal: Terminal, server: ApiServer, output: str, read: object) -> None:
    head = recorded(server, flow(fan("shard", count=3)))
    data = read(terminal.kipu("get", "nightly", "-o", output).out)  # type: ignore[operator]
    assert data["log"] == {"position": head.position, "hash": head.hash}
    assert data["steps"][0]["items"]["total"] == 3
    assert data["phase"] == "Running"


def test_a_workflow_that_no_operator_took_up_is_pending(terminal: Terminal, server: ApiServer) -> None:
    server.add_workflow(histories.STREAM)
    outcome = terminal.kipu("get", "nightly")
    assert (outcome.code, outcome.out) == (0, "nightly  Pending  no operator has taken it up yet\n")


def test_an_unknown_name_is_answered_by_the_nearest_and_ends_with_3(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    outcome = terminal.kipu("get", "nigthly")
    assert outcome.code == 3
    assert outcome.err.endswith("did you mean 'nightly'?\n")


def test_a_log_behind_its_status_is_not_sound_and_ends_with_1(terminal: Terminal, server: ApiServer) -> None:
    head = recorded(server, histories.diamond())
    server.add_workflow(histories.STREAM, {"position": head.position + 1, "hash": head.hash})
    outcome = terminal.kipu("get", "nightly")
    assert outcome.code == 1
    assert outcome.err.startswith("kipu: not sound: ")


# -- history --at ------------------------------------------------------------------------------------------


def test_history_at_shows_the_tree_as_it_was_then(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    outcome = terminal.kipu("history", "nightly", "--at", "4")
    at, root, _, first, *rest = outcome.out.splitlines()
    assert outcome.code == 0
    assert at == "at position 4, 2023-11-14T22:13:21.000Z, after StepStarted"
    assert "Running" in root
    assert first.split()[2:4] == ["fetch", "Running"]
    assert "after fetch (Running)" in rest[0]


def test_the_last_position_is_the_state_as_it_is(terminal: Terminal, server: ApiServer) -> None:
    head = recorded(server, histories.diamond())
    now = terminal.kipu("get", "nightly").out
    then = terminal.kipu("history", "nightly", "--at", str(head.position)).out
    assert then.splitlines()[1:] == now.splitlines()


@pytest.mark.parametrize("position", ["0", "-1", "1000"])
def test_a_position_that_does_not_exist_is_refused_with_the_range(
    terminal: Terminal, server: ApiServer, position: str
) -> None:
    head = recorded(server, histories.diamond())
    outcome = terminal.kipu("history", "nightly", "--at", position)
    why = f"--at {position}: there is no such position; those of 'nightly' are 1 to {head.position}"
    assert outcome == (2, "", f"kipu: {why}\n")


def test_a_state_is_not_records(terminal: Terminal, server: ApiServer) -> None:
    outcome = terminal.kipu("history", "nightly", "--at", "1", "-o", "jsonl")
    assert outcome.code == 2
    assert "give one of the two" in outcome.err
