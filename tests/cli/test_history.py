from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from kipu.eventlog.objects import head_name
from tests.cli import histories
from tests.cli.api_server import WORKFLOWS, ApiServer
from tests.cli.histories import recorded
from tests.cli.terminal import Terminal
from tests.core.given import Flow

NAME = histories.STREAM.name
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_history_is_a_table_with_a_line_an_event(terminal: Terminal, server: ApiServer) -> None:
    flow = histories.diamond()
    head = recorded(server, flow)
    outcome = terminal.kipu("history", NAME)
    lines = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert lines[0].split() == ["POS", "TIME", "ELAPSED", "EVENT", "STEP", "DETAILS"]
    assert [line.split()[3] for line in lines[1:-1]] == [type(event).__name__ for event, _ in flow.log]
    assert lines[1].split()[:3] == ["1", "2023-11-14T22:13:20.000Z", "+0.000s"]
    assert lines[-1] == f"{len(flow.log)} events, head {head.hash}, phase Succeeded"


def test_off_a_terminal_nothing_is_coloured_or_cut(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.skipping())
    out = terminal.kipu("history", NAME).out
    assert "\x1b" not in out
    assert any(len(line) > 120 for line in out.splitlines())


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_a_failed_attempt_has_said_last_stands_below_the_table_and_moves_no_cursor(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    recorded(server, histories.speaking())
    monkeypatch.setenv("NO_COLOR", "1")
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    lines = terminal.kipu("history", NAME).out.splitlines()
    assert lines[-5:-1] == ["load/1 said last:", " | reading", " |         x\\u202e", " | KeyError: 'x'"]


def test_on_a_terminal_colours_end_where_no_color_is_set(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(server, histories.diamond())
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any output for a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[32m" in terminal.kipu("history", NAME).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in terminal.kipu("history", NAME).out


@pytest.mark.parametrize("flow", [histories.diamond(), histories.wide()], ids=["a head", "a head, chunks and a blob"])
def test_jsonl_prints_the_records_as_recorded_and_verify_accepts_them(
    terminal: Terminal, server: ApiServer, flow: Flow
) -> None:
    head = recorded(server, flow)
    printed = terminal.kipu("history", NAME, "-o", "jsonl")
    first, *records = printed.out.splitlines()
    tail = server.objects[f"{CONFIG_MAPS}/{head_name(histories.STREAM)}"]["data"]["tail"]
    assert "\n".join(records).endswith(tail.rstrip("\n"))
    metadata = json.loads(first)
    assert metadata["uid"] == histories.STREAM.uid
    assert metadata["specHash"] == histories.SPEC_HASH
    verdict = terminal.kipu("verify", "-", stdin=printed.out.encode())
    assert verdict == (0, f"OK: {len(flow.log)} events, head {head.hash}, phase Succeeded\n", "")


def test_the_namespace_comes_from_the_context_unless_it_is_given(
    terminal: Terminal, server: ApiServer, tmp_path: Path
) -> None:
    recorded(server, histories.diamond())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(server.kubeconfig(namespace="team-a"))
    arguments = ("history", NAME, "--kubeconfig", str(elsewhere))
    assert "in namespace 'team-a'" in terminal.kipu(*arguments).err
    assert terminal.kipu(*arguments, "-n", "default").code == 0
    assert terminal.kipu(*arguments, "-n", "default", "--context", "here").code == 0


# -- nothing to check: exit code 2 -------------------------------------------------------------------------


def test_an_unknown_name_is_answered_by_the_nearest(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    outcome = terminal.kipu("history", "nigthly")
    why = "there is no Workflow 'nigthly' in namespace 'default'; did you mean 'nightly'?"
    assert outcome == (3, "", f"kipu: {why}\n")


def test_an_empty_namespace_is_said_to_be_empty(terminal: Terminal, server: ApiServer) -> None:
    assert "there is none at all (another namespace? -n)" in terminal.kipu("history", NAME).err


def test_no_name_is_guessed_where_the_list_may_not_be_read(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    server.lists_nothing = True
    outcome = terminal.kipu("history", "nigthly")
    assert outcome == (3, "", "kipu: there is no Workflow 'nigthly' in namespace 'default'\n")


def test_a_workflow_that_no_operator_took_up_has_no_log_yet(terminal: Terminal, server: ApiServer) -> None:
    server.add_workflow(histories.STREAM)
    outcome = terminal.kipu("history", NAME)
    assert outcome == (2, "", "kipu: Workflow 'nightly' has no log yet: no operator has taken it up\n")


def test_a_cluster_without_the_crd_is_said_to_be_one(terminal: Terminal, server: ApiServer) -> None:
    server.page_not_found = True
    outcome = terminal.kipu("history", NAME)
    assert outcome.code == 2
    assert "this cluster does not know Workflows" in outcome.err


@pytest.mark.parametrize("path", [WORKFLOWS.format("default"), CONFIG_MAPS])
def test_a_missing_right_is_told_in_the_servers_words(terminal: Terminal, server: ApiServer, path: str) -> None:
    recorded(server, histories.diamond())
    server.refusals[path] = (403, 'User "me" cannot get resource')
    outcome = terminal.kipu("history", NAME)
    assert (outcome.code, outcome.out) == (2, "")
    assert 'User "me" cannot get resource' in outcome.err


def test_a_cluster_that_does_not_answer_is_named(terminal: Terminal, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(ApiServer(url).kubeconfig())
        outcome = terminal.kipu("history", NAME, "--kubeconfig", str(kubeconfig))
    assert outcome.code == 2
    assert outcome.err.startswith(f"kipu: the cluster at {url} does not answer")


@pytest.mark.parametrize("arguments", [("--kubeconfig", "no-such-file"), ("--context", "no-such-context")])
def test_no_kubeconfig_or_context_is_told_with_what_to_do(
    terminal: Terminal, server: ApiServer, arguments: tuple[str, str]
) -> None:
    outcome = terminal.kipu("history", NAME, *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("kipu: no cluster: ")
    assert outcome.err.endswith("; name a kubeconfig by --kubeconfig or $KUBECONFIG\n")


# -- not what was recorded: exit code 1 --------------------------------------------------------------------


def test_an_edited_head_is_not_sound(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    data = server.objects[f"{CONFIG_MAPS}/{head_name(histories.STREAM)}"]["data"]
    data["tail"] = data["tail"].replace("Succeeded", "Succeedee")
    outcome = terminal.kipu("history", NAME)
    assert outcome == (1, "", "kipu: not sound: the head's digest does not match: meta or tail was changed\n")


def test_a_log_behind_its_status_is_not_sound(terminal: Terminal, server: ApiServer) -> None:
    head = recorded(server, histories.diamond())
    server.add_workflow(histories.STREAM, {"position": head.position + 1, "hash": head.hash})
    why = f"the status has seen position {head.position + 1}, the log ends at {head.position}"
    assert terminal.kipu("history", NAME) == (1, "", f"kipu: not sound: {why}\n")


def test_another_past_than_the_status_saw_is_not_sound(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, histories.diamond())
    server.add_workflow(histories.STREAM, {"position": 3, "hash": "00" * 32})
    outcome = terminal.kipu("history", NAME)
    why = "the record at position 3 is not the one that the status has seen"
    assert outcome == (1, "", f"kipu: not sound: {why}\n")


def test_a_lost_log_is_not_sound(terminal: Terminal, server: ApiServer) -> None:
    server.add_workflow(histories.STREAM, {"position": 3, "hash": "00" * 32})
    why = "the status has seen position 3, but there is no log"
    assert terminal.kipu("history", NAME) == (1, "", f"kipu: not sound: {why}\n")
