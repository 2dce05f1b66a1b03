"""The shape of a workflow: what `check` refuses, and how it says so."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from kipu.core.definition import Definition, Step
from kipu.core.errors import Problem
from kipu.core.graph import CYCLE_NAMES_MAX, PROBLEMS_MAX, build, check
from tests.core.given import step
from tests.core.laws import LAW


def problems(*steps: Step) -> tuple[Problem, ...]:
    return check(Definition(steps=steps))


def test_a_sound_graph_has_no_problems() -> None:
    assert problems(step("a"), step("b", "a"), step("c", "a", "b")) == ()
    assert problems() == ()


def test_the_edges_are_known_in_both_directions() -> None:
    graph = build(Definition(steps=(step("c", "a", "b"), step("a"), step("b", "a"))))
    assert graph.index == {"c": 0, "a": 1, "b": 2}
    assert graph.needs == ((1, 2), (), (1,))
    assert graph.dependents == ((), (0, 2), (0,))


def test_a_cycle_is_named_from_step_to_step() -> None:
    (problem,) = problems(step("a"), step("b", "a", "d"), step("c", "b"), step("d", "c"), step("e", "d"))
    assert problem.reason == "the steps wait for each other: b -> d -> c -> b"
    assert problem.path == "spec.steps[1].dependsOn"


def test_steps_that_only_wait_for_a_cycle_are_not_part_of_it() -> None:
    (problem,) = problems(step("after", "b"), step("a", "b"), step("b", "a"))
    assert problem.reason == "the steps wait for each other: b -> a -> b"
    assert problem.path == "spec.steps[2].dependsOn"


def test_a_long_cycle_is_told_in_short() -> None:
    count = 5_000
    (problem,) = problems(*[step(f"s{number}", f"s{(number + 1) % count}") for number in range(count)])
    assert problem.reason.startswith("the steps wait for each other: s0 -> s1 -> ")
    assert problem.reason.endswith(f" -> ({count + 1 - CYCLE_NAMES_MAX} more) -> s0")
    assert problem.reason.count("->") == CYCLE_NAMES_MAX


def test_a_cycle_of_as_many_names_as_are_told_is_told_whole() -> None:
    count = CYCLE_NAMES_MAX - 1
    (problem,) = problems(*[step(f"s{number}", f"s{(number + 1) % count}") for number in range(count)])
    assert "more" not in problem.reason


def test_an_unknown_need_is_answered_with_the_nearest_name() -> None:
    assert problems(step("fetch-data"), step("load", "fetch-date")) == (
        Problem(
            path="spec.steps[1].dependsOn[0]",
            reason="there is no step 'fetch-date'",
            hint="did you mean 'fetch-data'?",
        ),
    )


def test_an_unknown_need_like_no_other_gets_no_guess() -> None:
    (problem,) = problems(step("load", "zzz"))
    assert problem.hint == "name a step of this workflow"


def test_a_step_does_not_wait_for_itself() -> None:
    (problem,) = problems(step("a", "a"))
    assert (problem.path, problem.reason) == ("spec.steps[0].dependsOn[0]", "step 'a' waits for itself")


def test_a_need_is_listed_once() -> None:
    (problem,) = problems(step("a"), step("b", "a", "a"))
    assert (problem.path, problem.reason) == ("spec.steps[1].dependsOn[1]", "'a' is listed twice")


def test_a_name_is_given_once() -> None:
    (problem,) = problems(step("a"), step("b"), step("a"))
    assert (problem.path, problem.reason) == ("spec.steps[2].name", "'a' is already the name of spec.steps[0]")


def test_every_fault_is_told_and_not_only_the_first() -> None:
    assert len(problems(step("a", "a"), step("a"), step("b", "zzz"))) == 3


def test_no_more_faults_are_told_than_anybody_reads() -> None:
    garbage = [step(f"s{number}", *[f"unknown-{number}-{need}" for need in range(20)]) for number in range(5_000)]
    assert len(problems(*garbage)) == PROBLEMS_MAX


@LAW
@hypothesis.given(
    st.integers(1, 12).flatmap(
        lambda count: st.lists(st.frozensets(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count)
    )
)
def test_a_graph_is_refused_exactly_when_it_cannot_be_put_in_an_order(needs: list[frozenset[int]]) -> None:
    steps = [step(f"s{place}", *[f"s{need}" for need in sorted(needs[place])]) for place in range(len(needs))]
    done: set[int] = set()
    for _ in needs:
        done |= {place for place, wanted in enumerate(needs) if wanted <= done}
    assert (problems(*steps) == ()) is (len(done) == len(needs))
