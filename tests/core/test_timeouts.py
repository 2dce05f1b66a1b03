"""Deadlines: of a start, an attempt, a step and the workflow; and how an attempt is given up."""

from __future__ import annotations

import pytest

from kipu.core.commands import Command, FireTimers, ObserveGone
from kipu.core.definition import Backoff, Jitter
from kipu.core.effects import wake_at
from kipu.core.events import AttemptFailed, Reason, StepScheduled
from kipu.core.evolve import fold
from kipu.core.texts import seconds
from kipu.core.turn import TIMERS_PER_TURN_MAX
from tests.core.given import MINUTE, SECOND, flow, kinds, scheduled, step
from tests.core.invariants import relevant_timers

NO_WAIT = Backoff(initial_ms=0, jitter=Jitter.NONE)


def test_an_attempt_that_does_not_start_in_time_is_given_up() -> None:
    given = flow(step("a", start_timeout=MINUTE))
    assert given.pass_time(MINUTE - 1) == []
    assert kinds(given.pass_time(1)) == ["TimerFired", "AttemptAbandoned"]
    assert given.attempt("a").abandoned is Reason.START_TIMED_OUT
    assert given.phases == {"a": "Scheduled"}


def test_an_attempt_that_has_started_is_past_its_start_timeout() -> None:
    given = flow(step("a", start_timeout=MINUTE))
    given.start("a")
    assert given.pass_time(MINUTE) == []


def test_without_a_start_timeout_the_attempt_timeout_bounds_the_start() -> None:
    given = flow(step("a", attempt_timeout=MINUTE))
    given.pass_time(MINUTE)
    assert given.attempt("a").abandoned is Reason.START_TIMED_OUT
    assert given.attempt("a").abandoned_message == "not started within 60 s"


def test_an_attempt_timeout_counts_from_the_start_that_was_seen() -> None:
    given = flow(step("a", attempt_timeout=MINUTE))
    given.start("a", after=30 * SECOND)
    assert given.attempt("a").deadline == given.now + MINUTE
    assert given.pass_time(MINUTE - 1) == []
    given.pass_time(1)
    assert given.attempt("a").abandoned is Reason.TIMED_OUT
    assert given.phases == {"a": "Running"}


def test_an_attempt_given_up_fails_only_once_it_is_gone() -> None:
    given = flow(step("a", start_timeout=MINUTE))
    given.pass_time(MINUTE)
    assert not given.state.is_terminal
    assert kinds(given.gone("a", message="image not found")) == ["AttemptFailed", "StepFailed", "WorkflowFinished"]
    assert given.step("a").reason is Reason.START_TIMED_OUT
    assert given.step("a").message == "not started within 60 s; image not found"


def test_an_attempt_given_up_is_retried_once_it_is_gone() -> None:
    given = flow(step("a", attempts=2, attempt_timeout=MINUTE))
    given.start("a")
    given.pass_time(MINUTE)
    assert kinds(given.gone("a")) == ["AttemptFailed"]
    assert scheduled(given.pass_time(SECOND)) == ["a"]


def test_a_lost_attempt_is_given_up_before_it_is_retried() -> None:
    given = flow(step("a", attempts=2))
    assert kinds(given.lose("a")) == ["AttemptAbandoned"]
    assert given.attempt("a").abandoned is Reason.LOST
    given.gone("a")
    assert given.phases == {"a": "Retrying"}


def test_a_step_timeout_spans_its_attempts() -> None:
    given = flow(step("a", attempts=9, timeout=MINUTE))
    given.fail("a", after=50 * SECOND)
    given.pass_time(SECOND)
    given.start("a")
    assert kinds(given.pass_time(9 * SECOND)) == ["TimerFired", "AttemptAbandoned"]
    given.gone("a")
    assert given.phases == {"a": "Failed"}
    assert given.step("a").reason is Reason.TIMED_OUT
    assert given.step("a").message == "step not finished within 60 s"


