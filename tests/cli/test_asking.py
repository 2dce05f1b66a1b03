"""What may be asked of a Workflow: each request is written as the operator reads it, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kipu.api.v1alpha1 import RESOLUTIONS_MAX
from kipu.api.v1alpha1_control import ANSWERS_MAX
from kipu.cli import asking
from kipu.cli.asking import Change
from kipu.cli.errors import Refused
from kipu.cli.seen import Seen
from kipu.core.events import ApprovalGiven, ShutdownRequested, UnknownResolved, WorkflowRerun, WorkflowSuspended
from kipu.core.reasons import Decision, Resolution, ShutdownMode
from tests.api.specs import spec, step
from tests.cli.stored import flow_of, seen, stored, taken
from tests.core.given import SECOND, Flow

CHAIN = spec(step("a"), step("b", dependsOn=["a"]))
ASKS = spec(
    step("build"),
    {"name": "sign", "dependsOn": ["build"], "approval": {}},
    {"name": "publish", "dependsOn": ["build"], "approval": {}},
    step("z", dependsOn=["publish"]),
)
PAYS = spec(step("pay", effects="External"), step("other"))
ENDS = spec(step("a"), **{"finally": [step("tidy")]})


def approve(asked: Seen, name: str = "publish", decision: Decision = Decision.APPROVE, by: str = "ann") -> Change:
    return asking.approve(asked, name, decision, by=by, message="")


def cancel(asked: Seen) -> Change:
    return asking.shut_down(asked, ShutdownMode.CANCEL)


def finished(given: dict[str, Any]) -> Flow:
    flow = flow_of(given)
    while flow.state.live:
        flow.succeed(*[flow.state.name(place) for place in flow.state.live], after=SECOND)
    assert flow.state.is_terminal
    return flow


def failed(given: dict[str, Any], name: str = "a") -> Flow:
    flow = flow_of(given)
    flow.fail(name, after=SECOND)
    return flow


def asking_flow() -> Flow:
    flow = flow_of(ASKS)
    flow.succeed("build", after=SECOND)
    return flow


def unknown_flow() -> Flow:
    flow = flow_of(PAYS)
    flow.start("pay", "other", after=SECOND)
    flow.lose("pay")
    flow.gone("pay")
    assert flow.phases["pay"] == "Unknown"
    return flow


# -- what the operator takes -------------------------------------------------------------------------------


def test_a_run_is_suspended_and_resumed() -> None:
    flow = flow_of(CHAIN)
    given = taken(asking.suspend(seen(CHAIN, flow)), CHAIN, flow)
    assert flow.events_of(WorkflowSuspended)
    assert asking.suspend(seen(given, flow)).operations == ()
    taken(asking.resume(seen(given, flow)), given, flow)
    assert not flow.state.suspended
    assert asking.resume(seen(CHAIN, flow)).operations == ()


@pytest.mark.parametrize("mode", list(ShutdownMode))
def test_a_run_is_shut_down(mode: ShutdownMode) -> None:
    flow = flow_of(CHAIN)
    given = taken(asking.shut_down(seen(CHAIN, flow), mode), CHAIN, flow)
    assert flow.events_of(ShutdownRequested) == [ShutdownRequested(run=1, mode=mode)]
    assert asking.shut_down(seen(given, flow), mode).operations == ()


def test_the_second_run_is_shut_down_although_the_first_one_was() -> None:
    flow = flow_of(CHAIN)
    given = taken(cancel(seen(CHAIN, flow)), CHAIN, flow)
    flow.gone("a", after=SECOND)
    given = taken(asking.rerun(seen(given, flow), []), given, flow)
    taken(asking.shut_down(seen(given, flow), ShutdownMode.DRAIN), given, flow)
    assert flow.events_of(ShutdownRequested)[-1] == ShutdownRequested(run=2, mode=ShutdownMode.DRAIN)


@pytest.mark.parametrize("decision", list(Decision))
def test_an_approval_is_given(decision: Decision) -> None:
    flow = asking_flow()
    taken(approve(seen(ASKS, flow), decision=decision), ASKS, flow)
    (event,) = flow.events_of(ApprovalGiven)
    assert (event.step, event.decision, event.by) == ("publish", decision, "ann")


def test_an_approval_may_be_given_before_it_is_asked_for() -> None:
    flow = flow_of(ASKS)
    change = approve(seen(ASKS, flow))
    assert change.follows == "the step succeeds, once it asks: it does not yet"
    given = taken(change, ASKS, flow)
    flow.succeed("build", after=SECOND)
    taken(asking.suspend(seen(given, flow)), given, flow)  # the operator reads the spec again
    assert flow.events_of(ApprovalGiven)


def test_an_answer_is_added_behind_those_of_others() -> None:
    theirs = {"step": "sign", "decision": "Approve", "by": "bob", "run": 1}
    given = ASKS | {"approvals": [theirs]}
    flow = asking_flow()
    edited = taken(approve(seen(given, flow)), given, flow)
    assert edited["approvals"][0] == theirs
    assert [entry["by"] for entry in edited["approvals"]] == ["bob", "ann"]


def test_a_run_is_opened_again_from_a_step_that_had_succeeded() -> None:
    flow = finished(CHAIN)
    change = asking.rerun(seen(CHAIN, flow), ["b"])
    taken(change, CHAIN, flow)
    assert [event.from_ for event in flow.events_of(WorkflowRerun)] == [("b",)]
    assert (change.run, flow.phases) == (2, {"a": "Succeeded", "b": "Scheduled"})


def test_a_rerun_is_asked_for_while_a_run_goes_on_and_waits_for_its_end() -> None:
    flow = flow_of(CHAIN)
    change = asking.rerun(seen(CHAIN, flow), [])
    given = taken(change, CHAIN, flow)
    assert change.follows.startswith("it opens once run 1 is over")
    again = asking.rerun(seen(given, flow), [])
    assert (again.operations, again.run) == ((), 2)
    assert cancel(seen(given, flow)).follows.endswith("; run 2, which is asked for, opens then")
    assert cancel(seen(given, flow)).run == 1


@pytest.mark.parametrize("word", list(Resolution))
def test_a_word_is_said_of_an_attempt_of_which_nobody_knows(word: Resolution) -> None:
    flow = unknown_flow()
    taken(asking.resolve(seen(PAYS, flow), "pay", word, by="ann"), PAYS, flow)
    (event,) = flow.events_of(UnknownResolved)
    assert (event.step, event.attempt, event.decision, event.by) == ("pay", 1, word, "ann")


def test_before_an_operator_has_taken_it_up_a_run_can_be_suspended_and_cancelled() -> None:
    assert asking.suspend(seen(CHAIN)).operations
    assert cancel(seen(CHAIN)).operations == (
        {"op": "add", "path": "/spec/shutdown", "value": {"mode": "Cancel", "run": 1}},
    )


# -- what makes no sense -----------------------------------------------------------------------------------

OVER = "Workflow 'nightly' has ended, Succeeded: there is nothing to {} ('kipu rerun nightly' runs it again)"
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "suspend what has ended": (lambda: asking.suspend(seen(CHAIN, finished(CHAIN))), OVER.format("suspend")),
    "resume what has ended": (lambda: asking.resume(seen(CHAIN, finished(CHAIN))), OVER.format("resume")),
    "cancel what has ended": (lambda: cancel(seen(CHAIN, finished(CHAIN))), OVER.format("cancel")),
    "answer when it has ended": (lambda: approve(seen(CHAIN, finished(CHAIN)), "a"), OVER.format("answer")),
    "weaken a shutdown": (
        lambda: cancel(seen(CHAIN | {"shutdown": {"mode": "Terminate"}}, flow_of(CHAIN))),
        "Workflow 'nightly' was asked to terminate: that may only escalate, from drain to cancel to terminate",
    ),
    "cancel while finally runs": (
        lambda: cancel(seen(ENDS, failed(ENDS))),
        "the steps of Workflow 'nightly' are over, and finally runs: only 'kipu terminate' means something now",
    ),
    "an unknown step": (
        lambda: approve(seen(ASKS, asking_flow()), "publsh"),
        "Workflow 'nightly' has no step 'publsh': did you mean 'publish'?",
    ),
    "an unknown step like none": (
        lambda: approve(seen(ASKS, asking_flow()), "\x1bx"),
        "Workflow 'nightly' has no step '\\x1bx'; those that do: sign, publish",
    ),
    "a step that asks nobody": (
        lambda: approve(seen(ASKS, asking_flow()), "build"),
        "step 'build' asks for no approval; those that do: sign, publish",
    ),
    "a step that is over": (
        lambda: approve(seen(ASKS, failed(ASKS, "build"))),
        "Workflow 'nightly' has ended, Failed: there is nothing to answer ('kipu rerun nightly' runs it again)",
    ),
    "another answer": (
        lambda: approve(
            seen(ASKS | {"approvals": [{"step": "publish", "decision": "Reject", "by": "bob"}]}, asking_flow())
        ),
        "step 'publish' was answered: Reject by bob; the first answer stands",
    ),
    "one answer too many": (
        lambda: approve(
            seen(ASKS | {"approvals": [{"step": "z", "decision": "Reject", "by": "x"}] * ANSWERS_MAX}, asking_flow())
        ),
        "spec.approvals of Workflow 'nightly' holds 100 entries, as many as it may: take out those of earlier runs "
        "('kubectl edit kw nightly'), which the log keeps",
    ),
    "a word about what is known": (
        lambda: asking.resolve(seen(PAYS, unknown_flow()), "other", Resolution.FAIL, by="ann"),
        "step 'other' waits for no word: its outcome is not unknown; those that do: pay",
    ),
    "a word about no step": (
        lambda: asking.resolve(seen(PAYS, unknown_flow()), "pya", Resolution.FAIL, by="ann"),
        "Workflow 'nightly' has no step 'pya': did you mean 'pay'?",
    ),
    "run again what has not begun": (
        lambda: asking.rerun(seen(CHAIN), []),
        "no operator has taken Workflow 'nightly' up yet: there is nothing to run again",
    ),
    "run again what stays done": (
        lambda: asking.rerun(seen(CHAIN, finished(CHAIN)), []),
        "all steps of Workflow 'nightly' have succeeded, and stay done: name by --from what is to run again",
    ),
    "run again an unknown step": (
        lambda: asking.rerun(seen(CHAIN, failed(CHAIN)), ["bb"]),
        "Workflow 'nightly' has no step 'bb': did you mean 'b'?",
    ),
    "run again a step of finally": (
        lambda: asking.rerun(seen(ENDS, failed(ENDS)), ["tidy"]),
        "step 'tidy' is one of finally, which runs again in any case",
    ),
    "run again an item": (
        lambda: asking.rerun(seen(CHAIN, failed(CHAIN)), ["b[1]"]),
        "'b[1]' is an item: name its step, 'b'",
    ),
    "ask for another rerun before the first has opened": (
        lambda: asking.rerun(seen(CHAIN | {"rerun": {"number": 2}}, failed(CHAIN)), ["b"]),
        "run 2 of Workflow 'nightly' is asked for already, and has not opened yet",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_now_is_refused_with_the_reason(case: str) -> None:
    ask, why = REFUSED[case]
    with pytest.raises(Refused) as refused:
        ask()
    assert str(refused.value) == why


def test_a_word_more_than_the_list_may_hold_is_refused() -> None:
    word = {"step": "pay", "attempt": 9, "decision": "Fail", "by": "bob"}
    with pytest.raises(Refused, match="holds 100 entries"):
        asking.resolve(
            seen(PAYS | {"resolutions": [word] * RESOLUTIONS_MAX}, unknown_flow()), "pay", Resolution.FAIL, by="x"
        )
    fits = seen(PAYS | {"resolutions": [word] * (RESOLUTIONS_MAX - 1)}, unknown_flow())
    assert asking.resolve(fits, "pay", Resolution.FAIL, by="x").operations


def test_the_same_answer_once_more_changes_nothing() -> None:
    given = ASKS | {"approvals": [{"step": "publish", "decision": "Approve", "by": "bob"}]}
    change = approve(seen(given, asking_flow()))
    assert (change.operations, change.said) == ((), "step 'publish' was answered already: Approve by bob")


def test_an_answer_of_an_earlier_run_does_not_count() -> None:
    given = ASKS | {"approvals": [{"step": "publish", "decision": "Reject", "by": "bob"}]}
    rejected = asking_flow()
    rejected.answer("publish", Decision.REJECT, by="bob")
    rejected.answer("sign")
    assert rejected.state.is_terminal
    given = taken(asking.rerun(seen(given, rejected), []), given, rejected)
    edited = taken(approve(seen(given, rejected)), given, rejected)
    assert [entry.get("run") for entry in edited["approvals"]] == [None, 2]
    assert rejected.phases["publish"] == "Succeeded"


def test_a_rejected_workflow_is_never_run_again() -> None:
    body = stored(CHAIN) | {"status": {"phase": "Rejected", "message": "spec.steps: there is a cycle"}}
    with pytest.raises(Refused, match=r"there is nothing to run again \(spec.steps: there is a cycle\)"):
        asking.rerun(Seen.of(body), [])


def test_of_a_stalled_workflow_nothing_is_asked() -> None:
    stalled = {"type": "Stalled", "status": "True", "message": "the log was cut"}
    body = stored(CHAIN) | {"status": {"phase": "Running", "conditions": [stalled]}}
    for ask in (asking.suspend, asking.resume, cancel, lambda asked: asking.rerun(asked, [])):
        with pytest.raises(Refused, match="is stalled, and nothing is read from its spec: the log was cut"):
            ask(Seen.of(body))


def test_who_wants_to_resume_a_step_that_asks_is_told_how_to_answer() -> None:
    change = asking.resume(seen(ASKS, asking_flow()))
    assert change.follows == "step 'sign' waits for an answer: 'kipu approve nightly sign'"


def test_the_steps_of_a_template_are_taken_from_the_status() -> None:
    given = {"templateRef": {"name": "etl"}}
    body = stored(given, asking_flow())
    with pytest.raises(Refused, match=r"did you mean 'publish'\?"):
        approve(Seen.of(body), "publsh")
    assert approve(Seen.of(body)).operations
    del body["status"]["steps"]  # there are more than 100, so that the operator alone can tell
    assert approve(Seen.of(body), "anything").operations
