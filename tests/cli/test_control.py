"""`kipu suspend`, `resume`, `approve`, `cancel`, `rerun`, ... as a person meets them, against an API server."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from kipu.cli.changing import TRIES_MAX
from kipu.core.reasons import ShutdownMode
from tests.api.specs import spec, step
from tests.cli.api_server import ApiServer
from tests.cli.stored import AT, Body, flow_of, put, stored
from tests.cli.terminal import Terminal
from tests.cli.writes import ME
from tests.fakes.refusals import Refused, denied, invalid

CHAIN = spec(step("a"), step("b", dependsOn=["a"]))
ASKS = spec({"name": "publish", "approval": {}}, {"name": "sign", "approval": {}})
NIGHTLY = f"{AT}/nightly"


def given_spec(server: ApiServer) -> dict[str, Any]:
    found: dict[str, Any] = server.objects[NIGHTLY]["spec"]
    return found


def edit(server: ApiServer, **fields: object) -> None:
    """Somebody else's edit of the spec."""
    body = server.objects[NIGHTLY]
    generation = body["metadata"]["generation"] + 1
    put(server, body | {"spec": body["spec"] | fields, "metadata": body["metadata"] | {"generation": generation}})


# -- what is written and said ------------------------------------------------------------------------------


def test_it_says_what_was_asked_and_what_happens_next(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    assert terminal.kipu("suspend", "nightly") == (
        0,
        "workflow.kipu.dev/nightly: asked to suspend\n",
        "kipu: nothing new starts; what runs goes on, and so does time, until 'kipu resume nightly'\n",
    )
    assert given_spec(server)["suspend"] is True
    assert terminal.kipu("suspend", "nightly").out == (
        "workflow.kipu.dev/nightly: is suspended already; nothing was changed\n"
    )
    assert terminal.kipu("resume", "nightly").code == 0
    assert given_spec(server)["suspend"] is False


def test_an_answer_is_given_in_the_name_that_the_api_server_knows(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(ASKS, flow_of(ASKS)))
    outcome = terminal.kipu("approve", "nightly", "publish", "--message", "looks well")
    assert outcome.out == f"workflow.kipu.dev/nightly: Approve of step 'publish' in run 1 by {ME}\n"
    assert terminal.kipu("approve", "nightly", "sign", "--decision", "Reject").code == 0
    assert given_spec(server)["approvals"] == [
        {"step": "publish", "run": 1, "decision": "Approve", "by": ME, "message": "looks well"},
        {"step": "sign", "run": 1, "decision": "Reject", "by": ME},
    ]


@pytest.mark.parametrize("mode", list(ShutdownMode))
def test_a_run_is_ended_in_each_of_the_modes(terminal: Terminal, server: ApiServer, mode: ShutdownMode) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    assert terminal.kipu(mode.value.lower(), "nightly").code == 0
    assert given_spec(server)["shutdown"] == {"mode": mode, "run": 1}


def test_a_word_is_said_of_an_external_step(terminal: Terminal, server: ApiServer) -> None:
    pays = spec(step("pay", effects="External"))
    flow = flow_of(pays)
    flow.start("pay")
    flow.lose("pay")
    flow.gone("pay")
    put(server, stored(pays, flow))
    assert terminal.kipu("resolve", "nightly", "pay", "Succeed").code == 0
    assert given_spec(server)["resolutions"] == [
        {"step": "pay", "run": 1, "attempt": 1, "decision": "Succeed", "by": ME}
    ]


# -- beside others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [[], [{"step": "sign", "decision": "Reject", "by": "eve", "run": 7}]])
def test_an_approval_that_somebody_gives_meanwhile_is_not_lost(
    terminal: Terminal, server: ApiServer, known: list[Body]
) -> None:
    """Whether there was a list before or not."""
    given = ASKS | ({"approvals": known} if known else {})
    put(server, stored(given, flow_of(ASKS)))
    theirs = {"step": "sign", "decision": "Reject", "by": "bob"}
    server.writes.before.append(lambda: edit(server, approvals=[*known, theirs]))
    assert terminal.kipu("approve", "nightly", "publish").code == 0
    assert [entry["by"] for entry in given_spec(server)["approvals"]] == [*(["eve"] if known else []), "bob", ME]


def test_what_somebody_has_answered_meanwhile_is_judged_anew(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(ASKS, flow_of(ASKS)))
    theirs = {"step": "publish", "decision": "Reject", "by": "bob"}
    server.writes.before.append(lambda: edit(server, approvals=[theirs]))
    outcome = terminal.kipu("approve", "nightly", "publish")
    assert outcome == (1, "", "kipu: step 'publish' was answered: Reject by bob; the first answer stands\n")
    assert given_spec(server)["approvals"] == [theirs]


def test_a_status_that_is_written_meanwhile_is_in_nobodys_way(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    server.writes.before.append(lambda: put(server, server.objects[NIGHTLY] | {"status": {"phase": "Running"}}))
    assert terminal.kipu("cancel", "nightly").code == 0
    assert [verb for verb, _, _ in server.writes.seen] == ["PATCH"]


@pytest.mark.parametrize(("edits", "code"), [(TRIES_MAX - 1, 0), (TRIES_MAX, 1)])
def test_who_loses_too_many_races_gives_up(terminal: Terminal, server: ApiServer, edits: int, code: int) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    for number in range(edits):
        server.writes.before.append(partial(edit, server, ttlAfterFinished=f"{number + 1}h"))
    outcome = terminal.kipu("cancel", "nightly")
    assert outcome.code == code
    assert ("shutdown" in given_spec(server)) is (code == 0)
    if code:
        assert outcome.err == (
            f"kipu: Workflow 'nightly' was edited by others {TRIES_MAX} times meanwhile: "
            "nothing was written; try again\n"
        )


def test_another_workflow_that_takes_its_name_meanwhile_is_left_alone(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    server.writes.before.append(lambda: put(server, stored(CHAIN, flow_of(CHAIN), uid="another")))
    outcome = terminal.kipu("cancel", "nightly")
    assert outcome.code == 3
    assert outcome.err == "kipu: Workflow 'nightly' was deleted, and another one has its name: look at it first\n"
    assert "shutdown" not in given_spec(server)


# -- refusals ----------------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_refused_before_anything_is_written(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(ASKS, flow_of(ASKS)))
    outcome = terminal.kipu("resolve", "nightly", "publish", "Retry")
    assert outcome == (1, "", "kipu: step 'publish' waits for no word: its outcome is not unknown; none does\n")
    assert "PATCH" not in [verb for verb, _, _ in server.writes.seen]


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        (
            denied("workflows.kipu.dev", "nightly", "kipu-spec", "spec.approvals: whoever answers says so"),
            1,
            "could not ask that of Workflow 'nightly': spec.approvals: whoever answers says so",
        ),
        (
            invalid("Workflow.kipu.dev", "nightly", "spec.shutdown.mode", "a shutdown may only escalate"),
            1,
            "could not ask that of Workflow 'nightly': Workflow.kipu.dev \"nightly\" is invalid: spec.shutdown.mode: a "
            "shutdown may only escalate",
        ),
        (
            Refused(403, "Forbidden", "you cannot patch"),
            1,
            "could not ask that of Workflow 'nightly': you cannot patch",
        ),
        (
            Refused(500, "InternalError", "etcd is away"),
            2,
            "could not ask that of Workflow 'nightly': status 500 InternalError: etcd is away",
        ),
    ],
)
def test_a_refusal_of_the_server_is_told_in_its_own_words(
    terminal: Terminal, server: ApiServer, refusal: Refused, code: int, words: str
) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    server.writes.refusals["PATCH"] = refusal
    assert terminal.kipu("cancel", "nightly") == (code, "", f"kipu: {words}\n")


@pytest.mark.parametrize("verb", ["suspend", "resume", "cancel", "drain", "terminate", "rerun"])
def test_a_workflow_that_is_not_there_is_told_by_an_exit_code_of_its_own(
    terminal: Terminal, server: ApiServer, verb: str
) -> None:
    put(server, stored(CHAIN))
    outcome = terminal.kipu(verb, "nihgtly")
    assert outcome.code == 3
    assert outcome.err.endswith("there is no Workflow 'nihgtly' in namespace 'default'; did you mean 'nightly'?\n")


def test_where_it_cannot_be_read_nothing_can_be_told(terminal: Terminal, server: ApiServer) -> None:
    server.refusals[AT] = (403, "no")
    assert terminal.kipu("cancel", "nightly").code == 2


@pytest.mark.parametrize("arguments", [["cancel", "../x"], ["cancel", "x", "-n", ".."], ["approve", "x?", "a"]])
def test_what_would_be_another_path_is_no_name(terminal: Terminal, server: ApiServer, arguments: list[str]) -> None:
    outcome = terminal.kipu(*arguments)
    assert outcome.code == 2
    assert "is not a name" in outcome.err


@pytest.mark.parametrize(
    "arguments", [["cancel", "x", "--timeout", "5m"], ["rerun", "x", "--timeout", "0s", "--watch"]]
)
def test_a_timeout_of_nothing_is_wrong_usage(terminal: Terminal, arguments: list[str]) -> None:
    outcome = terminal.kipu(*arguments)
    assert outcome.code == 2
    assert "--timeout" in outcome.err
