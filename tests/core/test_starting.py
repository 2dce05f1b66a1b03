"""When a step starts: its dependencies, its rule, the limits on Jobs at once, and the windows of a turn."""

from __future__ import annotations

import pytest

from kipu.core.decide import wants_turn
from kipu.core.definition import RunWhen, Step
from kipu.core.turn import ATTEMPTS_PER_TURN_MAX
from tests.core.given import Flow, flow, kinds, scheduled, step

ANY_FAILED, ALL_FINISHED = RunWhen.ANY_FAILED, RunWhen.ALL_FINISHED


def test_steps_without_needs_start_at_once_in_the_order_of_the_definition() -> None:
    given = flow(step("c"), step("a"), step("b"))
    assert kinds(given.last) == ["WorkflowAccepted", "StepScheduled", "StepScheduled", "StepScheduled"]
    assert scheduled(given.last) == ["c", "a", "b"]
    assert given.state.phase.value == "Running"


def test_a_workflow_is_pending_until_its_first_step_is_scheduled() -> None:
    given = flow(step("a"), slots=0)
    assert given.state.phase.value == "Pending"
    assert given.state.started_at is None


def test_a_step_starts_once_its_needs_have_succeeded() -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b"))
    assert scheduled(given.succeed("a")) == []
    assert scheduled(given.succeed("b")) == ["c"]


def test_a_step_may_stand_before_its_needs_in_the_definition() -> None:
    given = flow(step("last", "first"), step("first"))
    assert scheduled(given.last) == ["first"]
    assert scheduled(given.succeed("first")) == ["last"]


def test_a_diamond_joins_once() -> None:
    given = flow(step("top"), step("left", "top"), step("right", "top"), step("join", "left", "right"))
    assert scheduled(given.succeed("top")) == ["left", "right"]
    assert scheduled(given.succeed("left", "right")) == ["join"]


def test_success_needs_no_start_to_have_been_seen() -> None:
    given = flow(step("a"))
    assert kinds(given.succeed("a")) == ["StepSucceeded", "WorkflowFinished"]


@pytest.mark.parametrize(
    ("run_when", "ending", "phase"),
    [
        (RunWhen.ALL_SUCCEEDED, "succeed", "Scheduled"),
        (RunWhen.ALL_SUCCEEDED, "fail", "Skipped"),
        (ALL_FINISHED, "succeed", "Scheduled"),
        (ALL_FINISHED, "fail", "Scheduled"),
        (ANY_FAILED, "succeed", "Skipped"),
        (ANY_FAILED, "fail", "Scheduled"),
    ],
)
def test_a_step_runs_by_its_rule(run_when: RunWhen, ending: str, phase: str) -> None:
    given = flow(step("a"), step("b", "a", run_when=run_when))
    given.succeed("a") if ending == "succeed" else given.fail("a")
    assert given.phases["b"] == phase


@pytest.mark.parametrize("run_when", [ALL_FINISHED, ANY_FAILED])
def test_a_step_that_reacts_waits_for_all_its_needs(run_when: RunWhen) -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b", run_when=run_when))
    given.fail("a")
    assert given.phases["c"] == "Pending"
    given.succeed("b")
    assert given.phases["c"] == "Scheduled"


def test_a_step_for_failures_is_skipped_when_its_need_was_skipped() -> None:
    given = flow(step("a"), step("b", "a"), step("c", "b", run_when=ANY_FAILED))
    given.fail("a")
    assert given.phases == {"a": "Failed", "b": "Skipped", "c": "Skipped"}
    assert given.step("c").culprit == "a"


def test_a_step_for_failures_without_needs_is_skipped_at_once() -> None:
    given = flow(step("a", run_when=ANY_FAILED))
    assert given.phases == {"a": "Skipped"}
    assert given.step("a").culprit == "a"
    assert given.end == ("Succeeded", "Completed")


def test_an_allowed_failure_counts_as_success_for_the_steps_that_need_it() -> None:
    given = flow(step("a", allow_failure=True), step("b", "a"))
    given.fail("a")
    assert given.phases == {"a": "Failed", "b": "Scheduled"}


def test_an_allowed_failure_is_a_failure_for_a_step_that_reacts_to_failures() -> None:
    given = flow(step("a", allow_failure=True), step("undo", "a", run_when=ANY_FAILED))
    given.fail("a")
    assert given.phases["undo"] == "Scheduled"
    given.succeed("undo")
    assert given.end == ("Succeeded", "Completed")


# -- limits ------------------------------------------------------------------------------------------


def test_parallelism_bounds_the_jobs_at_once() -> None:
    given = flow(step("a"), step("b"), step("c"), parallelism=2)
    assert scheduled(given.last) == ["a", "b"]
    assert not wants_turn(given.state, given.slots)
    assert scheduled(given.succeed("a")) == ["c"]


def test_an_attempt_that_was_given_up_keeps_its_place_until_it_is_gone() -> None:
    given = flow(step("a", allow_failure=True), step("b"), parallelism=1)
    assert scheduled(given.lose("a")) == []
    assert given.state.jobs_active == 1
    assert scheduled(given.gone("a")) == ["b"]


def test_the_operators_free_slots_bound_what_one_turn_schedules() -> None:
    given = flow(step("a"), step("b"), step("c"), slots=2)
    assert scheduled(given.last) == ["a", "b"]


def test_without_a_free_slot_nothing_starts_until_there_is_one() -> None:
    given = flow(step("a"), slots=0)
    assert scheduled(given.last) == []
    assert not wants_turn(given.state, 0)
    assert wants_turn(given.state, 1)
    given.slots = 1
    assert scheduled(given.settle()) == ["a"]


def test_slots_below_zero_mean_none() -> None:
    given = flow(step("a"), slots=-1)
    assert scheduled(given.last) == []


def test_the_smaller_of_the_two_limits_holds() -> None:
    assert scheduled(flow(*_many(9), parallelism=3, slots=5).last) == ["s0", "s1", "s2"]
    assert scheduled(flow(*_many(9), parallelism=5, slots=3).last) == ["s0", "s1", "s2"]


@pytest.mark.parametrize(
    ("ready", "turns"), [(ATTEMPTS_PER_TURN_MAX, 0), (ATTEMPTS_PER_TURN_MAX + 1, 1), (2 * ATTEMPTS_PER_TURN_MAX + 1, 2)]
)
def test_a_wide_start_goes_on_window_by_window_until_all_are_scheduled(ready: int, turns: int) -> None:
    given = flow(*_many(ready))
    assert len(scheduled(given.last)) == ATTEMPTS_PER_TURN_MAX
    taken = 0
    while wants_turn(given.state, given.slots):
        given.tell()
        taken += 1
    assert taken == turns
    assert scheduled([event for event, _ in given.log]) == [f"s{number}" for number in range(ready)]


def test_nothing_wants_a_turn_before_the_workflow_is_accepted_or_after_it_has_ended() -> None:
    assert not wants_turn(Flow(None).state, 1)
    given = flow(step("a"))
    given.succeed("a")
    assert not wants_turn(given.state, 1)


def _many(count: int) -> list[Step]:
    return [step(f"s{number}") for number in range(count)]
