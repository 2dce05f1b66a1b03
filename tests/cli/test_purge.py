"""`kipu purge`: what has ended is deleted with all that belongs to it, and nothing else."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from kipu.cli.purging import TRIES_MAX
from tests.api.specs import spec, step
from tests.cli.api_server import ApiServer
from tests.cli.stored import flow_of, put, stored
from tests.cli.terminal import Outcome, Terminal
from tests.core.given import SECOND

SPEC = spec(step("a"))
LOST = "kipu: lost are their Jobs, their pods with all they have written, and their logs ('kipu export' keeps a log)\n"


def add(
    server: ApiServer, name: str, *, ended: str = "", spec_fields: dict[str, Any] | None = None, **meta: Any
) -> None:
    flow = flow_of(SPEC)
    if ended:
        flow.succeed("a", after=SECOND)
    body = stored(SPEC | (spec_fields or {}), flow, name=name, **meta)
    if ended:
        body["status"]["completionTime"] = ended
    put(server, body)


def names(server: ApiServer) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in server.objects)


def purge(terminal: Terminal, *arguments: str) -> Outcome:
    return terminal.kipu("purge", *arguments)


def test_what_has_ended_is_deleted(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    add(server, "other", ended="2026-11-24T04:05:06Z")
    assert purge(terminal, "old", "--yes") == (0, "workflow.kipu.dev/old deleted\n", "")
    assert names(server) == ["other"]


def test_what_goes_on_is_deleted_by_force_alone_and_nothing_beside_it(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    add(server, "busy")
    outcome = purge(terminal, "old", "busy", "--yes")
    assert (outcome.code, names(server)) == (1, ["busy", "old"])
    assert outcome.err == (
        "kipu: not ended yet: busy (Running); cancel first ('kipu cancel NAME --wait'), or use --force, which kills "
        "what runs and has no finally run; nothing was deleted\n"
    )
    assert purge(terminal, "old", "busy", "--yes", "--force").code == 0
    assert names(server) == []


def test_what_is_about_to_run_again_has_not_ended(terminal: Terminal, server: ApiServer) -> None:
    add(server, "again", ended="2026-11-24T04:05:06Z", spec_fields={"rerun": {"number": 2}})
    assert purge(terminal, "again", "--yes").code == 1
    assert purge(terminal, "--all", "--finished", "--yes").out == "nothing to purge in namespace 'default'\n"


def test_all_that_have_ended_long_ago_are_deleted(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2020-11-24T04:05:06Z")
    add(server, "new", ended="2999-11-24T04:05:06Z")
    add(server, "busy")
    assert (
        purge(terminal, "--all", "--finished", "--older-than", "168h", "--yes").out == "workflow.kipu.dev/old deleted\n"
    )
    assert names(server) == ["busy", "new"]
    assert purge(terminal, "--all", "--yes").code == 1  # one goes on
    assert names(server) == ["busy", "new"]


def test_the_workflows_of_steps_go_with_their_parents_alone(terminal: Terminal, server: ApiServer) -> None:
    owner = {"kind": "Workflow", "name": "parent", "controller": True}
    add(server, "child", ended="2020-11-24T04:05:06Z", ownerReferences=[owner])
    assert purge(terminal, "--all", "--finished", "--yes").out == "nothing to purge in namespace 'default'\n"
    outcome = purge(terminal, "child", "--yes")
    assert (outcome.code, names(server)) == (1, ["child"])
    assert "these Workflows are steps of others, with which they go: 'child' of 'parent'" in outcome.err
    assert purge(terminal, "child", "--yes", "--force").code == 0


def test_nobody_is_there_to_be_asked_so_nothing_is_deleted(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    outcome = purge(terminal, "old")
    assert (outcome.code, names(server)) == (1, ["old"])
    assert outcome.err == (
        f"kipu: old: Succeeded 1/1, 4 events in its log\n{LOST}"
        "kipu: nobody is there to be asked: give --yes; nothing was deleted\n"
    )


@pytest.mark.parametrize(("word", "left"), [("y", []), ("n", ["old"]), ("", ["old"])])
def test_a_person_at_a_terminal_is_asked(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch, word: str, left: list[str]
) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    terminal.is_a_tty = True
    outcome = terminal.kipu("purge", "old", stdin=f"{word}\n".encode())
    assert names(server) == left
    assert outcome.code == (1 if left else 0)
    assert "Delete 1 Workflow? [y/N]: " in outcome.err


def test_a_workflow_that_is_run_again_meanwhile_is_kept(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    server.writes.before.append(
        lambda: add(server, "old", ended="2026-11-24T04:05:06Z", spec_fields={"rerun": {"number": 2}})
    )
    outcome = purge(terminal, "old", "--yes")
    assert (outcome.code, names(server)) == (1, ["old"])
    assert outcome.err.startswith("kipu: not ended yet: old (Succeeded)")


def test_another_workflow_that_has_its_name_meanwhile_is_kept(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    server.writes.before.append(lambda: add(server, "old", uid="another"))
    assert purge(terminal, "old", "--yes", "--force").code == 0
    assert names(server) == ["old"]


@pytest.mark.parametrize(("writes", "code"), [(TRIES_MAX - 1, 0), (TRIES_MAX, 1)])
def test_a_status_that_is_written_meanwhile_is_read_again(
    terminal: Terminal, server: ApiServer, writes: int, code: int
) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    for _ in range(writes):
        server.writes.before.append(partial(add, server, "old", ended="2026-11-24T04:05:06Z"))
    assert purge(terminal, "old", "--yes").code == code


def test_one_that_is_not_there_is_told_before_anything_is_deleted(terminal: Terminal, server: ApiServer) -> None:
    add(server, "old", ended="2026-11-24T04:05:06Z")
    outcome = purge(terminal, "old", "odl", "--yes")
    assert (outcome.code, names(server)) == (3, ["old"])
    assert "did you mean 'old'?" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x", "--all"],
        ["x", "--finished"],
        ["--all", "--older-than", "1h"],
        ["--all", "--finished", "--older-than", "1d"],
    ],
)
def test_wrong_usage_deletes_nothing(terminal: Terminal, server: ApiServer, arguments: list[str]) -> None:
    add(server, "x", ended="2020-11-24T04:05:06Z")
    assert purge(terminal, *arguments, "--yes").code == 2
    assert names(server) == ["x"]
