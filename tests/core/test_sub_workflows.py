"""Steps that are Workflows of their own: their attempts are like any others, but that they hold no place."""

from __future__ import annotations

from dataclasses import replace

from kipu.core.commands import ObserveMissing, ObserveStarted, RequestShutdown
from kipu.core.definition import ForEach
from kipu.core.effects import EnsureJob, EnsureNoJob, effects, escalated, touched
from kipu.core.events import AttemptAbandoned, Reason, ShutdownMode, StepScheduled
from tests.core.given import MINUTE, SECOND, flow, kinds, nested, scheduled, step

CANCEL, TERMINATE = ShutdownMode.CANCEL, ShutdownMode.TERMINATE


def test_a_child_is_scheduled_started_and_succeeds_like_a_job() -> None:
    given = flow(nested("train"), step("after", "train"))
    assert kinds(given.last) == ["WorkflowAccepted", "StepScheduled"]
    assert [type(each) for each in effects(given.state)] == [EnsureJob]
    assert kinds(given.start("train")) == ["StepStarted"]
    assert kinds(given.succeed("train")) == ["StepSucceeded", "StepScheduled"]
    assert given.step("train").exit_code is None
    given.succeed("after")
    assert given.end == ("Succeeded", "Completed")


def test_children_hold_no_place_and_wait_for_none() -> None:
    given = flow(step("a"), nested("x"), nested("y"), step("b"), parallelism=1, slots=1)
    assert scheduled(given.last) == ["x", "y", "a"]
    assert given.state.jobs_active == 1
    given.slots = 0
    given.succeed("x")
    assert given.state.jobs_active == 1
    given.slots = 1
    assert scheduled(given.succeed("a")) == ["b"]


def test_a_child_starts_although_no_job_could() -> None:
    given = flow(step("a"), nested("x"), slots=0)
    assert scheduled(given.last) == ["x"]
    assert given.settle() == []


def test_a_child_that_failed_is_tried_again_by_the_retry_of_the_step_as_another_child() -> None:
    given = flow(nested("train", attempts=2), slots=0)
    given.start("train")
    given.fail("train", reason=Reason.CHILD_FAILED, exit_code=None)
    assert given.phases == {"train": "Retrying"}
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "StepScheduled"]
    first, second = given.events_of(StepScheduled)
    assert first.job != second.job
    given.fail("train", reason=Reason.CHILD_FAILED, exit_code=None)
    assert given.end == ("Failed", "StepFailed")
    assert "step 'train' failed (ChildFailed)" in given.state.end_message


def test_a_child_that_vanished_is_lost_and_its_name_taken_before_the_next_one() -> None:
    given = flow(nested("train", attempts=2))
    given.start("train")
    assert kinds(given.lose("train")) == ["AttemptAbandoned"]
    assert given.events_of(AttemptAbandoned)[0].message == "its Workflow was deleted before it ended"
    assert [type(each) for each in effects(given.state)] == [EnsureNoJob]
    assert given.state.jobs_active == 0
    given.gone("train")
    assert scheduled(given.pass_time(MINUTE)) == ["train"]


def test_of_a_child_that_vanished_before_its_start_was_told_the_uid_is_recorded() -> None:
    given = flow(nested("train", attempts=2), step("a"))
    for name, recorded in (("train", ["StepStarted", "AttemptAbandoned"]), ("a", ["AttemptAbandoned"])):
        ref = given.ref(name)
        started = ObserveStarted(ref=ref, job_uid=f"uid-of-{name}", started_at=given.now)
        assert kinds(given.tell(ObserveMissing(ref=ref, started=started))) == recorded
    attempt = given.step("train").attempt
    assert attempt is not None
    assert attempt.job_uid == "uid-of-train"


def test_a_step_s_timeout_ends_its_child_and_then_the_step() -> None:
    given = flow(nested("train", timeout=MINUTE))
    given.start("train")
    given.pass_time(MINUTE)
    assert given.phases == {"train": "Running"}
    given.gone("train")
    assert given.end == ("Failed", "StepFailed")


def test_how_a_child_ended_that_was_asked_to_end_is_no_late_result() -> None:
    given = flow(nested("train"))
    given.start("train")
    outcome = given.outcome("train", reason=Reason.CHILD_FAILED)
    given.shut_down()
    assert given.tell(outcome) == []
    assert kinds(given.gone("train")) == ["StepsCancelled", "WorkflowFinished"]


def test_a_shutdown_that_escalates_is_told_to_the_children_that_are_ending_already() -> None:
    given = flow(nested("train"), step("a"))
    given.start("train", "a")
    events = given.shut_down(CANCEL)
    assert [each.ref.step for each in effects(given.state, touched(events))] == ["train", "a"]
    events = given.tell(RequestShutdown(run=1, mode=TERMINATE))
    assert effects(given.state, touched(events)) == []
    assert [each.ref.step for each in escalated(given.state, events)] == ["train"]
    assert escalated(given.state, given.gone("a")) == []


def test_a_fan_out_of_children_is_bounded_by_its_own_parallelism_alone() -> None:
    given = flow(
        nested("each", for_each=ForEach(count=5, parallelism=2), attempts=2), step("a"), slots=1, parallelism=1
    )
    assert scheduled(given.last) == ["each[0]", "each[1]", "a"]
    given.fail("each[0]", reason=Reason.CHILD_FAILED)
    assert given.state.jobs_active == 1
    given.pass_time(MINUTE)
    for index in (1, 0, 2, 3, 4):
        given.succeed(f"each[{index}]", after=SECOND)
    given.succeed("a")
    assert given.end == ("Succeeded", "Completed")


def test_a_suspension_holds_children_back_too() -> None:
    given = flow(step("a"), nested("train", "a"))
    given.suspend()
    assert scheduled(given.succeed("a")) == []
    assert scheduled(given.suspend(False)) == ["train"]


def test_a_rerun_begins_another_child() -> None:
    given = flow(nested("train"))
    given.succeed("train")
    given.rerun("train")
    first, second = given.events_of(StepScheduled)
    assert (first.attempt, second.attempt) == (1, 1)
    assert first.job != second.job


def test_the_kind_of_a_step_is_recorded() -> None:
    given = flow(replace(nested("train"), pod={"workflow": {"templateRef": {"name": "t"}}}))
    assert given.state.definition is not None
    assert given.state.definition.steps[0].kind.value == "Workflow"
