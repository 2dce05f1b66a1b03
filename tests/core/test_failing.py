"""What one step's failure means for the others: onFailure in its three modes, and who is skipped because of whom."""

from __future__ import annotations

import pytest

from kipu.core.decide import wants_turn
from kipu.core.definition import OnFailure, RunWhen
from kipu.core.events import STEPS_PER_RECORD_MAX, Reason, SkipReason, StepsSkipped
from kipu.core.lifecycle import StepPhase
from kipu.core.turn import ATTEMPTS_PER_TURN_MAX, NAMES_PER_FRAME, NAMES_PER_TURN_MAX
from tests.core.given import SECOND, flow, kinds, scheduled, step

FINISH, CANCEL, CONTINUE = OnFailure.FINISH_RUNNING, OnFailure.CANCEL_RUNNING, OnFailure.CONTINUE


# -- onFailure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [FINISH, CANCEL])
def test_after_a_failure_nothing_new_starts(mode: OnFailure) -> None:
    given = flow(step("a"), step("b"), step("c", "b"), on_failure=mode)
    given.fail("a")
    assert given.phases["c"] == "Skipped"
    assert (given.step("c").culprit, given.step("c").reason) == ("a", SkipReason.WORKFLOW_FAILING)


@pytest.mark.parametrize("mode", [FINISH, CANCEL])
def test_what_a_failure_dooms_is_told_apart_from_what_it_holds_back(mode: OnFailure) -> None:
    given = flow(step("aside", "b"), step("below", "a"), step("a"), step("b"), on_failure=mode)
    given.fail("a")
    assert given.step("below").reason is SkipReason.DEPENDENCY
    assert given.step("aside").reason is SkipReason.WORKFLOW_FAILING


def test_finish_running_lets_what_has_started_end() -> None:
    given = flow(step("a"), step("b"), on_failure=FINISH)
    given.fail("a")
    assert given.phases == {"a": "Failed", "b": "Scheduled"}
    given.succeed("b")
    assert given.end == ("Failed", "StepFailed")


def test_finish_running_lets_what_has_started_retry() -> None:
    given = flow(step("a"), step("b", attempts=2), on_failure=FINISH)
    given.fail("b", "a")
    assert given.phases == {"a": "Failed", "b": "Retrying"}
    assert scheduled(given.pass_time(SECOND)) == ["b"]


def test_cancel_running_takes_down_what_runs() -> None:
    given = flow(step("a"), step("b"), step("c", attempts=2), on_failure=CANCEL)
    assert kinds(given.fail("c", "a")) == [
        "AttemptFailed",
        "AttemptFailed",
        "StepFailed",
        "StepsCancelled",
        "AttemptAbandoned",
    ]
    assert given.phases == {"a": "Failed", "b": "Scheduled", "c": "Cancelled"}
    assert given.state.phase.value == "Cancelling"
    assert given.gone("b")
    assert given.phases["b"] == "Cancelled"
    assert given.end == ("Failed", "StepFailed")


def test_cancel_running_spares_the_steps_that_react_to_failures() -> None:
    given = flow(
        step("report", run_when=RunWhen.ALL_FINISHED),
        step("a"),
        step("undo", "a", run_when=RunWhen.ANY_FAILED),
        step("b"),
        on_failure=CANCEL,
    )
    given.fail("a")
    assert given.phases == {"report": "Scheduled", "a": "Failed", "undo": "Scheduled", "b": "Scheduled"}
    assert set(given.state.leaving) == {3}
    assert given.state.phase.value == "Cancelling"
    given.gone("b")
    assert given.state.phase.value == "Running"
    given.succeed("report", "undo")
    assert given.end == ("Failed", "StepFailed")


def test_cancel_running_lets_a_step_that_reacts_retry() -> None:
    given = flow(step("a"), step("undo", "a", run_when=RunWhen.ANY_FAILED, attempts=2), on_failure=CANCEL)
    given.fail("a")
    given.fail("undo")
    assert given.phases["undo"] == "Retrying"
    assert scheduled(given.pass_time(SECOND)) == ["undo"]


def test_a_lost_attempt_makes_no_workflow_look_cancelled() -> None:
    given = flow(step("a"), step("b"))
    given.lose("a")
    assert given.state.phase.value == "Running"


