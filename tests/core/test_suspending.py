"""A run that is asked to wait: nothing new starts, what runs goes on, time passes all the same."""

from __future__ import annotations

from kipu.core.commands import Accept, SetSuspended
from kipu.core.decide import wants_turn
from kipu.core.definition import Definition
from kipu.core.events import WorkflowSuspended
from tests.core.given import MINUTE, SECOND, Flow, flow, kinds, scheduled, step


def test_nothing_new_starts_until_the_run_is_resumed() -> None:
    given = flow(step("a"), step("b", "a"))
    assert kinds(given.suspend()) == ["WorkflowSuspended"]
    assert given.state.phase.value == "Suspended"
    assert kinds(given.succeed("a")) == ["StepSucceeded"]
    assert not wants_turn(given.state, given.slots)
    assert scheduled(given.suspend(False)) == ["b"]
    assert given.state.phase.value == "Running"


def test_a_workflow_that_is_created_suspended_starts_nothing() -> None:
    given = Flow(None)
    accept = Accept(spec_hash="hash", definition=Definition(steps=(step("a"),)))
    assert kinds(given.tell(accept, SetSuspended(suspended=True))) == ["WorkflowAccepted", "WorkflowSuspended"]
    given.suspend(False)
    assert given.phases == {"a": "Scheduled"}


def test_to_say_it_twice_is_no_news() -> None:
    given = flow(step("a"))
    assert given.suspend(False) == []
    given.suspend()
    assert given.suspend() == []
    assert len(given.events_of(WorkflowSuspended)) == 1


def test_a_retry_waits_for_the_resumption_too() -> None:
    given = flow(step("a", attempts=2))
    given.suspend()
    given.fail("a")
    assert kinds(given.pass_time(SECOND)) == ["TimerFired"]
    assert scheduled(given.suspend(False)) == ["a"]


def test_timeouts_go_on_while_a_run_is_suspended() -> None:
    given = flow(step("a"), step("b", "a"), timeout=MINUTE)
    given.suspend()
    given.succeed("a")
    given.pass_time(MINUTE)
    assert given.end == ("Failed", "TimedOut")


def test_a_suspended_run_can_be_cancelled() -> None:
    given = flow(step("a"), step("b", "a"))
    given.suspend()
    given.shut_down()
    assert given.state.phase.value == "Cancelling"
    given.gone("a")
    assert given.end == ("Cancelled", "Shutdown")


def test_a_suspended_run_ends_if_there_is_nothing_left_to_start() -> None:
    given = flow(step("a"))
    given.suspend()
    given.succeed("a")
    assert given.end == ("Succeeded", "Completed")
