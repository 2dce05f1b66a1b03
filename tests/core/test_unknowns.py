"""External steps: never run again in silence, and a person's word on what nobody knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kipu.core import unknowns
from kipu.core.commands import AttemptRef, ObserveGone, ResolveUnknown
from kipu.core.definition import Effects, OnFailure, OnUnknown, Step
from kipu.core.effects import EnsureJob, EnsureNoJob, EnsureReleased, effects
from kipu.core.events import AttemptUnknown, Reason, Resolution, UnknownResolved
from tests.core.given import MINUTE, Flow, flow, kinds, scheduled, step


def external(name: str = "pay", *, on_unknown: OnUnknown = OnUnknown.ASK, **fields: Any) -> Step:
    return replace(step(name, **fields), effects=Effects.EXTERNAL, on_unknown=on_unknown)


def lost(**fields: Any) -> Flow:
    """Its Job was deleted while it ran, and is gone for good."""
    run = flow(external(**fields), step("after", "pay"))
    run.start("pay")
    run.lose("pay")
    run.gone("pay")
    return run


def say(run: Flow, decision: Resolution, *, attempt: int | None = None, by: str = "ann") -> list[str]:
    return kinds(run.tell(ResolveUnknown(ref=run.ref("pay", attempt), decision=decision, by=by)))


def test_its_job_may_run_only_once_its_uid_is_recorded() -> None:
    run = flow(external())
    assert [type(each) for each in effects(run.state)] == [EnsureJob]
    run.start("pay")
    (released,) = effects(run.state)
    assert isinstance(released, EnsureReleased)
    assert released.job_uid == "uid-pay"
    run.lose("pay")
    assert [type(each) for each in effects(run.state)] == [EnsureNoJob]


@pytest.mark.parametrize("reason", [Reason.LOST, Reason.DISRUPTED, Reason.POD_FAILED])
def test_an_end_without_the_programs_word_is_unknown_whatever_the_retry_says(reason: Reason) -> None:
    run = flow(external(attempts=5))
    run.start("pay")
    run.fail("pay", reason=reason, exit_code=None)
    assert run.phases == {"pay": "Unknown"}
    assert [event.reason for event in run.events_of(AttemptUnknown)] == [reason]
    assert not run.pass_time(60 * MINUTE)
    assert not run.state.is_terminal


def test_an_attempt_that_ran_out_of_time_may_have_done_its_work() -> None:
    run = flow(external(attempts=5, attempt_timeout=MINUTE))
    run.start("pay")
    run.pass_time(MINUTE)
    run.gone("pay")
    assert run.phases == {"pay": "Unknown"}


def test_an_exit_code_is_the_programs_own_word() -> None:
    run = flow(external(attempts=2))
    run.start("pay")
    run.fail("pay", exit_code=1)
    assert run.phases == {"pay": "Retrying"}


def test_what_never_began_is_tried_again() -> None:
    run = flow(external(attempts=2))
    run.lose("pay")
    run.gone("pay")
    assert run.phases == {"pay": "Retrying"}


@pytest.mark.parametrize(("policy", "phase"), [(OnUnknown.FAIL, "Failed"), (OnUnknown.RETRY, "Retrying")])
def test_the_policy_may_decide_beforehand(policy: OnUnknown, phase: str) -> None:
    run = flow(external(on_unknown=policy, attempts=2))
    run.start("pay")
    run.lose("pay")
    run.gone("pay")
    assert run.phases == {"pay": phase}
    assert run.state.is_terminal is (phase == "Failed")


def test_somebody_says_that_it_has_done_its_work() -> None:
    run = lost()
    assert say(run, Resolution.SUCCEED) == ["UnknownResolved", "StepCompleted", "StepScheduled"]
    assert run.phases == {"pay": "Succeeded", "after": "Scheduled"}
    assert [event.by for event in run.events_of(UnknownResolved)] == ["ann"]


def test_somebody_says_that_it_has_failed() -> None:
    run = lost(attempts=5)
    say(run, Resolution.FAIL)
    assert run.phases == {"pay": "Failed", "after": "Skipped"}
    assert run.step("pay").reason is Reason.UNKNOWN
    assert run.end == ("Failed", "StepFailed")


def test_somebody_says_that_it_is_to_be_tried_again_beyond_what_the_retry_allows() -> None:
    run = lost(attempts=1)
    say(run, Resolution.RETRY)
    assert scheduled(run.pass_time(0)) == ["pay"]
    assert run.attempt("pay").number == 2


def test_no_word_goes_beyond_the_bound_of_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknowns, "ATTEMPTS_MAX", 3)  # of 100, which take long
    run = lost()
    for _ in range(2):
        say(run, Resolution.RETRY)
        run.pass_time(0)
        run.start("pay")
        run.lose("pay")
        run.gone("pay")
    say(run, Resolution.RETRY)
    assert run.phases["pay"] == "Failed"


def test_no_word_goes_beyond_the_time_of_the_step() -> None:
    """Its attempt was given up because that was over: another one would have no bound."""
    run = flow(external(timeout=MINUTE), step("after", "pay"))
    run.start("pay")
    run.pass_time(MINUTE)
    run.gone("pay")
    assert run.phases["pay"] == "Unknown"
    say(run, Resolution.RETRY)
    assert run.phases["pay"] == "Failed"


def test_a_word_that_is_late_or_about_another_attempt_says_nothing() -> None:
    run = lost()
    assert say(run, Resolution.SUCCEED, attempt=2) == []
    assert kinds(run.tell(ResolveUnknown(ref=AttemptRef(run=2, step="pay", attempt=1), decision=Resolution.FAIL))) == []
    assert kinds(run.tell(ResolveUnknown(ref=AttemptRef(run=1, step="?", attempt=1), decision=Resolution.FAIL))) == []
    assert say(run, Resolution.SUCCEED)
    assert say(run, Resolution.FAIL) == []
    assert run.tell(ObserveGone(ref=run.ref("pay"))) == []


def test_while_a_word_is_waited_for_the_steps_own_time_runs_on() -> None:
    run = lost(timeout=MINUTE)
    run.pass_time(MINUTE)
    assert run.phases["pay"] == "Failed"
    assert "not finished within" in run.step("pay").message


def test_a_shutdown_ends_the_waiting() -> None:
    run = lost()
    run.shut_down()
    assert run.phases == {"pay": "Cancelled", "after": "Cancelled"}
    assert run.end == ("Cancelled", "Shutdown")


def test_a_failure_that_cancels_what_runs_ends_the_waiting_too() -> None:
    run = flow(external(), step("other"), on_failure=OnFailure.CANCEL_RUNNING)
    run.start("pay", "other")
    run.lose("pay")
    run.gone("pay")
    run.fail("other")
    assert run.phases == {"pay": "Cancelled", "other": "Failed"}
