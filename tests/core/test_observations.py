"""What is seen late, twice or out of order changes nothing: the first terminal outcome of an attempt stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kipu.core.commands import (
    AttemptRef,
    Command,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveRefused,
    ObserveStarted,
)
from kipu.core.events import Reason, StepSucceeded
from tests.core.given import SECOND, Flow, flow, kinds, step


def observations(ref: AttemptRef) -> list[Command]:
    return [
        ObserveStarted(ref=ref, job_uid="uid", started_at=1),
        ObserveOutcome(ref=ref, job_uid="uid", reason=None),
        ObserveOutcome(ref=ref, job_uid="uid", reason=Reason.EXIT_CODE, exit_code=1),
        ObserveMissing(ref=ref),
        ObserveRefused(ref=ref, reason=Reason.INVALID_JOB, message=""),
        ObserveGone(ref=ref),
    ]


SOME = AttemptRef(run=1, step="a", attempt=1)
KINDS = [type(command).__name__ + str(number) for number, command in enumerate(observations(SOME))]


def second_attempt() -> Flow:
    given = flow(step("a", attempts=3), step("b", "a"))
    given.fail("a")
    given.pass_time(SECOND)
    return given


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
@pytest.mark.parametrize(
    "ref",
    [
        AttemptRef(run=2, step="a", attempt=2),
        AttemptRef(run=0, step="a", attempt=2),
        AttemptRef(run=1, step="a", attempt=1),
        AttemptRef(run=1, step="a", attempt=3),
        AttemptRef(run=1, step="b", attempt=0),
        AttemptRef(run=1, step="b", attempt=1),
        AttemptRef(run=1, step="nobody", attempt=1),
    ],
    ids=str,
)
def test_news_of_another_run_attempt_or_step_is_ignored(ref: AttemptRef, number: int) -> None:
    assert second_attempt().tell(observations(ref)[number]) == []


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
@pytest.mark.parametrize("leaving", [True, False])
def test_old_news_of_an_attempt_is_ignored_while_the_next_one_leaves(leaving: bool, number: int) -> None:
    given = second_attempt()
    if leaving:
        given.lose("a")
    assert given.tell(observations(SOME)[number]) == []


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_nothing_is_news_of_a_step_that_has_succeeded(number: int) -> None:
    given = flow(step("a"), step("b"))
    given.succeed("a")
    assert given.tell(observations(SOME)[number]) == []


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_nothing_is_news_before_the_workflow_is_accepted(number: int) -> None:
    assert Flow(None).tell(observations(SOME)[number]) == []


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_nothing_is_news_after_the_end(number: int) -> None:
    given = flow(step("a"))
    given.fail("a")
    assert given.tell(observations(SOME)[number]) == []


@pytest.mark.parametrize("number", range(5), ids=KINDS[:5])
def test_an_attempt_that_was_given_up_has_no_other_news_than_that_it_is_gone(number: int) -> None:
    given = flow(step("a", attempts=2))
    given.start("a")
    given.lose("a")
    is_late = isinstance(observations(SOME)[number], ObserveOutcome)  # which is recorded, once, and changes nothing
    assert kinds(given.tell(observations(SOME)[number])) == ["LateResultIgnored"] * is_late
    assert given.tell(observations(SOME)[number]) == []
    assert kinds(given.tell(observations(SOME)[5])) == ["AttemptFailed"]


def test_an_attempt_is_gone_only_after_it_was_given_up() -> None:
    given = flow(step("a"))
    assert given.gone("a") == []
    given.start("a")
    assert given.gone("a") == []


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_the_same_news_twice_in_one_turn_is_one_fact(number: int) -> None:
    once, twice = flow(step("a", attempts=2)), flow(step("a", attempts=2))
    command = observations(SOME)[number]
    assert once.tell(command) == twice.tell(command, command)


def test_the_first_of_two_contrary_outcomes_stands() -> None:
    given = flow(step("a"), step("b"))
    success, failure = given.outcome("a"), given.outcome("a", reason=Reason.EXIT_CODE, exit_code=1)
    assert kinds(given.tell(success, failure)) == ["StepSucceeded"]
    other = flow(step("a", attempts=2), step("b"))
    assert kinds(other.tell(failure, success)) == ["AttemptFailed"]


def test_a_start_seen_after_the_outcome_is_ignored() -> None:
    given = flow(step("a"), step("b"))
    assert kinds(given.tell(given.outcome("a"), given.started("a"))) == ["StepSucceeded"]


def test_a_start_seen_again_does_not_move_the_deadline() -> None:
    given = flow(step("a", attempt_timeout=SECOND))
    given.start("a")
    deadline = given.attempt("a").deadline
    assert given.start("a", after=10) == []
    assert given.attempt("a").deadline == deadline


def test_a_refusal_that_comes_after_the_start_was_seen_is_ignored() -> None:
    given = flow(step("a"))
    given.start("a")
    assert given.refuse("a") == []


def test_an_outcome_carries_what_was_seen_into_the_record() -> None:
    given = flow(step("a"), step("b"))
    seen = replace(given.outcome("a"), pod="p", node="n", started_at=5, finished_at=6)
    (event,) = given.tell(seen)
    assert event == StepSucceeded(
        run=1, step="a", attempt=1, job_uid="uid-a", started_at=5, finished_at=6, pod="p", node="n"
    )
    assert (given.attempt("a").pod, given.attempt("a").node, given.step("a").started_at) == ("p", "n", 5)


def test_what_an_outcome_does_not_say_stays_as_the_start_said_it() -> None:
    given = flow(step("a", attempts=2), step("b"))
    given.start("a", "b")
    started_at = given.now
    given.succeed("b", after=SECOND)
    given.fail("a")
    for name in ("a", "b"):
        assert (given.attempt(name).pod, given.attempt(name).node) == ("pod", "node")
        assert given.attempt(name).started_at == given.step(name).started_at == started_at


def test_an_attempt_given_up_is_recorded_with_what_was_known_of_it() -> None:
    given = flow(step("a", attempts=2))
    given.start("a")
    given.lose("a")
    (event,) = given.gone("a")
    assert (getattr(event, "job_uid", None), getattr(event, "pod", None)) == ("uid-a", "pod")
