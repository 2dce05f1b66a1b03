"""Another run in the same log: what has succeeded stays done, unless it is asked for again."""

from __future__ import annotations

import pytest

from kipu.core.commands import Reject, RequestRerun
from kipu.core.definition import RunWhen
from kipu.core.events import ShutdownMode, WorkflowRerun
from kipu.core.naming import idempotency_key
from kipu.core.requests import rerun_fault
from tests.core.given import MINUTE, Flow, adoption, approval, flow, kinds, last, scheduled, step


def failed() -> Flow:
    """`a` has succeeded, `b` has failed after it, `c` was skipped."""
    given = flow(step("a"), step("b", "a"), step("c", "b"))
    given.succeed("a")
    given.fail("b")
    assert given.end == ("Failed", "StepFailed")
    return given


def test_what_has_failed_runs_again_and_what_has_succeeded_stays_done() -> None:
    given = failed()
    assert kinds(given.rerun()) == ["WorkflowRerun", "StepScheduled"]
    assert given.phases == {"a": "Succeeded", "b": "Scheduled", "c": "Pending"}
    assert given.state.run == 2
    assert given.step("b").attempts == 1
    given.succeed("b")
    given.succeed("c")
    assert given.end == ("Succeeded", "Completed")


def test_from_has_a_step_and_all_after_it_run_again() -> None:
    given = failed()
    assert scheduled(given.rerun("a")) == ["a"]
    assert given.phases == {"a": "Scheduled", "b": "Pending", "c": "Pending"}


def test_a_run_that_has_succeeded_can_be_run_again_from_a_step() -> None:
    given = flow(step("a"), step("b", "a"), step("other"))
    given.succeed("a", "other")
    given.succeed("b")
    given.rerun("a")
    assert given.phases == {"a": "Scheduled", "b": "Pending", "other": "Succeeded"}


def test_what_rests_on_a_step_that_runs_again_does_so_too() -> None:
    given = flow(step("a"), step("report", "a", run_when=RunWhen.ALL_FINISHED))
    given.fail("a")
    given.succeed("report")
    given.rerun()
    assert given.phases == {"a": "Scheduled", "report": "Pending"}


def test_finally_runs_again() -> None:
    given = flow(step("a"), last("notify"))
    given.succeed("a")
    given.succeed("notify")
    assert kinds(given.rerun()) == ["WorkflowRerun", "FinallyStarted", "StepScheduled"]
    assert given.phases == {"a": "Succeeded", "notify": "Scheduled"}


def test_a_run_is_opened_once_and_only_after_the_one_before_it() -> None:
    given = flow(step("a"))
    assert given.rerun() == []
    given.fail("a")
    assert kinds(given.rerun()) == ["WorkflowRerun", "StepScheduled"]
    assert given.rerun() == []
    assert len(given.events_of(WorkflowRerun)) == 1


def test_a_run_opens_in_the_very_turn_in_which_the_last_one_ends() -> None:
    given = flow(step("a"))
    given.tell(given.outcome("a"), RequestRerun(number=2, from_=("a",)))
    assert kinds(given.last) == ["StepSucceeded", "WorkflowFinished", "WorkflowRerun", "StepScheduled"]


def test_the_shutdown_of_the_old_run_does_not_count_in_the_new_one() -> None:
    given = flow(step("a"))
    given.shut_down(ShutdownMode.TERMINATE)
    given.gone("a")
    given.rerun()
    assert given.shut_down(ShutdownMode.CANCEL) == []
    assert kinds(given.shut_down(ShutdownMode.CANCEL, run=2)) == ["ShutdownRequested", "AttemptAbandoned"]


def test_a_new_run_has_a_deadline_of_its_own() -> None:
    given = flow(step("a"), timeout=MINUTE)
    given.pass_time(MINUTE)
    given.gone("a")
    given.rerun()
    assert given.pass_time(MINUTE - 1) == []
    assert "TimerFired" in kinds(given.pass_time(1))


def test_a_new_run_begins_suspended_if_the_workflow_is() -> None:
    given = failed()
    assert kinds(given.rerun(suspended=True)) == ["WorkflowRerun", "WorkflowSuspended"]
    assert given.state.phase.value == "Suspended"


def test_a_suspension_of_the_old_run_ends_with_it() -> None:
    given = flow(step("a"))
    given.suspend()
    given.fail("a")
    assert kinds(given.rerun()) == ["WorkflowRerun", "WorkflowResumed", "StepScheduled"]


def test_an_answer_of_the_old_run_is_none_in_the_new_one() -> None:
    given = flow(approval("publish"))
    given.answer("publish")
    given.rerun("publish")
    assert given.answer("publish", run=1) == []
    given.answer("publish", run=2)
    assert given.end == ("Succeeded", "Completed")


def test_news_of_an_attempt_of_the_old_run_changes_nothing() -> None:
    given = failed()
    old = given.outcome("b")
    given.rerun()
    assert given.tell(old) == []


def test_an_adopted_step_stays_adopted() -> None:
    given = flow(step("a"), step("b", "a"), adopt=adoption("a"))
    given.fail("b")
    given.rerun()
    assert given.phases == {"a": "Succeeded", "b": "Scheduled"}


def test_a_step_has_another_key_only_once_a_success_of_it_was_given_up() -> None:
    given = failed()
    given.rerun("a")
    assert (given.step("a").redone, given.step("b").redone) == (1, 0)
    uid = "4a1f0a52-0000-4000-8000-000000000001"
    keys = {idempotency_key(workflow_uid=uid, step="a", redone=redone) for redone in (0, 1, 2)}
    assert len(keys) == 3
    assert idempotency_key(workflow_uid=uid, step="a") in keys


@pytest.mark.parametrize(
    ("number", "begins", "fault"),
    [
        (1, ("nobody",), ""),
        (2, (), ""),
        (3, (), "spec.rerun.number is 3, but run 1 is the newest: the next is 2"),
        (2, ("a", "d"), "spec.rerun.from[1]: there is no step 'd'"),
        (2, ("notifi",), "spec.rerun.from[0]: there is no step 'notifi': did you mean 'notify'?"),
        (2, ("notify",), "spec.rerun.from[0]: step 'notify' is one of finally, which runs again in any case"),
    ],
)
def test_a_run_that_cannot_be_opened_is_refused_with_a_reason(number: int, begins: tuple[str, ...], fault: str) -> None:
    given = flow(step("a"), last("notify"))
    given.fail("a")
    given.succeed("notify")
    assert rerun_fault(given.state, RequestRerun(number=number, from_=begins)) == fault
    opens = number == 2 and not fault
    assert bool(given.rerun(*begins, number=number)) is opens


def test_a_rejected_workflow_is_not_run_again() -> None:
    given = Flow(None)
    given.tell(Reject(spec_hash="hash", problems=()))
    assert "was rejected" in rerun_fault(given.state, RequestRerun(number=1))
    assert given.rerun(number=1) == []