def test_a_step_timeout_counts_from_the_first_scheduling_and_not_from_acceptance() -> None:
    given = flow(step("first"), step("a", "first", timeout=MINUTE))
    given.succeed("first", after=10 * MINUTE)
    assert given.step("a").deadline == given.now + MINUTE


def test_a_retry_that_would_come_at_the_step_timeout_is_not_begun() -> None:
    given = flow(step("a", attempts=2, timeout=MINUTE))
    given.fail("a", after=59 * SECOND)
    assert given.phases == {"a": "Failed"}
    assert given.step("a").reason is Reason.EXIT_CODE


def test_a_retry_that_comes_just_before_the_step_timeout_is_begun() -> None:
    given = flow(step("a", attempts=2, timeout=MINUTE))
    given.fail("a", after=59 * SECOND - 1)
    assert given.phases == {"a": "Retrying"}


def test_a_step_timeout_ends_a_step_that_waits_for_a_place_after_its_backoff() -> None:
    given = flow(step("a", attempts=2, timeout=MINUTE, allow_failure=True), step("b"), parallelism=1)
    given.fail("a")
    given.pass_time(SECOND)
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "StepFailed"]
    assert given.phases == {"a": "Failed", "b": "Scheduled"}
    assert given.step("a").reason is Reason.TIMED_OUT


def test_a_step_timeout_ends_a_step_that_waits_although_its_last_attempt_was_given_up() -> None:
    given = flow(step("a", attempts=2, timeout=MINUTE, allow_failure=True), step("b"), parallelism=1)
    given.lose("a")
    given.gone("a")
    given.pass_time(SECOND)
    given.pass_time(MINUTE)
    assert given.phases == {"a": "Failed", "b": "Scheduled"}
    assert scheduled(given.succeed("b")) == []


def test_a_step_timeout_holds_for_the_retry_of_an_attempt_that_was_leaving_when_somebody_asked_when_to_wake() -> None:
    given = flow(step("a", attempts=2, timeout=MINUTE))
    given.lose("a")
    assert wake_at(given.state) == given.step("a").deadline
    given.gone("a", after=SECOND)
    given.pass_time(SECOND)
    given.start("a")
    given.pass_time(MINUTE)
    assert given.attempt("a").abandoned is Reason.TIMED_OUT


def test_a_step_timeout_while_its_attempt_leaves_is_recorded_once_and_ends_the_step_when_it_is_gone() -> None:
    given = flow(step("a", attempts=9, timeout=MINUTE))
    given.lose("a")
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired"]
    assert given.pass_time(MINUTE) == []
    assert relevant_timers(fold(given.log)) == relevant_timers(given.state) == []
    given.gone("a")
    assert given.phases == {"a": "Failed"}
    assert given.step("a").reason is Reason.LOST


def test_a_start_timeout_of_an_older_attempt_does_nothing() -> None:
    given = flow(step("a", attempts=2, start_timeout=MINUTE, backoff=NO_WAIT))
    given.fail("a", after=30 * SECOND)
    given.pass_time(0)
    assert given.pass_time(30 * SECOND) == []
    assert kinds(given.pass_time(30 * SECOND)) == ["TimerFired", "AttemptAbandoned"]


def test_an_attempt_timeout_of_an_older_attempt_does_nothing() -> None:
    given = flow(step("a", attempts=2, attempt_timeout=MINUTE, backoff=NO_WAIT))
    given.start("a")
    given.fail("a", after=30 * SECOND)
    given.pass_time(0)
    given.start("a", after=10 * SECOND)
    assert given.pass_time(20 * SECOND) == []


@pytest.mark.parametrize("order", [1, -1])
def test_an_outcome_beats_a_deadline_that_nobody_has_committed(order: int) -> None:
    given = flow(step("a", attempt_timeout=MINUTE))
    given.start("a")
    commands: list[Command] = [given.outcome("a"), FireTimers()]
    assert kinds(given.tell(*commands[::order], after=2 * MINUTE)) == ["StepSucceeded", "WorkflowFinished"]


def test_deadlines_fire_only_when_asked_for() -> None:
    given = flow(step("a", start_timeout=MINUTE))
    assert given.tell(after=2 * MINUTE) == []


