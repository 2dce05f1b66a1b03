"""Which ends may wait for company: those from which nothing follows yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kipu.core.commands import Command, FireTimers, ObserveMissing, SetSuspended
from kipu.core.definition import Step
from kipu.core.events import Reason, ShutdownMode
from kipu.core.patience import EDGES_MAX, may_wait
from tests.core.given import SECOND, Flow, fan, flow, last, nested, step, wait


def running(*steps: Step, parallelism: int | None = None) -> Flow:
    """A flow of which all that could start was seen to run."""
    given = flow(*steps, parallelism=parallelism)
    given.settle()
    names = [given.state.name(place) for place in given.state.live]
    given.start(*names)
    return given


def test_an_end_that_leaves_its_dependent_waiting_for_another_may_wait() -> None:
    given = running(step("a"), step("b"), step("c", "a", "b"))
    assert may_wait(given.state, [given.outcome("a")])
    assert may_wait(given.state, [given.started("b"), given.outcome("a")])


def test_an_end_that_lets_a_step_start_may_not() -> None:
    given = running(step("a"), step("b"), step("c", "a"))
    assert not may_wait(given.state, [given.outcome("a")])


def test_ends_that_let_a_step_start_together_may_not() -> None:
    given = running(step("a"), step("b"), step("long"), step("c", "a", "b"))
    assert not may_wait(given.state, [given.outcome("a"), given.outcome("b")])
    assert may_wait(given.state, [given.outcome("b")])
    given.succeed("a")
    assert not may_wait(given.state, [given.outcome("b")])


def test_the_end_of_all_that_runs_may_not() -> None:
    given = running(step("a"), step("b"))
    assert may_wait(given.state, [given.outcome("b")])
    assert not may_wait(given.state, [given.outcome("a"), given.outcome("b")])


def test_the_last_end_beside_a_step_that_only_waits_may_not() -> None:
    given = running(step("a"), wait("pause"))
    assert not may_wait(given.state, [given.outcome("a")])


def test_ends_of_items_may_wait_until_the_fan_out_is_over() -> None:
    given = running(fan("f", count=3), step("long"))
    ends = [given.outcome(f"f[{index}]") for index in range(3)]
    assert may_wait(given.state, ends[:2])
    assert not may_wait(given.state, ends)
    given.succeed("f[0]", "f[1]")
    assert not may_wait(given.state, ends[2:])


def test_an_end_that_lets_another_item_begin_may_not() -> None:
    given = running(fan("f", count=3, parallelism=2), step("long"))
    assert not may_wait(given.state, [given.outcome("f[0]")])
    given = running(nested("f", for_each=fan("f", count=3, parallelism=2).for_each), step("long"))
    assert not may_wait(given.state, [given.outcome("f[0]")])


def test_an_end_that_lets_another_item_be_tried_again_may_not() -> None:
    given = running(fan("f", count=2, parallelism=1, attempts=2), step("long"))
    given.fail("f[0]")
    given.start("f[1]")
    assert may_wait(given.state, [given.outcome("f[1]")])
    given.pass_time(SECOND)
    assert not may_wait(given.state, [given.outcome("f[1]")])


def test_an_end_whose_place_another_step_waits_for_may_not() -> None:
    given = running(step("a"), step("b"), step("c"), parallelism=2)
    assert not may_wait(given.state, [given.outcome("a")])
    given = flow(step("a"), step("b"), step("c"), slots=2)
    given.slots = 0
    given.start("a", "b")
    assert not may_wait(given.state, [given.outcome("a")])


@pytest.mark.parametrize(
    "other",
    [
        lambda given: given.outcome("b", reason=Reason.EXIT_CODE, exit_code=1),
        lambda given: ObserveMissing(ref=given.ref("b")),
        lambda given: FireTimers(),
        lambda given: SetSuspended(suspended=True),
        lambda given: replace(given.started("b"), is_awaited=True),
        lambda given: replace(given.outcome("b"), ref=given.ref("b", attempt=2)),
        lambda given: replace(given.outcome("b"), ref=replace(given.ref("b"), step="nobody")),
        lambda given: replace(given.outcome("b"), ref=replace(given.ref("b"), run=2)),
    ],
)
def test_an_end_does_not_wait_beside_anything_else(other: Callable[[Flow], Command]) -> None:
    given = running(step("a"), step("b"), step("c"))
    assert may_wait(given.state, [given.outcome("a")])
    assert not may_wait(given.state, [given.outcome("a"), other(given)])


def test_what_is_told_of_an_attempt_that_is_over_changes_nothing() -> None:
    given = running(step("a"), step("b"), step("c"))
    end = given.outcome("a")
    given.succeed("a")
    assert may_wait(given.state, [end, given.outcome("b")])
    assert not may_wait(given.state, [end])


def test_starts_alone_are_not_kept_any_longer() -> None:
    given = flow(step("a"), step("b"))
    given.start("b")
    assert not may_wait(given.state, [given.started("a")])
    assert not may_wait(given.state, [])


def test_no_end_waits_while_a_run_is_not_simply_running() -> None:
    def fresh() -> Flow:
        return running(step("a"), step("b"), step("c"), last("d"))

    given = fresh()
    assert may_wait(given.state, [given.outcome("a")])
    given.suspend()
    assert not may_wait(given.state, [given.outcome("a")])
    given = fresh()
    given.shut_down(ShutdownMode.DRAIN)
    assert not may_wait(given.state, [given.outcome("a")])
    given = fresh()
    given.fail("c")
    assert not may_wait(given.state, [given.outcome("a")])
    assert not may_wait(Flow(None).state, [given.outcome("a")])


def test_where_more_would_have_to_be_looked_at_than_a_commit_is_worth_none_waits() -> None:
    for dependents, waits in ((EDGES_MAX, True), (EDGES_MAX + 1, False)):
        given = running(step("a"), step("b"), *(step(f"c{n}", "a", "b") for n in range(dependents)))
        assert may_wait(given.state, [given.outcome("a")]) is waits
