"""A fan-out: which items run when, and what becomes of the step."""

from __future__ import annotations

import pytest

from kipu.core.decide import needs_place, wants_turn
from kipu.core.definition import ITEMS_UNDER_WAY_MAX, ForEach, OnFailure, RunWhen
from kipu.core.errors import CorruptionError
from kipu.core.events import (
    AttemptAbandoned,
    Reason,
    StepCompleted,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
)
from kipu.core.evolve import evolve
from kipu.core.items import FAILURES_KEPT_MAX
from kipu.core.language import Evaluate, Evaluated, Unevaluated
from kipu.core.naming import item_name, split_item
from tests.core.given import SECOND, START, fan, flow, kinds, scheduled, step


def items(*indexes: int) -> list[str]:
    return [f"shard[{index}]" for index in indexes]


def test_a_step_with_items_is_expanded_and_each_item_is_scheduled_as_a_step_of_its_own() -> None:
    given = flow(step("a"), fan("shard", "a"))
    events = given.succeed("a")
    assert kinds(events) == ["StepSucceeded", "StepExpanded", *["StepScheduled"] * 3]
    assert scheduled(events) == items(0, 1, 2)
    assert len({event.job for event in given.events_of(StepScheduled)}) == 4
    assert given.phases["shard"] == "Running"


def test_the_step_is_done_when_its_last_item_is_and_then_its_dependents_start() -> None:
    given = flow(fan("shard"), step("b", "shard"))
    given.start(*items(0, 1, 2))
    given.succeed(*items(2, 0))
    assert given.phases == {"shard": "Running", "b": "Pending"}
    events = given.succeed(*items(1))
    assert kinds(events) == ["StepSucceeded", "StepCompleted", "StepScheduled"]
    given.succeed("b")
    assert given.end == ("Succeeded", "Completed")


@pytest.mark.parametrize("for_each", [ForEach(count=0), ForEach(items=())])
def test_a_fan_out_over_nothing_has_succeeded_at_once(for_each: ForEach) -> None:
    given = flow(step("shard", for_each=for_each), step("b", "shard"))
    assert kinds(given.last)[1:] == ["StepExpanded", "StepCompleted", "StepScheduled"]
    assert given.phases == {"shard": "Succeeded", "b": "Scheduled"}


def test_no_more_items_run_at_once_than_its_parallelism_allows() -> None:
    given = flow(fan("shard", count=5, parallelism=2))
    assert scheduled(given.last) == items(0, 1)
    assert scheduled(given.succeed(*items(1))) == items(2)
    assert scheduled(given.succeed(*items(0, 2))) == items(3, 4)


def test_the_workflows_parallelism_and_the_operators_slots_hold_for_items_too() -> None:
    given = flow(fan("shard", count=5), parallelism=2)
    assert scheduled(given.last) == items(0, 1)
    narrow = flow(fan("shard", count=5), slots=1)
    assert scheduled(narrow.last) == items(0)


def test_a_fan_out_does_not_keep_other_steps_from_their_places() -> None:
    given = flow(fan("shard", count=50), step("a"), step("b", "a"), parallelism=3)
    assert scheduled(given.last) == ["a", *items(0, 1)]
    assert scheduled(given.succeed("a")) == ["b"]


def test_fan_outs_take_turns() -> None:
    given = flow(fan("shard", count=50), fan("part", count=50), parallelism=5)
    assert scheduled(given.last) == ["shard[0]", "part[0]", "shard[1]", "part[1]", "shard[2]"]
    assert scheduled(given.succeed("shard[1]")) == ["part[2]"]


def test_an_item_is_retried_by_the_steps_rule_and_meanwhile_others_run() -> None:
    given = flow(fan("shard", count=3, parallelism=1, attempts=2))
    assert scheduled(given.fail(*items(0))) == items(1)
    given.pass_time(SECOND)
    assert given.last[0].__class__.__name__ == "TimerFired"
    assert scheduled(given.last) == [], "its place is taken"
    assert scheduled(given.succeed(*items(1))) == items(0), "what was begun comes first"
    assert given.attempt("shard[0]").number == 2


