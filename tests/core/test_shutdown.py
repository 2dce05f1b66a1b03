"""A run that is asked to end: what is taken down, what is kept from starting, and when it is over."""

from __future__ import annotations

import pytest

from kipu.core.commands import Accept, Command, FireTimers, RequestShutdown
from kipu.core.definition import Definition, OnFailure
from kipu.core.events import Reason, ShutdownMode, ShutdownRequested
from kipu.core.turn import ATTEMPTS_PER_TURN_MAX, NAMES_PER_TURN_MAX
from tests.core.given import MINUTE, SECOND, Flow, flow, kinds, scheduled, step

DRAIN, CANCEL, TERMINATE = ShutdownMode.DRAIN, ShutdownMode.CANCEL, ShutdownMode.TERMINATE


@pytest.mark.parametrize("mode", [CANCEL, TERMINATE])
def test_a_shutdown_takes_running_attempts_down_and_cancels_the_rest(mode: ShutdownMode) -> None:
    given = flow(step("a"), step("b", attempts=2), step("c", "a"))
    given.start("a")
    given.fail("b")
    assert kinds(given.shut_down(mode)) == ["ShutdownRequested", "StepsCancelled", "AttemptAbandoned"]
    assert given.phases == {"a": "Running", "b": "Cancelled", "c": "Cancelled"}
    assert given.state.phase.value == "Cancelling"
    assert kinds(given.gone("a")) == ["StepsCancelled", "WorkflowFinished"]
    assert given.phases["a"] == "Cancelled"


def test_a_shutdown_before_anything_started_ends_the_run_at_once() -> None:
    given = flow(step("a"), step("b", "a"), slots=0)
    given.shut_down()
    assert given.phases == {"a": "Cancelled", "b": "Cancelled"}
    assert given.end == ("Cancelled", "Shutdown")


def test_a_shutdown_asked_for_together_with_the_acceptance_starts_nothing() -> None:
    accept = Accept(spec_hash="hash", definition=Definition(steps=(step("a"),)))
    given = Flow(None)
    given.tell(RequestShutdown(run=1, mode=CANCEL), accept)
    assert scheduled(given.last) == []
    assert given.end == ("Cancelled", "Shutdown")


@pytest.mark.parametrize("run", [0, 1])
def test_a_shutdown_before_the_acceptance_is_not_recorded(run: int) -> None:
    assert Flow(None).tell(RequestShutdown(run=run, mode=CANCEL)) == []


@pytest.mark.parametrize("run", [0, 2])
def test_a_shutdown_of_another_run_is_ignored(run: int) -> None:
    given = flow(step("a"))
    assert given.shut_down(run=run) == []


def test_a_shutdown_may_only_escalate() -> None:
    given = flow(step("a"))
    given.shut_down(CANCEL)
    assert given.shut_down(CANCEL) == []
    assert kinds(given.shut_down(TERMINATE)) == ["ShutdownRequested"]
    assert given.shut_down(CANCEL) == []
    assert [event.mode for event in given.events_of(ShutdownRequested)] == [CANCEL, TERMINATE]
    assert given.state.shutdown is TERMINATE


def test_a_drain_lets_running_attempts_end_and_cancels_the_rest() -> None:
    given = flow(step("a"), step("b", attempts=2), step("c", "a"))
    given.start("a")
    given.fail("b")
    assert kinds(given.shut_down(DRAIN)) == ["ShutdownRequested", "StepsCancelled"]
    assert given.phases == {"a": "Running", "b": "Cancelled", "c": "Cancelled"}
    assert given.state.phase.value == "Cancelling"
    assert kinds(given.succeed("a")) == ["StepSucceeded", "WorkflowFinished"]
    assert given.end == ("Cancelled", "Shutdown")


def test_a_drain_that_kept_nothing_from_happening_changes_no_end() -> None:
    given = flow(step("a"))
    given.shut_down(DRAIN)
    given.succeed("a")
    assert given.end == ("Succeeded", "Completed")


def test_an_attempt_that_fails_in_a_drain_is_not_tried_again() -> None:
    given = flow(step("a", attempts=9))
    given.shut_down(DRAIN)
    assert kinds(given.fail("a")) == ["AttemptFailed", "StepFailed", "WorkflowFinished"]
    assert given.end == ("Cancelled", "Shutdown")


def test_the_timeouts_of_what_runs_go_on_in_a_drain() -> None:
    given = flow(step("a", timeout=MINUTE), step("b", "a"))
    given.start("a")
    given.shut_down(DRAIN)
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "AttemptAbandoned"]
    given.gone("a")
    assert given.phases["a"] == "Failed"
    assert given.end == ("Cancelled", "Shutdown")


def test_a_workflow_that_times_out_in_a_drain_is_taken_down_and_has_failed() -> None:
    given = flow(step("a"), step("b", "a"), timeout=MINUTE)
    given.shut_down(DRAIN)
    assert kinds(given.pass_time(MINUTE)) == ["TimerFired", "AttemptAbandoned"]
    given.gone("a")
    assert given.end == ("Failed", "TimedOut")


