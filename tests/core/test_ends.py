"""How a run ends: the table of design 04, one test a row, and that an end is final."""

from __future__ import annotations

import pytest

from kipu.core.commands import Accept, Claim, Command, FireTimers, Reject, RequestShutdown
from kipu.core.definition import Definition, OnFailure, RunWhen
from kipu.core.errors import Problem
from kipu.core.events import Reason, ShutdownMode, WorkflowFinished
from kipu.core.texts import MESSAGE_BYTES_MAX
from tests.core.given import MINUTE, SECOND, Flow, flow, kinds, step

SUCCEEDED, STEP_FAILED = ("Succeeded", "Completed"), ("Failed", "StepFailed")


def test_succeeded_when_every_step_has_succeeded() -> None:
    given = flow(step("a"), step("b", "a"))
    given.succeed("a")
    given.succeed("b")
    assert given.end == SUCCEEDED
    assert given.state.finished_at == given.now


def test_succeeded_when_a_step_for_failures_had_nothing_to_do() -> None:
    given = flow(step("a"), step("undo", "a", run_when=RunWhen.ANY_FAILED))
    given.succeed("a")
    assert given.phases["undo"] == "Skipped"
    assert given.end == SUCCEEDED


def test_succeeded_although_a_step_failed_that_may() -> None:
    given = flow(step("a", allow_failure=True))
    given.fail("a")
    assert given.phases == {"a": "Failed"}
    assert given.end == SUCCEEDED


def test_succeeded_when_there_is_nothing_to_do() -> None:
    assert kinds(flow().last) == ["WorkflowAccepted", "WorkflowFinished"]
    assert flow().end == SUCCEEDED


def test_failed_when_a_step_failed() -> None:
    given = flow(step("a"))
    given.fail("a")
    assert given.end == STEP_FAILED


def test_failed_although_the_steps_that_react_to_it_succeeded() -> None:
    given = flow(step("a"), step("undo", "a", run_when=RunWhen.ANY_FAILED))
    given.fail("a")
    given.succeed("undo")
    assert given.end == STEP_FAILED


def test_failed_when_a_step_that_reacts_failed() -> None:
    given = flow(step("a", allow_failure=True), step("undo", "a", run_when=RunWhen.ANY_FAILED))
    given.fail("a")
    given.fail("undo")
    assert given.end == STEP_FAILED


@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.START_TIMED_OUT])
def test_failed_when_a_step_took_too_long(reason: Reason) -> None:
    given = flow(step("a", attempt_timeout=MINUTE))
    if reason is Reason.TIMED_OUT:
        given.start("a")
    given.pass_time(MINUTE)
    given.gone("a")
    assert given.step("a").reason is reason
    assert given.end == STEP_FAILED


def test_failed_when_the_workflow_took_too_long() -> None:
    given = flow(step("a"), timeout=MINUTE)
    given.pass_time(MINUTE)
    given.gone("a")
    assert given.end == ("Failed", "TimedOut")


def test_failed_and_not_cancelled_when_a_failure_took_the_others_down() -> None:
    given = flow(step("a"), step("b"), on_failure=OnFailure.CANCEL_RUNNING)
    given.fail("a")
    given.gone("b")
    assert given.phases["b"] == "Cancelled"
    assert given.end == STEP_FAILED


def test_cancelled_when_it_was_asked_for_and_took_effect() -> None:
    given = flow(step("a"))
    given.shut_down()
    given.gone("a")
    assert given.end == ("Cancelled", "Shutdown")


def test_rejected_when_it_never_started() -> None:
    problems = (Problem(path="spec.steps[0]", reason="wrong"),)
    given = Flow(None)
    assert kinds(given.tell(Reject(spec_hash="hash", problems=problems))) == ["WorkflowRejected"]
    assert given.state.phase.value == "Rejected"
    assert given.state.problems == problems
    assert given.state.finished_at == given.now


# -- an end is final ---------------------------------------------------------------------------------


def test_an_end_comes_exactly_once_and_nothing_follows_it() -> None:
    given = flow(step("a"), timeout=MINUTE)
    late: list[Command] = [given.outcome("a", reason=Reason.EXIT_CODE), given.outcome("a"), given.started("a")]
    given.succeed("a")
    assert given.tell(*late, FireTimers(), RequestShutdown(run=1, mode=ShutdownMode.CANCEL), after=2 * MINUTE) == []
    assert len(given.events_of(WorkflowFinished)) == 1


def test_a_run_that_has_ended_is_neither_accepted_nor_rejected_again() -> None:
    given = flow(step("a"))
    given.succeed("a")
    assert given.tell(Accept(spec_hash="other", definition=Definition(steps=()))) == []
    assert given.tell(Reject(spec_hash="other", problems=())) == []


def test_a_run_that_has_ended_can_still_change_hands() -> None:
    given = flow(step("a"))
    given.succeed("a")
    assert kinds(given.tell(Claim(writer="replica-2"), after=SECOND)) == ["StreamClaimed"]
    assert (given.state.epoch, given.state.writer) == (1, "replica-2")
    assert given.end == SUCCEEDED


def test_a_run_does_not_end_while_an_attempt_that_was_given_up_is_not_gone() -> None:
    given = flow(step("a"))
    given.lose("a")
    assert not given.state.is_terminal
    given.gone("a")
    assert given.state.is_terminal


def test_the_message_of_the_end_is_bounded() -> None:
    given = flow(step("a"))
    given.tell(given.outcome("a", reason=Reason.EXIT_CODE, message="x" * 5_000))
    assert given.state.end_message.startswith("step 'a' failed (ExitCode): xxx")
    assert len(given.state.end_message) <= MESSAGE_BYTES_MAX
