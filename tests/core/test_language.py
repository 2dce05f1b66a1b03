"""What expressions and outputs mean for a run: evaluated once, recorded, and never again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kipu.core.commands import FAILURE_BYTES_MAX, OUTPUTS_BYTES_MAX, Command, RequestRerun, weight
from kipu.core.decide import wants_turn
from kipu.core.definition import Approval, ForEach, Kind, OnFailure, RunWhen
from kipu.core.events import (
    LateResultIgnored,
    Reason,
    SkipReason,
    StepEvaluated,
    StepFailed,
    StepScheduled,
    StepsSkipped,
    StepSucceeded,
)
from kipu.core.evolve import fold
from kipu.core.language import EFFORT_MAX, Evaluate, Evaluated, Unevaluated
from kipu.core.state import State
from kipu.core.texts import MESSAGE_BYTES_MAX
from kipu.core.turn import ATTEMPT_BYTES, ATTEMPTS_PER_TURN_MAX, COMMANDS_PER_TURN_MAX
from kipu.eventlog.chain import Tip, extend
from kipu.eventlog.codec import encode
from tests.core.given import SECOND, Flow, flow, kinds, scheduled, step


def comes_to(**ends: Evaluated | Unevaluated) -> Evaluate:
    """The expressions of these steps; the others have none."""

    def evaluate(state: State, place: int) -> Evaluated | Unevaluated:
        return ends.get(state.step(place).name, Evaluated())

    return evaluate


NO, YES = Evaluated(holds=False), Evaluated(values={"env[0].value": "42"})
WRONG = Unevaluated(message="when: divide by zero")


# -- when ------------------------------------------------------------------------------------------------


def test_a_step_whose_condition_is_false_is_skipped_and_those_after_it_run() -> None:
    given = flow(step("a"), step("b", "a"), step("c", "b"), evaluate=comes_to(b=NO))
    events = given.succeed("a")
    assert events[1:] == [
        StepsSkipped(run=1, steps=("b",), culprit="b", reason=SkipReason.CONDITION_FALSE),
        given.events_of(StepScheduled)[-1],
    ]
    assert given.phases == {"a": "Succeeded", "b": "Skipped", "c": "Scheduled"}
    given.succeed("c")
    assert given.end == ("Succeeded", "Completed")


def test_a_run_of_which_nothing_is_wanted_succeeds_in_the_turn_that_accepts_it() -> None:
    given = flow(step("a"), step("b", "a"), evaluate=comes_to(a=NO, b=NO))
    assert given.end == ("Succeeded", "Completed")


def test_a_condition_is_asked_only_when_the_rule_holds() -> None:
    given = flow(step("a"), step("b", "a"), evaluate=comes_to(b=WRONG))
    given.fail("a")
    assert given.step("b").reason is SkipReason.DEPENDENCY


def test_a_step_that_reacts_to_failures_does_not_react_to_one_that_was_not_wanted() -> None:
    given = flow(step("a"), step("b", "a", run_when=RunWhen.ANY_FAILED), evaluate=comes_to(a=NO))
    assert given.phases == {"a": "Skipped", "b": "Skipped"}
    assert given.step("b").reason is SkipReason.DEPENDENCY


def test_a_condition_that_is_false_takes_no_place() -> None:
    given = flow(step("a"), step("b"), step("c"), parallelism=1, evaluate=comes_to(a=NO, b=NO))
    assert given.phases == {"a": "Skipped", "b": "Skipped", "c": "Scheduled"}


def test_a_turn_starts_no_more_than_there_are_slots_whatever_ends_meanwhile() -> None:
    given = flow(*[step(name) for name in "abcd"], slots=2, evaluate=comes_to(b=NO))
    assert scheduled(given.last) == ["a", "c"]


def test_a_chain_of_steps_that_are_not_wanted_is_gone_through_in_as_many_turns_as_it_needs() -> None:
    count = ATTEMPTS_PER_TURN_MAX + 50
    steps = [step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(count)]
    given = flow(*steps, evaluate=lambda _state, _place: NO)
    assert not given.state.is_terminal
    given.settle()
    assert given.end == ("Succeeded", "Completed")


# -- values ----------------------------------------------------------------------------------------------


def test_what_expressions_come_to_is_recorded_before_the_attempt_and_serves_every_one() -> None:
    asked: list[str] = []

    def evaluate(state: State, place: int) -> Evaluated:
        asked.append(state.step(place).name)
        return YES

    given = flow(step("a", attempts=2), evaluate=evaluate)
    assert kinds(given.last) == ["WorkflowAccepted", "StepEvaluated", "StepScheduled"]
    given.fail("a")
    assert kinds(given.pass_time(10 * SECOND)) == ["TimerFired", "StepScheduled"]
    assert given.step("a").values == {"env[0].value": "42"}
    assert asked == ["a"]
    fold(given.log)  # asks nobody: it has nobody to ask
    assert asked == ["a"]


def test_an_expression_without_a_value_fails_its_step_and_the_rules_go_on() -> None:
    given = flow(
        step("a", attempts=3), step("b", "a"), step("c", "a", run_when=RunWhen.ANY_FAILED), evaluate=comes_to(a=WRONG)
    )
    failed = StepFailed(run=1, step="a", reason=Reason.EXPRESSION_ERROR, message="when: divide by zero")
    assert given.events_of(StepFailed) == [failed]
    assert given.phases == {"a": "Failed", "b": "Skipped", "c": "Scheduled"}
    given.succeed("c")
    assert given.end == ("Failed", "StepFailed")


def test_a_step_that_may_fail_may_fail_by_an_expression_too() -> None:
    given = flow(step("a", allow_failure=True), step("b", "a"), evaluate=comes_to(a=WRONG))
    assert given.phases == {"a": "Failed", "b": "Scheduled"}


def test_an_expression_that_fails_holds_the_others_back_in_the_same_turn() -> None:
    given = flow(step("a"), step("b"), step("c"), on_failure=OnFailure.FINISH_RUNNING, evaluate=comes_to(a=WRONG))
    assert given.phases == {"a": "Failed", "b": "Skipped", "c": "Skipped"}


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(Evaluated(values={"env[0].value": "x" * (OUTPUTS_BYTES_MAX - 20)}), marks=pytest.mark.proof),
        Unevaluated(message="\x00" * MESSAGE_BYTES_MAX),
        NO,
    ],
    ids=["values", "failures", "skips"],
)
def test_the_expressions_of_a_turn_fit_what_its_attempts_may_take(ends: Evaluated | Unevaluated) -> None:
    names = [f"s{n:03d}{'x' * 59}" for n in range(2 * ATTEMPTS_PER_TURN_MAX)]
    given = Flow(None, evaluate=lambda _state, _place: ends)
    steps = [step(name, start_timeout=SECOND, timeout=SECOND) for name in names]
    accepted = flow(*steps, on_failure=OnFailure.CONTINUE, slots=0)
    given.state, given.log, given.now = accepted.state, accepted.log, accepted.now
    while wants_turn(given.state, given.slots):
        events = given.tell()
        told = [event for event in events if not isinstance(event, StepsSkipped)]
        sizes = [len(encode(event, position=10**6, epoch=10**4, ts=given.now).record) for event in told]
        assert sum(sizes) <= (ATTEMPTS_PER_TURN_MAX + 2) * ATTEMPT_BYTES * 1.1
        extend(Tip(position=999_999, hash=b"", epoch=9_999, ts=0, writer="w"), events, ts=given.now)
    assert set(given.phases.values()) <= {"Scheduled", "Failed", "Skipped"}


def test_a_fan_out_is_asked_whether_it_begins_and_each_item_what_it_reads() -> None:
    asked: list[str] = []

    def evaluate(state: State, place: int) -> Evaluated | Unevaluated:
        asked.append(state.name(place))
        wrong = {"a[1]": WRONG}
        return wrong.get(state.name(place), Evaluated() if state.name(place) == "a" else YES)

    shards = replace(step("a", attempts=2), for_each=ForEach(count=3, max_failures=1))
    given = flow(shards, step("b", "a"), evaluate=evaluate)
    given.settle()
    assert asked == ["a", "a[0]", "a[1]", "a[2]"]
    assert [event.step for event in given.events_of(StepEvaluated)] == ["a[0]", "a[2]"]
    assert given.events_of(StepFailed) == [
        StepFailed(run=1, step="a[1]", reason=Reason.EXPRESSION_ERROR, message="when: divide by zero")
    ]
    given.fail("a[0]")
    given.pass_time(10 * SECOND)
    given.succeed("a[0]", "a[2]")
    given.settle()
    assert asked == ["a", "a[0]", "a[1]", "a[2]", "b"]
    assert given.phases["b"] == "Scheduled"


def test_a_fan_out_that_is_not_wanted_does_not_begin() -> None:
    given = flow(replace(step("a"), for_each=ForEach(count=3)), step("b", "a"), evaluate=comes_to(a=NO))
    assert given.phases == {"a": "Skipped", "b": "Scheduled"}


def test_nobody_is_asked_where_the_condition_is_false() -> None:
    ask = replace(step("ask"), kind=Kind.APPROVAL, approval=Approval(message="?"))
    pause = replace(step("pause"), kind=Kind.WAIT, wait_ms=SECOND)
    given = flow(ask, pause, step("c", "ask", "pause"), slots=0, evaluate=comes_to(ask=NO, pause=WRONG))
    assert given.phases == {"ask": "Skipped", "pause": "Failed", "c": "Skipped"}
    assert given.step("c").culprit == "pause"


def test_a_rerun_keeps_what_was_written_and_evaluates_what_runs_again() -> None:
    asked: list[str] = []

    def evaluate(state: State, place: int) -> Evaluated:
        asked.append(state.name(place))
        return YES

    given = flow(step("a"), step("b", "a"), evaluate=evaluate)
    given.tell(given.outcome("a", outputs=FIRST))
    given.fail("b")
    given.tell(RequestRerun(number=2))
    assert given.step("a").outputs == FIRST
    assert asked == ["a", "b", "b"]


def test_a_turn_evaluates_no_more_than_its_share() -> None:
    costly = Evaluated(effort=EFFORT_MAX, values={"args[0]": "x" * (OUTPUTS_BYTES_MAX - 20)})
    given = flow(*[step(name) for name in "abc"], evaluate=lambda _state, _place: costly)
    assert [len(scheduled(given.last)), len(scheduled(given.tell())), len(scheduled(given.tell()))] == [1, 1, 1]


# -- outputs ---------------------------------------------------------------------------------------------

FIRST: Mapping[str, str | int | bool] = {"rows": 42}
SECOND_ONE: Mapping[str, str | int | bool] = {"rows": 43}


def test_the_outputs_of_a_success_are_committed_with_it() -> None:
    given = flow(step("a"))
    given.tell(given.outcome("a", outputs=FIRST))
    assert given.events_of(StepSucceeded)[0].outputs == FIRST
    assert given.step("a").outputs == FIRST


def test_of_two_results_of_an_attempt_the_first_stands() -> None:
    given = flow(step("a"), step("b", "a"))
    one, other = given.outcome("a", outputs=FIRST), given.outcome("a", outputs=SECOND_ONE)
    given.tell(one, other)
    given.tell(other)
    assert given.step("a").outputs == FIRST
    assert len(given.events_of(StepSucceeded)) == 1


def test_the_result_of_an_attempt_that_was_given_up_is_ignored_and_said_to_be_once() -> None:
    given = flow(step("a", attempts=2, attempt_timeout=SECOND))
    given.start("a")
    given.pass_time(SECOND)
    late = given.outcome("a", outputs=FIRST)
    assert given.tell(late, late) == [LateResultIgnored(run=1, step="a", attempt=1, job_uid="uid-a")]
    assert given.tell(late) == []
    given.gone("a")
    assert scheduled(given.pass_time(60 * SECOND)) == ["a"]
    assert given.tell(late) == []
    given.tell(given.outcome("a", outputs=SECOND_ONE))
    assert given.step("a").outputs == SECOND_ONE


def test_what_was_written_too_large_is_not_tried_again_and_what_was_invalid_is() -> None:
    given = flow(step("a", attempts=3), step("b", attempts=3), on_failure=OnFailure.CONTINUE)
    given.fail("a", reason=Reason.OUTPUT_TOO_LARGE, exit_code=0)
    given.fail("b", reason=Reason.OUTPUT_INVALID, exit_code=0)
    assert given.phases == {"a": "Failed", "b": "Retrying"}


def test_commands_with_outputs_count_by_their_bytes_and_a_turn_of_them_fits() -> None:
    names = [f"s{n:03d}" for n in range(COMMANDS_PER_TURN_MAX)]
    given = flow(*[step(name) for name in names])
    outputs: Mapping[str, str | int | bool] = {"o": "x" * (OUTPUTS_BYTES_MAX - 10)}
    heaviest = weight(given.outcome(names[0], outputs=outputs))
    assert heaviest == 1 + (OUTPUTS_BYTES_MAX - 1) // FAILURE_BYTES_MAX
    told: list[Command] = [given.outcome(name, outputs=outputs) for name in names[: COMMANDS_PER_TURN_MAX // heaviest]]
    events = given.tell(*told)
    extend(Tip(position=999_999, hash=b"", epoch=9_999, ts=0, writer="w"), events, ts=given.now)
    with pytest.raises(AssertionError):
        given.tell(*[given.outcome(name, outputs=outputs) for name in names])
