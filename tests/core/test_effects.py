"""What the world should hold, read off the state: the same after a restart as before it."""

from __future__ import annotations

from kipu.core.commands import AttemptRef, Reject
from kipu.core.definition import RunWhen
from kipu.core.effects import EnsureJob, EnsureNoJob, Notify, effects, notices, touched, wake_at
from kipu.core.errors import Problem
from kipu.core.events import Reason, StepStarted
from kipu.core.evolve import fold
from kipu.core.state import State
from tests.core.given import MINUTE, SECOND, Flow, flow, step


def test_a_scheduled_attempt_should_have_its_job() -> None:
    given = flow(step("a"))
    assert effects(given.state) == [
        EnsureJob(ref=AttemptRef(run=1, step="a", attempt=1), job=given.attempt("a").job, position=2)
    ]


def test_an_attempt_that_was_seen_running_needs_nothing() -> None:
    given = flow(step("a"))
    given.start("a")
    assert effects(given.state) == []


def test_an_attempt_that_was_given_up_should_leave_nothing_running_under_the_intent_that_made_it() -> None:
    given = flow(step("a"))
    given.start("a")
    given.lose("a")
    assert effects(given.state) == [
        EnsureNoJob(ref=AttemptRef(run=1, step="a", attempt=1), job=given.attempt("a").job, position=2)
    ]


def test_steps_without_an_attempt_under_way_ask_for_nothing() -> None:
    given = flow(step("done"), step("waits", attempts=2), step("later", "waits"))
    given.succeed("done")
    given.fail("waits")
    assert effects(given.state) == []
    assert effects(given.state, ["done", "waits", "later", "nobody"]) == []


def test_a_turn_asks_only_for_the_steps_it_touched_each_once() -> None:
    given = flow(step("a"), step("b"), step("c", "a"))
    events = given.tell(given.started("a"), given.outcome("a"))
    assert touched(events) == ["a", "c"]
    assert effects(given.state, touched(events)) == [
        EnsureJob(ref=given.ref("c"), job=given.attempt("c").job, position=given.attempt("c").position)
    ]


def test_a_restart_asks_for_the_same_effects_in_the_same_order() -> None:
    given = flow(step("a"), step("b"), step("c"), step("d"))
    given.start("b")
    given.lose("c")
    given.lose("a")
    assert effects(fold(given.log)) == effects(given.state)
    assert [type(effect).__name__ for effect in effects(given.state)] == ["EnsureJob", "EnsureNoJob", "EnsureNoJob"]


def test_the_next_waking_is_the_earliest_deadline_that_still_guards_something() -> None:
    given = flow(step("a", start_timeout=MINUTE), step("b", start_timeout=2 * MINUTE), timeout=5 * MINUTE)
    began = given.now
    assert wake_at(given.state) == began + MINUTE
    given.start("a")
    assert wake_at(given.state) == began + 2 * MINUTE
    given.succeed("b")
    assert wake_at(given.state) == began + 5 * MINUTE
    given.shut_down()
    assert wake_at(given.state) is None


def test_nothing_is_waited_for_where_nothing_is_due() -> None:
    assert wake_at(State()) is None
    assert wake_at(flow(step("a")).state) is None


def test_the_wait_for_a_retry_is_a_waking() -> None:
    given = flow(step("a", attempts=2))
    given.fail("a")
    assert wake_at(given.state) == given.now + SECOND


# -- notices -----------------------------------------------------------------------------------------


def told(given: Flow) -> list[tuple[int, bool, str, str]]:
    events = [event for event, _ in given.log]
    return [(note.position, note.warning, note.reason, note.message) for note in notices(events, 1)]


def test_people_are_told_of_the_start_the_retry_the_failure_and_the_end() -> None:
    given = flow(step("a", attempts=2), step("undo", "a", run_when=RunWhen.ANY_FAILED))
    given.start("a")
    given.tell(given.outcome("a", reason=Reason.EXIT_CODE, message="1"))
    given.pass_time(SECOND)
    given.tell(given.outcome("a", reason=Reason.OUT_OF_MEMORY, message="137"))
    given.succeed("undo")
    assert told(given) == [
        (1, False, "WorkflowAccepted", "2 steps accepted"),
        (3, False, "StepStarted", "step 'a' attempt 1 runs in pod pod"),
        (4, True, "StepRetrying", "step 'a' attempt 1 failed (ExitCode): 1"),
        (8, True, "StepFailed", "step 'a' failed (OOMKilled): 137"),
        (11, True, "WorkflowFailed", "Failed: step 'a' failed (OOMKilled): 137"),
    ]


def test_a_good_end_is_no_warning() -> None:
    given = flow(step("a"))
    given.succeed("a")
    assert told(given) == [
        (1, False, "WorkflowAccepted", "1 step accepted"),
        (4, False, "WorkflowSucceeded", "Succeeded"),
    ]


def test_a_rejection_tells_every_problem() -> None:
    given = Flow(None)
    given.tell(Reject(spec_hash="h", problems=(Problem(path="a", reason="b"), Problem(path="c", reason="d", hint="e"))))
    assert told(given) == [(1, True, "WorkflowRejected", "a: b; c: d (e)")]


def test_a_start_without_a_known_pod_names_none() -> None:
    started = StepStarted(run=1, step="a", attempt=1, job_uid="u", started_at=1)
    assert notices([started], 7) == [
        Notify(position=7, warning=False, reason="StepStarted", message="step 'a' attempt 1 runs")
    ]
