"""Steps without a Job: somebody is asked, or time passes."""

from __future__ import annotations

import pytest

from kipu.core.definition import OnFailure
from kipu.core.events import ApprovalGiven, Decision, ShutdownMode
from tests.core.given import MINUTE, approval, flow, kinds, step, wait


def test_an_approval_is_asked_for_and_given() -> None:
    given = flow(approval("publish"), step("after", "publish"))
    assert kinds(given.last) == ["WorkflowAccepted", "ApprovalRequested"]
    assert given.phases == {"publish": "Suspended", "after": "Pending"}
    assert given.state.phase.value == "Running"
    assert kinds(given.answer("publish")) == ["ApprovalGiven", "StepCompleted", "StepScheduled"]
    assert given.events_of(ApprovalGiven)[0].by == "ann"
    given.succeed("after")
    assert given.end == ("Succeeded", "Completed")


def test_a_rejection_fails_the_step_and_names_who_gave_it() -> None:
    given = flow(approval("publish"), step("after", "publish"))
    assert kinds(given.answer("publish", Decision.REJECT)) == [
        "ApprovalGiven",
        "StepFailed",
        "StepsSkipped",
        "WorkflowFinished",
    ]
    assert given.state.end_message == "step 'publish' failed (Refused): rejected by ann"


def test_the_first_answer_stands() -> None:
    given = flow(approval("publish"), step("after", "publish"))
    given.answer("publish")
    assert given.answer("publish", Decision.REJECT) == []


@pytest.mark.parametrize(("name", "run"), [("publish", 2), ("run", 1), ("pause", 1), ("nobody", 1)])
def test_an_answer_that_nobody_has_asked_for_is_ignored(name: str, run: int) -> None:
    given = flow(approval("publish"), step("run"), wait("pause"))
    assert given.answer(name, run=run) == []


def test_an_approval_that_nobody_answers_fails_when_its_time_is_over() -> None:
    given = flow(approval("publish", timeout=MINUTE))
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "StepFailed", "WorkflowFinished"]
    assert given.state.end_message == "step 'publish' failed (TimedOut): nobody has answered within 60 s"


def test_a_rejection_may_be_allowed() -> None:
    given = flow(approval("publish", allow_failure=True), step("after", "publish"))
    given.answer("publish", Decision.REJECT)
    assert given.phases == {"publish": "Failed", "after": "Scheduled"}


def test_a_wait_is_over_when_its_time_has_passed() -> None:
    given = flow(wait("pause"), step("after", "pause"))
    assert given.phases == {"pause": "Suspended", "after": "Pending"}
    assert given.pass_time(MINUTE - 1) == []
    assert kinds(given.pass_time(1)) == ["TimerFired", "StepCompleted", "StepScheduled"]


def test_steps_without_a_job_need_no_place() -> None:
    given = flow(step("a"), approval("publish"), wait("pause"), parallelism=1, slots=1)
    assert given.phases == {"a": "Scheduled", "publish": "Suspended", "pause": "Suspended"}
    assert given.state.jobs_active == 1


@pytest.mark.parametrize("mode", list(ShutdownMode))
def test_a_shutdown_ends_what_only_waits(mode: ShutdownMode) -> None:
    given = flow(approval("publish"), wait("pause"))
    given.shut_down(mode)
    assert given.phases == {"publish": "Cancelled", "pause": "Cancelled"}
    assert given.end == ("Cancelled", "Shutdown")


def test_a_failure_that_takes_others_down_ends_what_only_waits() -> None:
    given = flow(step("a"), approval("publish"), wait("pause"), on_failure=OnFailure.CANCEL_RUNNING)
    given.fail("a")
    assert given.phases == {"a": "Failed", "publish": "Cancelled", "pause": "Cancelled"}


def test_time_passes_and_answers_count_while_the_run_is_suspended() -> None:
    given = flow(approval("publish"), wait("pause"), step("after", "publish", "pause"))
    given.suspend()
    given.answer("publish")
    given.pass_time(MINUTE)
    assert given.phases == {"publish": "Succeeded", "pause": "Succeeded", "after": "Pending"}