def test_when_more_items_fail_than_may_nothing_new_starts_and_what_runs_ends() -> None:
    given = flow(fan("shard", count=10, parallelism=3, max_failures=1), step("b", "shard"))
    assert scheduled(given.fail(*items(0))) == items(3)
    assert scheduled(given.fail(*items(1))) == []
    assert scheduled(given.succeed(*items(2))) == []
    assert given.phases["shard"] == "Running"
    events = given.succeed(*items(3))
    (failed,) = [event for event in events if isinstance(event, StepFailed)]
    assert (failed.step, failed.reason) == ("shard", Reason.ITEMS_FAILED)
    assert failed.message == "2 of 10 items failed, 1 may: shard[0] (ExitCode), shard[1] (ExitCode)"
    assert given.end == ("Failed", "StepFailed")
    assert given.state.end_message.startswith("step 'shard' failed (ItemsFailed): 2 of 10 items failed")


def test_as_many_items_may_fail_as_are_allowed() -> None:
    given = flow(fan("shard", count=4, parallelism=2, max_failures=2), step("b", "shard"))
    given.fail(*items(0, 1))
    assert scheduled(given.last) == items(2, 3)
    given.succeed(*items(2, 3))
    assert given.phases == {"shard": "Succeeded", "b": "Scheduled"}


def test_a_failed_item_says_nothing_to_the_workflow_until_the_step_has_failed() -> None:
    given = flow(fan("shard", count=3), step("a"))
    given.fail(*items(0))
    assert given.state.failing is None
    given.succeed(*items(1, 2))
    assert given.state.failing == "shard"


def test_where_a_fan_out_may_fail_its_dependents_run() -> None:
    given = flow(fan("shard", count=1, allow_failure=True), step("b", "shard"))
    assert scheduled(given.fail(*items(0))) == ["b"]


def test_a_step_for_failures_reacts_to_the_fan_out_as_to_any_step() -> None:
    given = flow(fan("shard", count=2), step("clean", "shard", run_when=RunWhen.ANY_FAILED))
    given.fail(*items(0))
    assert scheduled(given.succeed(*items(1))) == ["clean"]


# -- the timeout of the step ---------------------------------------------------------------------------


def test_after_the_steps_timeout_its_items_are_taken_down_and_it_has_failed() -> None:
    given = flow(fan("shard", count=5, parallelism=3, attempts=2, max_failures=5, timeout=10 * SECOND))
    (expanded,) = given.events_of(StepExpanded)
    assert expanded.deadline == START + 10 * SECOND
    assert all(event.step_deadline is None for event in given.events_of(StepScheduled))
    given.succeed(*items(0))
    given.fail(*items(1), after=9_500)
    events = given.pass_time(500)
    given_up = [event for event in events if isinstance(event, AttemptAbandoned)]
    assert {(event.step, event.reason) for event in given_up} == {(name, Reason.TIMED_OUT) for name in items(2, 3, 4)}
    assert given.phases["shard"] == "Running", "their pods may still run"
    given.gone(*items(2, 3))
    events = given.gone(*items(4))
    (failed,) = [event for event in events if isinstance(event, StepFailed) and event.step == "shard"]
    assert (failed.reason, failed.message) == (Reason.TIMED_OUT, "step not finished within 10 s")
    assert given.step("shard[1]").reason is Reason.EXIT_CODE, "a retry after the deadline is not even waited for"
    assert given.step("shard[2]").reason is Reason.TIMED_OUT


def test_an_item_that_waits_for_its_retry_ends_with_the_steps_timeout() -> None:
    given = flow(fan("shard", count=1, attempts=9, timeout=3 * SECOND))
    given.fail(*items(0))
    given.pass_time(SECOND)
    given.lose("shard[0]")
    given.gone("shard[0]", after=1_500)
    assert given.end == ("Failed", "StepFailed")


# -- as one step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [OnFailure.FINISH_RUNNING, OnFailure.CONTINUE])
def test_a_fan_out_that_has_begun_goes_on_when_another_step_fails(mode: OnFailure) -> None:
    given = flow(fan("shard", count=3, parallelism=1), step("a"), on_failure=mode)
    given.fail("a")
    assert scheduled(given.succeed(*items(0))) == items(1)


def test_a_fan_out_that_has_not_begun_is_held_back() -> None:
    given = flow(step("a"), step("b"), fan("shard", "b"))
    given.fail("a")
    given.succeed("b")
    assert given.phases["shard"] == "Skipped"
    assert not given.events_of(StepExpanded)


def test_a_fan_out_is_cancelled_with_all_its_items_when_another_step_fails() -> None:
    given = flow(fan("shard", count=9, parallelism=2, attempts=2), step("a"), on_failure=OnFailure.CANCEL_RUNNING)
    given.fail(*items(0))
    assert scheduled(given.last) == items(2)
    given.fail("a")
    assert "shard[0]" in [name for event in given.events_of(StepsCancelled) for name in event.steps]
    assert given.phases["shard"] == "Running"
    given.gone(*items(1, 2))
    assert given.phases == {"shard": "Cancelled", "a": "Failed"}
    assert given.end == ("Failed", "StepFailed")


