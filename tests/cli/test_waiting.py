"""`cancel --wait` and `rerun --watch`: to the end of the run that they are about, as `kipu watch` shows it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from kipu.cli import following
from kipu.core.commands import Claim
from kipu.core.reasons import Reason
from kipu.eventlog import requests
from tests.api.specs import spec, step
from tests.cli.api_server import ApiServer
from tests.cli.stored import AT, Body, Operator, flow_of, stored
from tests.cli.terminal import Terminal
from tests.core.given import SECOND, Flow

CHAIN = spec(step("a"), step("b", dependsOn=["a"]))
NIGHTLY = f"{AT}/nightly"
LOGS = "/api/v1/namespaces/default/configmaps"
READS_REFUSED_MAX = following.TRIES_MAX * requests.TRIES_MAX


def taken_up(server: ApiServer, flow: Flow, given: Body = CHAIN) -> Operator:
    operator = Operator(server, flow)
    operator.take_up(given)
    return operator


def test_a_cancel_waits_until_no_pod_is_left(terminal: Terminal, server: ApiServer) -> None:
    flow = flow_of(CHAIN)
    flow.start("a")
    operator = taken_up(server, flow)
    server.watches = [operator.story(flow.shut_down, lambda: flow.gone("a", after=SECOND))]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 0  # what was asked for has come
    asked, stands, *lines = outcome.out.splitlines()
    assert asked == "workflow.kipu.dev/nightly: asked to cancel run 1"
    assert stands.startswith("nightly  Running  0/2 steps")
    assert lines[-1].split()[1:3] == ["workflow", "cancelled:"]


@pytest.mark.parametrize(("ends", "code"), [("succeed", 0), ("fail", 1)])
def test_a_rerun_is_followed_from_its_opening_to_its_end(
    terminal: Terminal, server: ApiServer, ends: str, code: int
) -> None:
    flow = flow_of(CHAIN)
    flow.fail("a", after=SECOND)
    operator = taken_up(server, flow)
    end = partial(getattr(flow, ends), after=SECOND)
    server.watches = [operator.story(lambda: None, flow.rerun, lambda: end("a"), lambda: code or end("b"))]
    outcome = terminal.kipu("rerun", "nightly", "--watch")
    assert outcome.code == code
    asked, stands, opens, *_, last = outcome.out.splitlines()
    assert asked == "workflow.kipu.dev/nightly: asked for run 2"
    assert stands.startswith("nightly  Failed")  # as the run before has left it
    assert "runs again: rerun 2" in opens
    assert last.split()[1:3] == ["workflow", "failed:" if code else "succeeded"]
    assert server.objects[NIGHTLY]["spec"]["rerun"] == {"number": 2}


def test_the_run_that_was_asked_for_is_waited_for_and_no_later_one(terminal: Terminal, server: ApiServer) -> None:
    """Run 2 is asked for already when run 1 is cancelled, and is far on when somebody looks."""
    flow = flow_of(CHAIN)
    flow.start("a")
    asks = {**CHAIN, "rerun": {"number": 2}}
    operator = taken_up(server, flow, asks)

    def much_happens() -> None:
        flow.shut_down()
        flow.gone("a", after=SECOND)
        flow.rerun()
        flow.start("a")

    server.watches = [operator.story(much_happens)]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 0
    assert outcome.err.endswith("; run 2, which is asked for, opens then\n")
    assert outcome.out.splitlines()[-1].split()[1:3] == ["workflow", "cancelled:"]


@pytest.mark.parametrize("ends", ["shown", "deleted"])
def test_the_end_is_the_end_once_the_status_shows_it_too(terminal: Terminal, server: ApiServer, ends: str) -> None:
    """Else the next command, which judges by the status, would still find a run that goes on."""
    flow = flow_of(CHAIN)
    flow.start("a")
    operator = taken_up(server, flow)

    def lags() -> dict[str, Any]:
        change = operator.tells(flow.shut_down)
        operator.records(lambda: flow.gone("a", after=SECOND))
        return change

    def deleted() -> dict[str, Any]:
        return {"type": "DELETED", "object": server.objects.pop(NIGHTLY)}

    server.watches = [[lags], operator.story(lambda: None) if ends == "shown" else [deleted]]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 0
    assert outcome.out.count("cancelled: cancelled on request") == 1
    assert len(server.watched) == 2


def test_what_a_log_has_behind_the_end_need_not_be_shown(terminal: Terminal, server: ApiServer) -> None:
    """A new operator claims a log before it knows that there is nothing to do."""
    flow = flow_of(CHAIN)
    flow.start("a")
    flow.shut_down()
    operator = taken_up(server, flow)
    operator.tells(lambda: flow.gone("a", after=SECOND))
    operator.records(lambda: flow.tell(Claim(writer="kipu-1"), after=SECOND))
    outcome = terminal.kipu("watch", "nightly")
    assert (outcome.code, server.watched) == (1, [])


def test_on_a_terminal_who_waits_sees_the_tree_of_watch(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    flow = flow_of(CHAIN)
    flow.start("a")
    operator = taken_up(server, flow)
    server.watches = [operator.story(flow.shut_down, lambda: flow.gone("a", after=SECOND))]
    out = terminal.kipu("cancel", "nightly", "--wait").out
    assert "━" in out
    assert "└─ " in out


def test_a_run_that_the_operator_does_not_open_is_told_with_its_reason(terminal: Terminal, server: ApiServer) -> None:
    """A template says which steps there are, so that the CLI cannot know them all before."""
    flow = flow_of(CHAIN)
    flow.fail("a", after=SECOND)
    operator = taken_up(server, flow, {"templateRef": {"name": "etl"}})
    del server.objects[NIGHTLY]["status"]["steps"]
    server.watches = [operator.story(lambda: None)]
    outcome = terminal.kipu("rerun", "nightly", "--from", "c", "--watch")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == (
        "kipu: the operator does not open run 2 of Workflow 'nightly': spec.rerun.from[0]: there is no step 'c'"
    )


def test_a_workflow_that_does_not_end_in_time_goes_on(terminal: Terminal, server: ApiServer) -> None:
    taken_up(server, flow_of(CHAIN))
    outcome = terminal.kipu("drain", "nightly", "--wait", "--timeout", "1ms")
    assert outcome.code == 124
    assert outcome.err.splitlines()[-1] == "kipu: Workflow 'nightly' has not finished in time; it goes on"


@pytest.mark.parametrize("uid", ["", "another"])
def test_a_workflow_that_is_deleted_while_it_is_waited_for_is_told(
    terminal: Terminal, server: ApiServer, uid: str
) -> None:
    taken_up(server, flow_of(CHAIN))

    def gone() -> dict[str, Any]:
        body = server.objects.pop(NIGHTLY)
        return {"type": "ADDED", "object": stored(CHAIN, uid=uid)} if uid else {"type": "DELETED", "object": body}

    server.watches = [[gone]]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 3
    assert outcome.err.endswith("kipu: Workflow 'nightly' was deleted\n")


@pytest.mark.parametrize(("away", "code"), [(READS_REFUSED_MAX - 1, 0), (READS_REFUSED_MAX, 2)])
def test_a_log_that_cannot_be_read_for_a_while_is_asked_for_again(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch, away: int, code: int
) -> None:
    """After the end of a run no later change of the Workflow would have it looked at anew."""
    monkeypatch.setattr(following, "WAIT_SECONDS", (0.0,))
    monkeypatch.setattr(requests, "WAIT_SECONDS_FIRST", 0.0)
    flow = flow_of(CHAIN)
    operator = taken_up(server, flow)

    def ends() -> dict[str, Any]:
        flow.shut_down()
        change = operator.tells(lambda: flow.gone("a", after=SECOND))
        server.refusals[LOGS] = (503, "etcd is away")
        server.before_reads.extend([lambda: None] * away)
        server.before_reads.append(server.refusals.clear)
        return change

    server.watches = [[ends]]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == code
    assert "etcd is away" in outcome.err


def test_a_workflow_that_stalls_is_not_waited_for(terminal: Terminal, server: ApiServer) -> None:
    operator = taken_up(server, flow_of(CHAIN))

    def stalls() -> dict[str, Any]:
        change = operator.tells(lambda: None)
        stalled = {"type": "Stalled", "status": "True", "message": "the log was \x1b[31mcut"}
        change["object"]["status"]["conditions"] = [stalled]
        return change

    server.watches = [[stalls]]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 2
    assert outcome.err.endswith("is stalled: the log was \\x1b[31mcut\n")


def test_what_a_program_says_cannot_move_the_readers_cursor(terminal: Terminal, server: ApiServer) -> None:
    flow = flow_of(CHAIN)
    operator = taken_up(server, flow)
    said = flow.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, message="\x1b[2J")
    server.watches = [operator.story(lambda: flow.tell(said))]
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert "\x1b" not in outcome.out
    assert "\\x1b[2J" in outcome.out
