"""When a failed attempt is tried again: the budget, the backoff and its jitter, and what is never retried."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from kipu.core import policies
from kipu.core.definition import ATTEMPTS_MAX, DISRUPTIONS_MAX, Backoff, Jitter, RunWhen
from kipu.core.events import Reason, StepScheduled
from kipu.core.lifecycle import StepPhase
from tests.core.given import MINUTE, ONE_SECOND, SECOND, Flow, flow, kinds, scheduled, step
from tests.core.laws import LAW

NO_WAIT = Backoff(initial_ms=0, jitter=Jitter.NONE)
FULL = Backoff(initial_ms=10 * SECOND, factor=3, max_ms=MINUTE, jitter=Jitter.FULL)


def test_without_a_budget_the_first_failure_is_final() -> None:
    given = flow(step("a"))
    assert kinds(given.fail("a")) == ["AttemptFailed", "StepFailed", "WorkflowFinished"]
    assert given.step("a").exit_code == 1


def test_the_budget_counts_the_first_attempt() -> None:
    given = flow(step("a", attempts=3))
    for attempt in (1, 2):
        assert kinds(given.fail("a")) == ["AttemptFailed"]
        assert given.phases == {"a": "Retrying"}
        assert given.step("a").failures == attempt
        given.pass_time(MINUTE)
    given.fail("a")
    assert given.phases == {"a": "Failed"}
    assert given.step("a").attempts == 3


def test_the_next_attempt_waits_for_its_backoff_and_no_longer() -> None:
    given = flow(step("a", attempts=2))
    given.fail("a")
    assert given.step("a").retry_at == given.now + SECOND
    assert given.pass_time(SECOND - 1) == []
    assert kinds(given.pass_time(1)) == ["TimerFired", "StepScheduled"]
    assert given.step("a").attempts == 2


def test_each_attempt_has_a_job_of_its_own() -> None:
    given = flow(step("a", attempts=2))
    first = given.attempt("a").job
    given.fail("a")
    given.pass_time(SECOND)
    assert given.attempt("a").job != first


def test_a_retry_that_has_waited_takes_a_free_place_only() -> None:
    given = flow(step("a", attempts=2), step("b"), parallelism=1)
    assert scheduled(given.fail("a")) == ["b"]
    assert kinds(given.pass_time(SECOND)) == ["TimerFired"]
    assert given.phases == {"a": "Retrying", "b": "Scheduled"}
    assert scheduled(given.succeed("b")) == ["a"]


def test_the_backoff_grows_by_its_factor_up_to_its_cap() -> None:
    waits = [policies.backoff_ms(ONE_SECOND, number, keys=()) for number in range(1, 7)]
    assert waits == [1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND]


def test_the_first_wait_is_capped_too() -> None:
    assert policies.backoff_ms(Backoff(initial_ms=90, max_ms=50, jitter=Jitter.NONE), 1, keys=()) == 50


def test_a_factor_of_one_waits_evenly() -> None:
    steady = Backoff(initial_ms=7, factor=1, max_ms=50, jitter=Jitter.NONE)
    assert {policies.backoff_ms(steady, number, keys=()) for number in range(1, ATTEMPTS_MAX)} == {7}


@LAW
@hypothesis.given(st.integers(1, ATTEMPTS_MAX), st.text(max_size=5))
def test_full_jitter_stays_between_nothing_and_the_backoff(failed: int, key: str) -> None:
    plain = Backoff(initial_ms=FULL.initial_ms, factor=FULL.factor, max_ms=FULL.max_ms, jitter=Jitter.NONE)
    wait = policies.backoff_ms(FULL, failed, keys=(key,))
    assert 0 <= wait <= policies.backoff_ms(plain, failed, keys=(key,))
    assert wait == policies.backoff_ms(FULL, failed, keys=(key,))


def test_full_jitter_spreads_over_the_whole_backoff() -> None:
    waits = [policies.backoff_ms(FULL, 1, keys=(str(number),)) for number in range(1_000)]
    tenths = [0] * 10
    for wait in waits:
        tenths[min(9, wait * 10 // FULL.initial_ms)] += 1
    assert min(tenths) > 60  # 100 expected in each; a fair draw falls under 60 with probability below 1e-5


def test_the_jitter_is_the_same_in_a_second_life() -> None:
    lives = [flow(step("a", attempts=2, backoff=FULL)) for _ in range(2)]
    for life in lives:
        life.fail("a")
    assert lives[0].step("a").retry_at == lives[1].step("a").retry_at
    assert lives[0].log == lives[1].log


def test_every_attempt_of_every_step_draws_its_own_jitter() -> None:
    even = Backoff(initial_ms=10**9, factor=1, max_ms=10**9, jitter=Jitter.FULL)
    given = flow(step("a", attempts=9, backoff=even), step("b", attempts=9, backoff=even))
    waits = set()
    for _ in range(5):
        given.fail("a", "b")
        waits |= {(given.step(name).retry_at or 0) - given.now for name in ("a", "b")}
        given.pass_time(10**9)
    assert len(waits) == 10


def test_an_exit_code_that_is_named_final_is_not_retried() -> None:
    given = flow(step("a", attempts=3, final_codes=(2, 3)))
    given.fail("a", exit_code=3)
    assert given.phases == {"a": "Failed"}
    other = flow(step("a", attempts=3, final_codes=(2, 3)))
    other.fail("a", exit_code=1)
    assert other.phases == {"a": "Retrying"}


def test_a_disruption_is_not_the_programs_word_so_its_exit_code_decides_nothing() -> None:
    given = flow(step("a", attempts=2, final_codes=(143,)))
    given.fail("a", reason=Reason.DISRUPTED, exit_code=143)
    assert given.phases == {"a": "Retrying"}


@pytest.mark.parametrize("reason", [Reason.INVALID_JOB, Reason.JOB_NAME_TAKEN])
def test_what_another_try_cannot_mend_is_not_retried(reason: Reason) -> None:
    given = flow(step("a", attempts=3))
    assert kinds(given.refuse("a", reason)) == ["AttemptFailed", "StepFailed", "WorkflowFinished"]
    assert given.step("a").reason is reason


@pytest.mark.parametrize("reason", [Reason.OUT_OF_MEMORY, Reason.LOST, Reason.POD_FAILED, Reason.EXIT_CODE])
def test_what_another_try_may_mend_is_retried(reason: Reason) -> None:
    given = flow(step("a", attempts=2))
    given.fail("a", reason=reason, exit_code=None)
    assert given.phases == {"a": "Retrying"}


def test_disruptions_do_not_use_up_the_budget() -> None:
    given = flow(step("a", attempts=2))
    given.fail("a", reason=Reason.DISRUPTED)
    given.pass_time(MINUTE)
    assert (given.step("a").failures, given.step("a").disruptions) == (0, 1)
    given.fail("a")
    assert given.phases == {"a": "Retrying"}
    given.pass_time(MINUTE)
    given.fail("a")
    assert given.phases == {"a": "Failed"}


def test_even_disruptions_end() -> None:
    given = flow(step("a"))
    for _ in range(DISRUPTIONS_MAX):
        given.fail("a", reason=Reason.DISRUPTED)
        assert given.phases == {"a": "Retrying"}
        given.pass_time(MINUTE)
    given.fail("a", reason=Reason.DISRUPTED)
    assert given.phases == {"a": "Failed"}
    assert given.step("a").attempts == DISRUPTIONS_MAX + 1


@pytest.mark.proof
def test_no_step_has_more_attempts_than_its_records_are_bounded_for() -> None:
    given = flow(step("a", attempts=ATTEMPTS_MAX + 50, backoff=NO_WAIT))
    while given.step("a").phase is not StepPhase.FAILED:
        given.fail("a")
        given.pass_time(0)
    assert given.step("a").attempts == ATTEMPTS_MAX


def test_success_after_a_retry_forgets_the_failure_and_keeps_the_count() -> None:
    given = flow(step("a", attempts=2))
    given.fail("a", exit_code=7)
    given.pass_time(SECOND)
    given.succeed("a")
    succeeded = given.step("a")
    assert (succeeded.phase, succeeded.exit_code, succeeded.reason, succeeded.attempts) == ("Succeeded", 0, None, 2)


def test_a_step_that_waits_for_its_retry_has_not_failed_for_others() -> None:
    given = flow(step("a", attempts=2), step("b", "a", run_when=RunWhen.ALL_FINISHED))
    given.fail("a")
    assert given.phases["b"] == "Pending"


def test_a_backoff_timer_of_an_older_attempt_does_nothing() -> None:
    given = flow(step("a", attempts=3, backoff=NO_WAIT))
    _fail_and_retry(given)
    _fail_and_retry(given)
    assert [event.attempt for event in given.events_of(StepScheduled)] == [1, 2, 3]
    assert given.pass_time(MINUTE) == []


def _fail_and_retry(given: Flow) -> None:
    given.fail("a")
    given.pass_time(0)