def test_cancel_running_never_retries_an_attempt_that_was_leaving_already() -> None:
    given = flow(step("a"), step("b", attempts=9), on_failure=CANCEL)
    given.lose("b")
    given.fail("a")
    given.gone("b")
    assert given.phases == {"a": "Failed", "b": "Failed"}
    assert given.step("b").reason is Reason.LOST


def test_a_step_for_the_end_of_another_waits_until_that_one_is_really_down() -> None:
    given = flow(step("a"), step("b"), step("after-b", "b", run_when=RunWhen.ALL_FINISHED), on_failure=CANCEL)
    given.fail("a")
    assert given.phases["after-b"] == "Pending"
    assert scheduled(given.gone("b")) == ["after-b"]


def test_a_cancelled_step_has_not_failed_for_those_that_react_to_failures() -> None:
    given = flow(step("a"), step("b"), step("undo-b", "b", run_when=RunWhen.ANY_FAILED), on_failure=CANCEL)
    given.fail("a")
    given.gone("b")
    assert given.phases["undo-b"] == "Skipped"
    assert given.end == ("Failed", "StepFailed")


def test_continue_lets_independent_branches_go_on() -> None:
    given = flow(step("a"), step("after-a", "a"), step("b"), step("after-b", "b"), on_failure=CONTINUE)
    given.fail("a")
    assert given.phases == {"a": "Failed", "after-a": "Skipped", "b": "Scheduled", "after-b": "Pending"}
    assert scheduled(given.succeed("b")) == ["after-b"]
    given.succeed("after-b")
    assert given.end == ("Failed", "StepFailed")


@pytest.mark.parametrize("mode", list(OnFailure))
def test_an_allowed_failure_holds_nobody_back(mode: OnFailure) -> None:
    given = flow(step("a", allow_failure=True), step("b"), step("c", "b"), on_failure=mode)
    given.fail("a")
    assert given.phases == {"a": "Failed", "b": "Scheduled", "c": "Pending"}
    given.succeed("b")
    given.succeed("c")
    assert given.end == ("Succeeded", "Completed")


def test_the_end_blames_the_first_failure_that_counts() -> None:
    given = flow(step("meant", allow_failure=True), step("first"), step("second"))
    given.fail("meant")
    given.tell(given.outcome("first", reason=Reason.OUT_OF_MEMORY, message="137"))
    given.fail("second")
    assert given.state.end_message == "step 'first' failed (OOMKilled): 137"


# -- skipping ----------------------------------------------------------------------------------------


def test_skipping_goes_down_the_whole_chain_and_names_the_root() -> None:
    given = flow(step("a"), step("b", "a"), step("c", "b"), step("d", "c"), on_failure=CONTINUE)
    given.fail("a")
    assert given.phases == {"a": "Failed", "b": "Skipped", "c": "Skipped", "d": "Skipped"}
    assert {given.step(name).culprit for name in "bcd"} == {"a"}
    assert given.events_of(StepsSkipped) == [
        StepsSkipped(run=1, steps=("b", "c", "d"), culprit="a", reason=SkipReason.DEPENDENCY)
    ]


def test_skipping_is_breadth_first_and_skips_each_step_once() -> None:
    given = flow(
        step("z", "x", "y"), step("root"), step("x", "root"), step("y", "root"), step("w", "x"), on_failure=CONTINUE
    )
    given.fail("root")
    (event,) = given.events_of(StepsSkipped)
    assert event.steps == ("x", "y", "z", "w")


def test_a_step_below_two_failures_is_skipped_because_of_the_first() -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b"), on_failure=CONTINUE)
    given.fail("b")
    assert given.step("c").culprit == "b"
    given.fail("a")
    assert given.step("c").culprit == "b"


def test_of_two_failures_in_one_turn_the_first_told_is_the_culprit() -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b"), on_failure=CONTINUE)
    given.fail("b", "a")
    assert given.step("c").culprit == "b"


def test_two_culprits_of_one_turn_are_told_apart() -> None:
    given = flow(step("a"), step("b"), step("under-a", "a"), step("under-b", "b"), on_failure=CONTINUE)
    given.fail("a", "b")
    assert [(event.culprit, event.steps) for event in given.events_of(StepsSkipped)] == [
        ("a", ("under-a",)),
        ("b", ("under-b",)),
    ]


