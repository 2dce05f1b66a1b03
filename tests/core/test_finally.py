"""The steps of finally: run once all others are over, whatever they came to."""

from __future__ import annotations

import pytest

from kipu.core.adoption import check as check_adoption
from kipu.core.definition import Definition, OnFailure
from kipu.core.events import FinallyStarted, ShutdownMode, WorkflowEnd
from kipu.core.graph import check
from tests.core.given import MINUTE, Flow, adoption, flow, kinds, last, scheduled, step

DRAIN, CANCEL, TERMINATE = ShutdownMode.DRAIN, ShutdownMode.CANCEL, ShutdownMode.TERMINATE


def begun(given: Flow) -> FinallyStarted:
    (event,) = given.events_of(FinallyStarted)
    return event


def test_finally_begins_once_every_step_is_over() -> None:
    given = flow(step("a"), step("b"), last("notify"))
    assert scheduled(given.succeed("a")) == []
    assert kinds(given.succeed("b")) == ["StepSucceeded", "FinallyStarted", "StepScheduled"]
    assert begun(given).end is WorkflowEnd.SUCCEEDED
    assert given.state.phase.value == "Finalizing"
    given.succeed("notify")
    assert given.end == ("Succeeded", "Completed")


def test_finally_runs_after_a_failure_and_changes_nothing_about_it() -> None:
    given = flow(step("a"), step("b", "a"), last("notify"))
    given.fail("a")
    assert begun(given).end is WorkflowEnd.FAILED
    given.succeed("notify")
    assert given.phases == {"a": "Failed", "b": "Skipped", "notify": "Succeeded"}
    assert given.end == ("Failed", "StepFailed")
    assert given.state.end_message == "step 'a' failed (ExitCode)"


@pytest.mark.parametrize("mode", [DRAIN, CANCEL])
def test_finally_runs_after_a_cancellation(mode: ShutdownMode) -> None:
    given = flow(step("a"), step("b", "a"), last("notify"))
    given.shut_down(mode)
    if mode is CANCEL:
        given.gone("a")
    else:
        given.succeed("a")
    assert begun(given).end is WorkflowEnd.CANCELLED
    given.succeed("notify")
    assert given.end == ("Cancelled", "Shutdown")


def test_finally_runs_after_the_workflows_timeout_which_does_not_bound_it() -> None:
    given = flow(step("a"), last("notify"), timeout=MINUTE)
    given.pass_time(MINUTE)
    given.gone("a")
    assert begun(given).end is WorkflowEnd.FAILED
    assert given.pass_time(10 * MINUTE) == []
    given.succeed("notify")
    assert given.end == ("Failed", "TimedOut")


def test_finally_does_not_run_after_a_termination() -> None:
    given = flow(step("a"), last("notify"))
    given.shut_down(TERMINATE)
    given.gone("a")
    assert given.phases == {"a": "Cancelled", "notify": "Cancelled"}
    assert given.end == ("Cancelled", "Shutdown")


def test_a_cancellation_that_becomes_a_termination_leaves_finally_out() -> None:
    given = flow(step("a"), last("notify"))
    given.shut_down(CANCEL)
    assert kinds(given.shut_down(TERMINATE)) == ["ShutdownRequested", "StepsCancelled"]
    given.gone("a")
    assert given.end == ("Cancelled", "Shutdown")


def test_a_termination_takes_running_steps_of_finally_down() -> None:
    given = flow(step("a"), last("notify"))
    given.succeed("a")
    assert kinds(given.shut_down(TERMINATE)) == ["ShutdownRequested", "AttemptAbandoned"]
    given.gone("notify")
    assert given.end == ("Cancelled", "Shutdown")


def test_a_failure_stays_one_when_finally_is_terminated() -> None:
    given = flow(step("a"), last("notify"))
    given.fail("a")
    given.shut_down(TERMINATE)
    given.gone("notify")
    assert given.end == ("Failed", "StepFailed")


@pytest.mark.parametrize("mode", [DRAIN, CANCEL])
def test_once_finally_runs_there_is_nothing_left_to_cancel(mode: ShutdownMode) -> None:
    given = flow(step("a"), last("notify"))
    given.succeed("a")
    assert given.shut_down(mode) == []


@pytest.mark.parametrize("main", ["succeed", "shut_down"])
def test_a_step_of_finally_that_fails_makes_the_workflow_failed(main: str) -> None:
    given = flow(step("a"), last("notify"))
    if main == "succeed":
        given.succeed("a")
    else:
        given.shut_down()
        given.gone("a")
    given.fail("notify")
    assert given.end == ("Failed", "StepFailed")
    assert given.state.end_message == "step 'notify' failed (ExitCode)"


def test_a_step_of_finally_may_fail_where_that_is_allowed() -> None:
    given = flow(step("a"), last("notify", allow_failure=True))
    given.succeed("a")
    given.fail("notify")
    assert given.end == ("Succeeded", "Completed")


@pytest.mark.parametrize("mode", list(OnFailure))
def test_one_failure_in_finally_leaves_the_others_alone(mode: OnFailure) -> None:
    given = flow(step("a"), last("one"), last("two", "one"), last("three"), last("four", "three"), on_failure=mode)
    given.succeed("a")
    given.fail("one")
    given.succeed("three")
    given.succeed("four")
    assert given.phases == {"a": "Succeeded", "one": "Failed", "two": "Skipped", "three": "Succeeded"} | {
        "four": "Succeeded"
    }
    assert given.end == ("Failed", "StepFailed")


def test_a_step_of_finally_is_tried_again_after_a_failure_of_the_run() -> None:
    given = flow(step("a"), last("notify", attempts=2), on_failure=OnFailure.CANCEL_RUNNING)
    given.fail("a")
    given.fail("notify")
    assert scheduled(given.pass_time(MINUTE)) == ["notify"]
    given.succeed("notify")
    assert given.end == ("Failed", "StepFailed")


def test_finally_has_a_deadline_of_its_own() -> None:
    given = flow(step("a"), last("notify"), last("after", "notify"), finally_timeout=MINUTE)
    given.succeed("a")
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "StepsCancelled", "AttemptAbandoned"]
    given.gone("notify")
    assert given.end == ("Failed", "TimedOut")
    assert given.state.end_message == "the workflow's finallyTimeout passed"


def test_a_workflow_without_steps_before_them_runs_finally_at_once() -> None:
    assert scheduled(flow(last("notify")).last) == ["notify"]


def test_steps_before_finally_and_in_it_cannot_wait_for_each_other() -> None:
    problems = check(Definition(steps=(step("a", "notify"), last("notify", "a"))))
    assert [str(problem) for problem in problems] == [
        "spec.steps[0].dependsOn[0]: 'notify' is a step of finally, which begins when all others are over (remove it)",
        "spec.finally[0].dependsOn[0]: 'a' is over whenever finally begins "
        "(remove it; KIPU_OUTCOME says what the steps came to)",
    ]


def test_a_name_is_used_once_over_both_lists() -> None:
    (problem,) = check(Definition(steps=(step("a"), last("a"))))
    assert str(problem).startswith("spec.finally[0].name: 'a' is already the name of spec.steps[0]")


def test_a_step_of_finally_is_not_adopted() -> None:
    (problem,) = check_adoption(Definition(steps=(step("a"), last("b")), adopt=adoption("b")))
    assert problem.reason == "step 'b' is one of finally, which always runs"