@pytest.mark.parametrize("mode", [CANCEL, TERMINATE])
def test_a_drain_may_become_a_cancel_or_a_termination(mode: ShutdownMode) -> None:
    given = flow(step("a"), step("b", "a"))
    given.shut_down(DRAIN)
    assert kinds(given.shut_down(mode)) == ["ShutdownRequested", "AttemptAbandoned"]
    assert given.shut_down(DRAIN) == []
    given.gone("a")
    assert given.end == ("Cancelled", "Shutdown")


def test_a_failure_in_a_drain_takes_others_down_where_it_is_said_so() -> None:
    given = flow(step("a"), step("b"), on_failure=OnFailure.CANCEL_RUNNING)
    given.shut_down(DRAIN)
    assert kinds(given.fail("a")) == ["AttemptFailed", "StepFailed", "AttemptAbandoned"]
    given.gone("b")
    assert given.end == ("Cancelled", "Shutdown")


def test_an_attempt_that_is_being_taken_down_has_no_success_any_more() -> None:
    given = flow(step("a"))
    given.shut_down()
    assert kinds(given.succeed("a")) == ["LateResultIgnored"]
    assert given.succeed("a") == []
    given.gone("a")
    assert given.phases == {"a": "Cancelled"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_shutdown_in_the_turn_of_the_last_success_comes_too_late(order: int) -> None:
    given = flow(step("a"))
    commands: list[Command] = [given.outcome("a"), RequestShutdown(run=1, mode=CANCEL)]
    assert kinds(given.tell(*commands[::order])) == ["StepSucceeded", "WorkflowFinished"]
    assert given.end == ("Succeeded", "Completed")


def test_a_shutdown_in_the_turn_of_the_failure_that_ends_the_run_comes_too_late() -> None:
    given = flow(step("a"), step("b", "a"))
    given.tell(given.outcome("a", reason=Reason.EXIT_CODE), RequestShutdown(run=1, mode=CANCEL))
    assert given.phases == {"a": "Failed", "b": "Skipped"}
    assert given.end == ("Failed", "StepFailed")


def test_a_shutdown_in_the_turn_of_a_success_that_would_go_on_takes_effect() -> None:
    given = flow(step("a"), step("b", "a"))
    given.tell(given.outcome("a"), RequestShutdown(run=1, mode=CANCEL))
    assert given.phases == {"a": "Succeeded", "b": "Cancelled"}
    assert given.end == ("Cancelled", "Shutdown")


def test_a_shutdown_beats_a_workflow_timeout_of_the_same_turn() -> None:
    given = flow(step("a"), timeout=MINUTE)
    given.tell(FireTimers(), RequestShutdown(run=1, mode=CANCEL), after=MINUTE)
    given.gone("a")
    assert given.end == ("Cancelled", "Shutdown")


def test_a_shutdown_after_the_workflow_timed_out_is_recorded_and_the_run_stays_failed() -> None:
    given = flow(step("a"), timeout=MINUTE)
    given.pass_time(MINUTE)
    assert kinds(given.shut_down()) == ["ShutdownRequested"]
    given.gone("a")
    assert given.end == ("Failed", "TimedOut")


def test_no_deadline_matters_any_more_after_a_shutdown() -> None:
    given = flow(step("a", start_timeout=MINUTE, timeout=MINUTE), timeout=MINUTE)
    given.shut_down()
    assert given.pass_time(2 * MINUTE) == []


def test_an_attempt_that_left_for_its_own_reason_is_not_retried_after_a_shutdown() -> None:
    given = flow(step("a", attempts=9))
    given.lose("a")
    given.shut_down()
    given.gone("a")
    assert given.phases == {"a": "Failed"}
    assert given.end == ("Cancelled", "Shutdown")


def test_a_step_whose_backoff_ends_in_the_turn_of_the_shutdown_is_cancelled() -> None:
    given = flow(step("a", attempts=2))
    given.fail("a")
    given.tell(FireTimers(), RequestShutdown(run=1, mode=CANCEL), after=SECOND)
    assert given.phases == {"a": "Cancelled"}


def test_a_wide_run_is_taken_down_window_by_window() -> None:
    count = ATTEMPTS_PER_TURN_MAX + 1
    given = flow(*[step(f"s{number}") for number in range(count)])
    given.settle()
    given.shut_down()
    assert len(given.state.leaving) == ATTEMPTS_PER_TURN_MAX
    given.settle()
    assert len(given.state.leaving) == count


def test_a_run_with_many_steps_left_is_cancelled_turn_by_turn() -> None:
    given = flow(*[step(f"s{number}") for number in range(NAMES_PER_TURN_MAX + 1)], slots=0)
    given.shut_down()
    assert not given.state.is_terminal
    given.settle()
    assert given.end == ("Cancelled", "Shutdown")