def test_a_fan_out_for_failures_is_spared_by_cancel_running() -> None:
    given = flow(
        step("a"),
        fan("shard", count=3, parallelism=1, run_when=RunWhen.ALL_FINISHED),
        step("b"),
        on_failure=OnFailure.CANCEL_RUNNING,
    )
    given.fail("a")
    given.gone("b")
    assert scheduled(given.succeed(*items(0))) == items(1)
    given.succeed(*items(1))
    given.succeed(*items(2))
    assert given.phases["shard"] == "Succeeded"


def test_a_shutdown_takes_all_live_items_down() -> None:
    given = flow(fan("shard", count=9, parallelism=3, attempts=2))
    given.succeed(*items(0))
    given.fail(*items(1))
    events = given.shut_down()
    assert {event.step for event in events if isinstance(event, AttemptAbandoned)} == {*items(2, 3, 4)}
    given.gone(*items(2, 3, 4))
    assert given.phases["shard"] == "Cancelled"
    assert given.end == ("Cancelled", "Shutdown")


def test_a_fan_out_whose_last_item_ends_well_during_a_shutdown_has_succeeded() -> None:
    given = flow(fan("shard", count=1), step("a"))
    given.tell(given.outcome("shard[0]"))
    given.shut_down()
    given.gone("a")
    assert given.phases == {"shard": "Succeeded", "a": "Cancelled"}


# -- expressions and outputs ---------------------------------------------------------------------------


def answers(**ends: Evaluated | Unevaluated) -> Evaluate:
    """What is evaluated, by the name of the step or item with `_` for brackets."""
    return lambda state, place: ends.get(state.name(place).replace("[", "_").replace("]", ""), Evaluated())


def test_the_items_of_an_expression_are_asked_for_once_and_recorded() -> None:
    given = flow(fan("shard", count=0), evaluate=answers(shard=Evaluated(items=("a", {"b": 1}))))
    (expanded,) = given.events_of(StepExpanded)
    assert (expanded.count, expanded.items) == (2, ("a", {"b": 1}))
    assert scheduled(given.last) == items(0, 1)
    places = [given.state.place_of(name) for name in items(0, 1)]
    assert [given.state.item_value(place) for place in places if place is not None] == [(0, "a"), (1, {"b": 1})]


def test_a_fan_out_that_is_not_wanted_is_skipped_as_a_whole() -> None:
    given = flow(fan("shard"), step("b", "shard"), evaluate=answers(shard=Evaluated(holds=False)))
    assert given.phases == {"shard": "Skipped", "b": "Scheduled"}
    assert not given.events_of(StepExpanded)


def test_a_fan_out_whose_items_have_no_value_has_failed() -> None:
    given = flow(fan("shard"), evaluate=answers(shard=Unevaluated(message="forEach.expression: no such key")))
    assert given.end == ("Failed", "StepFailed")
    assert given.step("shard").reason is Reason.EXPRESSION_ERROR


def test_each_item_is_evaluated_for_itself_and_once_for_all_its_attempts() -> None:
    texts = {f"shard_{index}": Evaluated(values={"env[0].value": f"text {index}"}) for index in (0, 1)}
    given = flow(fan("shard", count=2, attempts=2), evaluate=answers(**texts))
    assert kinds(given.last)[1:] == ["StepExpanded", *["StepEvaluated", "StepScheduled"] * 2]
    given.fail(*items(1))
    given.pass_time(SECOND)
    assert kinds(given.last) == ["TimerFired", "StepScheduled"]
    assert given.step("shard[1]").values == {"env[0].value": "text 1"}


def test_an_item_whose_expressions_have_no_value_fails_without_a_job_and_the_others_run() -> None:
    wrong = Unevaluated(message="args[0]: no such key")
    given = flow(fan("shard", count=3, max_failures=1), evaluate=answers(shard_0=wrong))
    assert scheduled(given.last) == items(1, 2)
    assert given.step("shard[0]").reason is Reason.EXPRESSION_ERROR
    given.succeed(*items(1, 2))
    assert given.end == ("Succeeded", "Completed")


def test_where_no_item_has_a_value_the_step_has_failed_in_the_same_turn() -> None:
    wrong = Unevaluated(message="args[0]: no such key")
    given = flow(fan("shard", count=3, max_failures=2), evaluate=answers(shard_0=wrong, shard_1=wrong, shard_2=wrong))
    assert given.end == ("Failed", "StepFailed")