def test_a_skipped_step_releases_those_that_wait_for_any_end() -> None:
    given = flow(
        step("a"), step("b", "a"), step("c", "b"), step("report", "c", run_when=RunWhen.ALL_FINISHED), on_failure=FINISH
    )
    assert scheduled(given.fail("a")) == ["report"]


def test_a_chain_of_steps_for_failures_falls_in_one_record() -> None:
    given = flow(
        step("a"),
        step("b", "a", run_when=RunWhen.ANY_FAILED),
        step("c", "b", run_when=RunWhen.ANY_FAILED),
        step("d", "c"),
    )
    given.succeed("a")
    assert given.events_of(StepsSkipped) == [
        StepsSkipped(run=1, steps=("b", "c", "d"), culprit="a", reason=SkipReason.DEPENDENCY)
    ]
    assert given.end == ("Succeeded", "Completed")


def test_a_step_for_failures_with_one_failed_and_one_skipped_need_runs() -> None:
    given = flow(step("a"), step("b", "a"), step("undo", "a", "b", run_when=RunWhen.ANY_FAILED), on_failure=CONTINUE)
    assert scheduled(given.fail("a")) == ["undo"]


def test_a_skipped_step_for_failures_waits_for_its_last_need() -> None:
    given = flow(step("a"), step("b"), step("undo", "a", "b", run_when=RunWhen.ANY_FAILED), step("x", "undo"))
    given.succeed("a")
    assert given.phases["undo"] == "Pending"
    given.succeed("b")
    assert given.phases == {"a": "Succeeded", "b": "Succeeded", "undo": "Skipped", "x": "Skipped"}
    assert given.step("x").culprit == "b"


def test_a_record_names_no_more_steps_than_it_may() -> None:
    count = STEPS_PER_RECORD_MAX + 1
    given = flow(step("a"), *[step(f"s{number}", "a") for number in range(count)])
    given.fail("a")
    assert [len(event.steps) for event in given.events_of(StepsSkipped)] == [STEPS_PER_RECORD_MAX, 1]


@pytest.mark.parametrize("mode", list(OnFailure))
def test_a_turn_skips_no_more_than_its_bound_and_goes_on_in_the_next(mode: OnFailure) -> None:
    below = [step(f"s{number}", "a") for number in range(NAMES_PER_TURN_MAX)]
    aside = [step(f"t{number}", "b") for number in range(10)]
    given = flow(step("a"), step("b"), *below, *aside, on_failure=mode)
    given.fail("a")
    assert given.state.counts[StepPhase.SKIPPED] < NAMES_PER_TURN_MAX
    assert wants_turn(given.state, given.slots)
    given.succeed("b")
    given.settle()
    assert given.state.counts[StepPhase.SKIPPED] >= NAMES_PER_TURN_MAX
    assert len(given.state.live) == (10 if mode is CONTINUE else 0)


def test_nothing_starts_while_steps_are_left_to_be_held_back() -> None:
    held = [step(f"s{number}") for number in range(NAMES_PER_TURN_MAX + 50)]
    given = flow(step("a"), *held, parallelism=1, on_failure=FINISH)
    assert scheduled(given.fail("a")) == []
    assert scheduled(given.settle()) == []
    assert given.end == ("Failed", "StepFailed")


def test_cancel_running_takes_down_window_by_window() -> None:
    count = ATTEMPTS_PER_TURN_MAX + 1
    given = flow(step("a"), *[step(f"s{number}") for number in range(count)], on_failure=CANCEL)
    given.settle()
    given.fail("a")
    assert len(given.state.leaving) == ATTEMPTS_PER_TURN_MAX
    given.settle()
    assert len(given.state.leaving) == count


@pytest.mark.proof
@pytest.mark.parametrize("held", [NAMES_PER_TURN_MAX - NAMES_PER_FRAME * 4 - spare for spare in (-1, 0, 1, 6, 40)])
def test_retries_to_cancel_that_a_full_turn_had_no_room_for_are_cancelled_in_the_next(held: int) -> None:
    waiting = [step(f"s{number}", attempts=2) for number in range(30)]
    names = [one.name for one in waiting]
    others = [step(f"t{number}", "b") for number in range(held)]
    given = flow(step("a"), step("b"), *waiting, *others, on_failure=CANCEL)
    given.fail(*names)
    given.fail("a")
    given.settle()
    assert {given.phases[name] for name in names} == {"Cancelled"}
