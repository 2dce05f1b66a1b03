"""The beginning of a stream: claimed, then accepted or rejected, once."""

from __future__ import annotations

import pytest

from kipu.core.commands import Accept, Claim, Reject
from kipu.core.decide import COMMANDS_PER_TURN_MAX, decide
from kipu.core.definition import Definition
from kipu.core.errors import Problem, UserError
from kipu.core.events import WorkflowAccepted, WorkflowRejected
from kipu.core.state import State
from kipu.eventlog.codec import encode
from tests.core.given import IDENTITY, MINUTE, START, Flow, flow, kinds, step

ACCEPT = Accept(spec_hash="hash", definition=Definition(steps=(step("a"),)))


def test_a_stream_is_claimed_accepted_and_begun_in_one_turn() -> None:
    given = Flow(None)
    assert kinds(given.tell(Claim(writer="replica-1"), ACCEPT)) == [
        "StreamClaimed",
        "WorkflowAccepted",
        "StepScheduled",
    ]
    assert (given.state.epoch, given.state.run, given.state.position) == (1, 1, 3)
    assert given.attempt("a").position == 3


def test_each_claim_raises_the_epoch() -> None:
    given = Flow(None)
    given.tell(Claim(writer="replica-1"))
    given.tell(Claim(writer="replica-2"))
    assert (given.state.epoch, given.state.writer) == (2, "replica-2")


def test_the_deadline_of_the_workflow_counts_from_its_acceptance() -> None:
    given = flow(step("a"), timeout=MINUTE)
    (accepted,) = given.events_of(WorkflowAccepted)
    assert accepted.deadline == START + MINUTE == given.state.deadline


def test_the_first_acceptance_stands() -> None:
    given = flow(step("a"))
    assert given.tell(ACCEPT) == []
    assert given.tell(Reject(spec_hash="other", problems=())) == []


def test_of_an_acceptance_and_a_rejection_in_one_turn_the_first_stands() -> None:
    reject = Reject(spec_hash="hash", problems=())
    assert kinds(Flow(None).tell(reject, ACCEPT)) == ["WorkflowRejected"]
    assert kinds(Flow(None).tell(ACCEPT, reject)) == ["WorkflowAccepted", "StepScheduled"]


def test_a_rejection_keeps_as_many_problems_as_one_record_holds_and_counts_the_rest() -> None:
    problems = tuple(Problem(path=f"spec.steps[{number}]", reason="é" * 900, hint="\x00" * 900) for number in range(99))
    given = Flow(None)
    given.tell(Reject(spec_hash="hash", problems=problems))
    (event,) = given.events_of(WorkflowRejected)
    encode(event, position=1, epoch=1, ts=START)  # raises LogFull
    assert event.problems[0].path == "spec.steps[0]"
    assert event.problems[-1].reason == f"and {99 - len(event.problems) + 1} more problems"


def test_a_rejection_with_few_problems_keeps_them_all() -> None:
    problems = tuple(Problem(path=f"spec.steps[{number}]", reason="wrong", hint="mend it") for number in range(20))
    given = Flow(None)
    given.tell(Reject(spec_hash="hash", problems=problems))
    assert given.state.problems == problems


def test_a_problem_says_where_what_and_what_to_do() -> None:
    error = UserError((Problem(path="a", reason="b", hint="c"), Problem(path="d", reason="e")))
    assert str(error) == "a: b (c); d: e"
    assert len(error.problems) == 2


def test_a_turn_takes_no_more_commands_than_its_bound() -> None:
    claims = [Claim(writer="w")] * (COMMANDS_PER_TURN_MAX + 1)
    state, events = decide(State(), claims[:-1], identity=IDENTITY, now=0, slots=0)
    assert len(events) == COMMANDS_PER_TURN_MAX
    with pytest.raises(AssertionError):
        decide(state, claims, identity=IDENTITY, now=0, slots=0)


def test_time_never_goes_back() -> None:
    given = flow(step("a"))
    with pytest.raises(AssertionError):
        given.tell(after=-1)
