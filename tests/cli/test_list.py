"""`kipu list`, as a person meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kipu.cli.listing import chosen, table
from kipu.eventlog.ports import StreamId
from kipu.shell.kube_views import epoch_ms
from tests.cli.api_server import ApiServer
from tests.cli.terminal import Terminal

NOW = epoch_ms("2026-11-24T12:00:00Z") or 0


def item(name: str, created: str = "2026-11-24T11:00:00Z", **status: object) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "creationTimestamp": created}, "status": status}


def add(server: ApiServer, name: str, *, namespace: str = "default", phase: str = "Running", team: str = "") -> None:
    stream = StreamId(namespace=namespace, name=name, uid=f"uid-{name}")
    server.add_workflow(
        stream, labels={"team": team}, phase=phase, progress="1/2", reason="Waiting", message="for rain"
    )


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def test_a_row_has_the_columns_of_kubectl_get() -> None:
    shown = item("a", phase="Failed", progress="2/3", counts={"failed": 1}, startTime="2026-11-24T11:58:00Z")
    headings, row = table([shown], now=NOW)
    assert headings == ["NAME", "PHASE", "PROGRESS", "FAILED", "STARTED", "DURATION", "AGE"]
    assert row == ["a", "Failed", "2/3", "1", "2m", "", "1h"]


def test_a_workflow_that_no_operator_took_up_is_pending() -> None:
    assert table([item("a")], now=NOW)[1][:3] == ["a", "Pending", ""]


def test_the_newest_is_last() -> None:
    items = [item("b", "2026-11-24T11:00:02Z"), item("c", "2026-11-24T11:00:01Z"), item("a", "2026-11-24T11:00:02Z")]
    assert [each["metadata"]["name"] for each in chosen(items, ())] == ["c", "a", "b"]


def test_a_message_stays_on_its_line() -> None:
    assert table([item("a", message="one\ntwo")], now=NOW, wide=True)[1][-1] == r"one\ntwo"


def test_list_shows_the_workflows_of_the_namespace(terminal: Terminal, server: ApiServer) -> None:
    add(server, "one")
    add(server, "two", namespace="team-a")
    outcome = terminal.kipu("list")
    assert (outcome.code, names(outcome.out), outcome.err) == (0, ["one"], "")
    assert names(terminal.kipu("list", "-n", "team-a").out) == ["two"]


def test_all_namespaces_are_named(terminal: Terminal, server: ApiServer) -> None:
    add(server, "one")
    add(server, "two", namespace="team-a")
    out = terminal.kipu("list", "-A").out
    assert out.startswith("NAMESPACE")
    assert names(out) == ["default", "team-a"]


def test_phases_and_labels_choose(terminal: Terminal, server: ApiServer) -> None:
    add(server, "runs", team="data")
    add(server, "failed", phase="Failed", team="data")
    add(server, "done", phase="Succeeded")
    assert names(terminal.kipu("list", "--phase", "running", "--phase", "Failed").out) == ["failed", "runs"]
    assert names(terminal.kipu("list", "-l", "team=data", "--phase", "Failed").out) == ["failed"]
    assert names(terminal.kipu("list", "-l", "team!=data").out) == ["done"]


def test_an_unknown_phase_is_refused_with_the_known_ones(terminal: Terminal, server: ApiServer) -> None:
    outcome = terminal.kipu("list", "--phase", "Done")
    assert outcome.code == 2
    assert "'succeeded'" in outcome.err


def test_wide_adds_reason_and_message(terminal: Terminal, server: ApiServer) -> None:
    add(server, "one")
    header, row = terminal.kipu("list", "-o", "wide").out.splitlines()
    assert header.split()[-2:] == ["REASON", "MESSAGE"]
    assert row.endswith("Waiting   for rain")


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_whole_objects(terminal: Terminal, server: ApiServer, output: str, read: object) -> None:
    add(server, "one")
    found = read(terminal.kipu("list", "-o", output).out)  # type: ignore[operator]
    assert found["kind"] == "List"
    assert (found["items"][0]["kind"], found["items"][0]["metadata"]["uid"]) == ("Workflow", "uid-one")


def test_names_are_what_kubectl_takes(terminal: Terminal, server: ApiServer) -> None:
    add(server, "one")
    assert terminal.kipu("list", "-o", "name").out == "workflow.kipu.dev/one\n"


def test_an_empty_list_says_so_and_is_no_failure(terminal: Terminal, server: ApiServer) -> None:
    assert terminal.kipu("list") == (0, "", "kipu: no Workflows in namespace 'default'\n")


def test_one_namespace_and_all_are_not_asked_for_at_once(terminal: Terminal, server: ApiServer) -> None:
    assert terminal.kipu("list", "-A", "-n", "default").code == 2


def test_a_cluster_without_the_crd_is_said_to_be_one(terminal: Terminal, server: ApiServer) -> None:
    server.page_not_found = True
    outcome = terminal.kipu("list")
    assert outcome.code == 2
    assert "this cluster does not know Workflows" in outcome.err


def test_more_than_a_page_is_listed_whole(terminal: Terminal, server: ApiServer) -> None:
    for number in range(51):
        add(server, f"w{number:02}")
    assert len(names(terminal.kipu("list").out)) == 51