def test_deadlines_fire_in_the_order_in_which_they_were_due() -> None:
    given = flow(step("slow", start_timeout=2 * MINUTE), step("fast", start_timeout=MINUTE))
    events = given.pass_time(5 * MINUTE)
    assert [getattr(event, "step", None) for event in events] == ["fast", "fast", "slow", "slow"]


def test_two_deadlines_of_one_step_at_the_same_instant_give_it_up_once() -> None:
    given = flow(step("a", start_timeout=MINUTE, timeout=MINUTE))
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "AttemptAbandoned", "TimerFired"]
    given.gone("a")
    assert given.phases == {"a": "Failed"}


@pytest.mark.parametrize("due", [TIMERS_PER_TURN_MAX, TIMERS_PER_TURN_MAX + 1])
def test_more_deadlines_than_one_turn_takes_are_due_at_once_again(due: int) -> None:
    given = flow(*[step(f"s{number}", start_timeout=MINUTE) for number in range(due)])
    given.pass_time(MINUTE)
    assert len(given.state.leaving) == TIMERS_PER_TURN_MAX
    assert (wake_at(given.state) is None) is (due == TIMERS_PER_TURN_MAX)
    given.pass_time(0)
    assert len(given.state.leaving) == due


# -- the workflow's own ------------------------------------------------------------------------------


def test_a_workflow_timeout_takes_everything_down_and_then_fails_the_run() -> None:
    given = flow(step("a"), step("b", "a"), timeout=MINUTE)
    given.start("a")
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "StepsCancelled", "AttemptAbandoned"]
    assert given.state.phase.value == "Cancelling"
    assert given.phases == {"a": "Running", "b": "Cancelled"}
    given.gone("a")
    assert given.phases["a"] == "Cancelled"
    assert given.end == ("Failed", "TimedOut")


def test_a_workflow_timeout_ends_a_step_that_waits_for_its_retry() -> None:
    given = flow(step("a", attempts=2), timeout=MINUTE)
    given.fail("a", after=MINUTE - SECOND)
    assert given.step("a").retry_at == given.state.deadline
    given.pass_time(SECOND)
    assert given.phases == {"a": "Cancelled"}
    assert given.end == ("Failed", "TimedOut")


def test_a_workflow_timeout_starts_no_step_that_becomes_ready_in_its_turn() -> None:
    given = flow(step("a"), step("b", "a"), timeout=MINUTE)
    assert scheduled(given.tell(given.outcome("a"), FireTimers(), after=MINUTE)) == []
    assert given.phases == {"a": "Succeeded", "b": "Cancelled"}


def test_a_workflow_whose_last_step_has_succeeded_does_not_time_out() -> None:
    given = flow(step("a"), timeout=MINUTE)
    given.tell(given.outcome("a"), FireTimers(), after=2 * MINUTE)
    assert given.end == ("Succeeded", "Completed")


def test_an_attempt_that_left_for_its_own_reason_fails_its_step_without_a_retry_once_the_workflow_timed_out() -> None:
    given = flow(step("a", attempts=9), timeout=MINUTE)
    given.lose("a")
    given.pass_time(MINUTE)
    given.gone("a")
    assert given.phases == {"a": "Failed"}
    assert given.end == ("Failed", "TimedOut")


def test_gone_and_deadline_in_one_turn_count_the_attempt_once() -> None:
    given = flow(step("a", attempts=2, start_timeout=MINUTE, backoff=NO_WAIT))
    given.pass_time(MINUTE)
    given.tell(FireTimers(), ObserveGone(ref=given.ref("a")), after=MINUTE)
    assert len(given.events_of(AttemptFailed)) == 1
    assert len(given.events_of(StepScheduled)) == 2


@pytest.mark.parametrize(("milliseconds", "text"), [(0, "0 s"), (90_000, "90 s"), (1_500, "1.5 s"), (1, "0.001 s")])
def test_a_wait_is_told_in_seconds(milliseconds: int, text: str) -> None:
    assert seconds(milliseconds) == text
