"""`kipu suspend`, `resume`, `approve`, `cancel`, `rerun`, ... as a person meets them, against an API server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kipu.cli import awaiting
from kipu.cli.awaiting import SILENT_LOOKS_MAX
from kipu.cli.changing import TRIES_MAX
from kipu.core.reasons import Reason, ShutdownMode
from tests.api.specs import spec, step
from tests.cli.api_server import ApiServer
from tests.cli.stored import AT, Body, flow_of, put, stored
from tests.cli.terminal import Terminal
from tests.cli.writes import ME
from tests.core.given import SECOND, Flow
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


def goes_on(server: ApiServer, flow: Flow, *deeds: Callable[[], object]) -> None:
    """Before each of the next looks one thing happens, and the operator writes the status."""

    def happens(deed: Callable[[], object]) -> None:
        deed()
        body = server.objects[NIGHTLY]
        generation = body["metadata"]["generation"]
        put(server, stored(body["spec"], flow, generation=generation))

    server.before_reads.append(lambda: None)  # the look before the patch
    server.before_reads.extend(partial(happens, deed) for deed in deeds)


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


# -- to the end --------------------------------------------------------------------------------------------


def test_a_cancel_waits_until_no_pod_is_left(terminal: Terminal, server: ApiServer) -> None:
    flow = flow_of(CHAIN)
    flow.start("a")
    put(server, stored(CHAIN, flow))
    goes_on(server, flow, flow.shut_down, lambda: flow.gone("a", after=SECOND))
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 0  # what was asked for has come
    assert outcome.out.splitlines() == [
        "workflow.kipu.dev/nightly: asked to cancel run 1",
        "Running     a: shutdown requested",
        "Cancelled   b",
        "Cancelling  workflow 1/2 steps",
        "Cancelled   a",
        "Cancelled   workflow 2/2 steps in 1s: cancelled on request",
    ]


@pytest.mark.parametrize(("ends", "code"), [("succeed", 0), ("fail", 1)])
def test_a_rerun_is_followed_from_its_opening_to_its_end(
    terminal: Terminal, server: ApiServer, ends: str, code: int
) -> None:
    flow = flow_of(CHAIN)
    flow.fail("a", after=SECOND)
    put(server, stored(CHAIN, flow))
    end = partial(getattr(flow, ends), after=SECOND)
    goes_on(server, flow, lambda: None, flow.rerun, lambda: end("a"), lambda: end("b") if not code else None)
    outcome = terminal.kipu("rerun", "nightly", "--watch")
    assert outcome.code == code
    lines = outcome.out.splitlines()
    assert lines[0] == "workflow.kipu.dev/nightly: asked for run 2"
    assert lines[1] == "Scheduled   a"  # and nothing of the old run
    assert lines[-1].startswith("Failed      workflow" if code else "Succeeded   workflow 2/2 steps in ")
    assert given_spec(server)["rerun"] == {"number": 2}


def test_a_run_that_the_operator_does_not_open_is_told_with_its_reason(terminal: Terminal, server: ApiServer) -> None:
    """A template says which steps there are, so that the CLI cannot know them all."""
    flow = flow_of(CHAIN)
    flow.fail("a", after=SECOND)
    given = {"templateRef": {"name": "etl"}}
    body = stored(given, flow)
    del body["status"]["steps"]
    put(server, body)
    goes_on(server, flow, lambda: None)
    outcome = terminal.kipu("rerun", "nightly", "--from", "c", "--watch")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == (
        "kipu: the operator does not open run 2 of Workflow 'nightly': spec.rerun.from[0]: there is no step 'c'"
    )


def test_a_workflow_that_does_not_end_in_time_goes_on(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    outcome = terminal.kipu("drain", "nightly", "--wait", "--timeout", "1ms")
    assert outcome.code == 124
    assert outcome.err.splitlines()[-1] == "kipu: Workflow 'nightly' has not ended in this time; it goes on"


@pytest.mark.parametrize("uid", ["", "another"])
def test_a_workflow_that_is_deleted_while_it_is_waited_for_is_told(
    terminal: Terminal, server: ApiServer, uid: str
) -> None:
    put(server, stored(CHAIN, flow_of(CHAIN)))
    server.before_reads.append(lambda: None)
    server.before_reads.append(lambda: put(server, stored(CHAIN, uid=uid)) if uid else server.objects.pop(NIGHTLY))
    assert terminal.kipu("cancel", "nightly", "--wait").code == 3


@pytest.mark.parametrize(("looks", "code"), [(SILENT_LOOKS_MAX - 1, 0), (SILENT_LOOKS_MAX, 2)])
def test_a_control_plane_that_is_away_for_a_while_is_waited_for(
    terminal: Terminal, server: ApiServer, monkeypatch: pytest.MonkeyPatch, looks: int, code: int
) -> None:
    monkeypatch.setattr(awaiting, "LOOK_SECONDS_MAX", 0)
    flow = flow_of(CHAIN)
    put(server, stored(CHAIN, flow))

    def comes_back() -> None:
        server.refusals.clear()
        flow.shut_down()
        flow.gone("a", after=SECOND)
        put(server, stored(CHAIN, flow))

    server.before_reads.append(lambda: None)
    server.before_reads.append(lambda: server.refusals.update({NIGHTLY: (503, "etcd is away")}))
    server.before_reads.extend([lambda: None] * (looks - 1))
    server.before_reads.append(comes_back)
    assert terminal.kipu("cancel", "nightly", "--wait").code == code


def test_a_workflow_that_stalls_is_not_waited_for(terminal: Terminal, server: ApiServer) -> None:
    body: Body = put(server, stored(CHAIN, flow_of(CHAIN)))
    stalled = {"type": "Stalled", "status": "True", "message": "the log was \x1b[31mcut"}
    server.before_reads.append(lambda: None)
    server.before_reads.append(lambda: put(server, body | {"status": body["status"] | {"conditions": [stalled]}}))
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert outcome.code == 1
    assert outcome.err.endswith("is stalled: the log was \\x1b[31mcut\n")


def test_what_a_program_says_cannot_move_the_readers_cursor(terminal: Terminal, server: ApiServer) -> None:
    flow = flow_of(CHAIN)
    put(server, stored(CHAIN, flow))
    said = flow.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, message="\x1b[2J")
    goes_on(server, flow, lambda: flow.tell(said))
    outcome = terminal.kipu("cancel", "nightly", "--wait")
    assert "\x1b" not in outcome.out
    assert "\\x1b[2J" in outcome.out