def test_what_items_have_written_is_kept_by_their_index() -> None:
    given = flow(fan("shard", count=3, max_failures=1))
    given.tell(given.outcome("shard[2]", outputs={"rows": 2}))
    given.fail("shard[1]")
    given.tell(given.outcome("shard[0]", outputs={"rows": 0}))
    assert given.state.fanouts[0].outputs == {0: {"rows": 0}, 2: {"rows": 2}}


# -- what is kept --------------------------------------------------------------------------------------


def test_of_what_is_over_only_the_first_failures_are_kept() -> None:
    count = FAILURES_KEPT_MAX + 5
    given = flow(fan("shard", count=count, max_failures=count))
    given.fail(*items(*range(count)))
    kept = [index for index in range(count) if given.step(f"shard[{index}]").attempt is not None]
    assert kept == list(range(FAILURES_KEPT_MAX))
    assert len({id(given.step(f"shard[{index}]")) for index in range(FAILURES_KEPT_MAX, count)}) == 1


@pytest.mark.proof
def test_so_many_items_are_begun_at_most_and_those_that_wait_count() -> None:
    size = ITEMS_UNDER_WAY_MAX + 100
    given = flow(fan("shard", count=size, attempts=2), slots=10_000)
    given.settle()
    assert len(given.events_of(StepScheduled)) == ITEMS_UNDER_WAY_MAX
    given.fail(*items(*range(50)))
    given.settle()
    assert len(given.events_of(StepScheduled)) == ITEMS_UNDER_WAY_MAX
    given.succeed(*items(*range(50, 60)))
    assert len(scheduled(given.last)) == 10


def test_the_news_of_an_item_that_is_over_changes_nothing() -> None:
    given = flow(fan("shard", count=2))
    command = given.outcome("shard[0]", reason=Reason.LOST)
    given.succeed(*items(0))
    assert given.tell(command) == []
    assert given.step("shard[0]").phase.value == "Succeeded"


@pytest.mark.parametrize("name", ["shard[3]", "shard[03]", "shard[-1]", "shard[]", "shard[1", "other[0]", "[0]"])
def test_what_is_no_item_has_no_place(name: str) -> None:
    assert flow(fan("shard", count=3)).state.place_of(name) is None


def test_before_its_step_is_expanded_an_item_has_no_place() -> None:
    assert flow(step("a"), fan("shard", "a")).state.place_of("shard[0]") is None


def test_the_name_of_an_item_is_read_as_it_is_written() -> None:
    assert split_item(item_name("shard", 9_999)) == ("shard", 9_999)
    assert split_item("shard") is None


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (StepScheduled(run=1, step="shard[3]", attempt=1, job="j"), "begins before another one"),
        (StepExpanded(run=1, step="shard", count=3), "is no fan-out that could begin"),
        (StepExpanded(run=1, step="a", count=3), "is no fan-out that could begin"),
        (StepCompleted(run=1, step="shard"), "ends while items of it are under way"),
        (StepFailed(run=1, step="shard", reason=Reason.ITEMS_FAILED), "ends while items of it are under way"),
        (StepsCancelled(run=1, steps=("shard",)), "ends while items of it are under way"),
        (StepCompleted(run=1, step="a"), "ends while its attempt may run"),
    ],
)
def test_what_no_decision_can_have_written_is_corruption(event: object, fault: str) -> None:
    given = flow(fan("shard", count=4, parallelism=2), step("a"))
    with pytest.raises(CorruptionError, match=fault):
        evolve(given.state, event, ts=given.now)  # type: ignore[arg-type]


def test_a_fan_out_that_is_taken_down_needs_no_place_although_it_has_room_for_items() -> None:
    """An actor that waits for a place it does not need is woken at once, and again: the simulator's seed 324 spun."""
    given = flow(step("fails"), fan("shard", count=4, parallelism=2), on_failure=OnFailure.CANCEL_RUNNING)
    given.start("fails", *items(0, 1))
    given.tell(given.outcome("shard[0]"), given.outcome("fails", reason=Reason.EXIT_CODE, exit_code=1))
    assert given.state.leaving
    assert given.state.startable, "there is room"
    assert not needs_place(given.state)
    assert not wants_turn(given.state, 1_000)


def test_what_is_ready_needs_a_place_until_it_has_one() -> None:
    given = flow(step("a"), slots=0)
    assert needs_place(given.state)
    given.slots = 1
    given.settle()
    assert not needs_place(given.state)
