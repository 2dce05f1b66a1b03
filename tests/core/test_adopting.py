"""Steps that count as done because another log says so: all of them first, then the rest, and never a Job for them."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from kipu.core.adoption import adoptable, check
from kipu.core.decide import decide
from kipu.core.definition import Adoption, Definition, RunWhen, Step
from kipu.core.effects import effects, notices
from kipu.core.errors import CorruptionError
from kipu.core.events import Event, StepAdopted, StepScheduled, StreamClaimed
from kipu.core.evolve import evolve, fold
from kipu.core.graph import PROBLEMS_MAX
from kipu.core.lifecycle import StepPhase
from kipu.core.policies import EVENTS_MAX
from kipu.core.turn import ADOPTIONS_PER_TURN_MAX
from tests.core.given import IDENTITY, MINUTE, SECOND, Flow, adoption, flow, kinds, scheduled, step
from tests.core.laws import LAW
from tests.core.test_laws import definitions

pytestmark = pytest.mark.proof

DIAMOND = (step("top"), step("left", "top"), step("right", "top"), step("bottom", "left", "right"))
NAMES = [f"a{number}" for number in range(2 * ADOPTIONS_PER_TURN_MAX + 1)]


def wide(timeout: int | None = None) -> Flow:
    """More to adopt than two turns can take, and one step after all of it."""
    return flow(*map(step, NAMES), step("rest", *NAMES), timeout=timeout, adopt=adoption(*NAMES))


# -- the run -------------------------------------------------------------------------------------------------


def test_what_is_adopted_has_succeeded_in_the_commit_of_the_acceptance_and_only_the_rest_runs() -> None:
    given = flow(*DIAMOND, adopt=adoption("top", "right"))
    assert kinds(given.last) == ["WorkflowAccepted", "StepAdopted", "StepAdopted", "StepScheduled"]
    assert given.phases == {"top": "Succeeded", "left": "Scheduled", "right": "Succeeded", "bottom": "Pending"}
    given.succeed("left")
    given.succeed("bottom")
    assert given.end == ("Succeeded", "Completed")
    assert [event.step for event in given.events_of(StepScheduled)] == ["left", "bottom"]


def test_an_adoption_names_the_record_that_it_rests_on() -> None:
    given = flow(*DIAMOND, adopt=adoption("top"))
    (event,) = given.events_of(StepAdopted)
    assert event == StepAdopted(
        run=1,
        step="top",
        source_uid="0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11",
        source_run=2,
        source_position=3,
        source_hash="0" * 64,
    )


def test_a_run_of_which_all_is_adopted_has_succeeded_at_once() -> None:
    given = flow(*DIAMOND, adopt=adoption("bottom", "left", "right", "top"))
    assert kinds(given.last)[-1] == "WorkflowFinished"
    assert given.end == ("Succeeded", "Completed")


def test_nothing_is_made_deleted_or_told_for_an_adopted_step() -> None:
    given = flow(step("a"), adopt=adoption("a"))
    assert effects(given.state) == effects(given.state, ["a"]) == []
    assert [notice.reason for notice in notices(given.last, 1)] == ["WorkflowAccepted", "WorkflowSucceeded"]
    assert given.step("a").attempts == 0


def test_a_step_for_failures_after_adopted_ones_is_skipped_and_one_for_any_end_runs() -> None:
    given = flow(
        step("a"),
        step("mend", "a", run_when=RunWhen.ANY_FAILED),
        step("report", "a", run_when=RunWhen.ALL_FINISHED),
        adopt=adoption("a"),
    )
    assert given.phases == {"a": "Succeeded", "mend": "Skipped", "report": "Scheduled"}


# -- in windows ----------------------------------------------------------------------------------------------


def test_nothing_is_scheduled_before_every_adoption_is_recorded() -> None:
    given = wide()
    assert kinds(given.last) == ["WorkflowAccepted", *["StepAdopted"] * ADOPTIONS_PER_TURN_MAX]
    events = given.settle()
    assert kinds(events) == [*["StepAdopted"] * (len(NAMES) - ADOPTIONS_PER_TURN_MAX), "StepScheduled"]
    assert scheduled(events) == ["rest"]


def test_a_step_that_is_not_adopted_waits_for_all_adoptions_although_it_needs_none() -> None:
    given = flow(step("free"), *map(step, NAMES), adopt=adoption(*NAMES))
    assert not scheduled(given.last)
    assert scheduled(given.settle()) == ["free"]


def test_a_replay_of_half_the_adoptions_goes_on_with_the_other_half() -> None:
    given = wide()
    given.state = fold(given.log)
    given.settle()
    assert [event.step for event in given.events_of(StepAdopted)] == NAMES


def test_a_shutdown_between_two_windows_leaves_the_adopted_steps_succeeded() -> None:
    given = wide()
    given.shut_down()
    given.settle()
    assert set(given.phases.values()) == {"Succeeded", "Cancelled"}
    assert given.phases["rest"] == "Cancelled"
    assert given.end == ("Cancelled", "Shutdown")


def test_a_timeout_between_two_windows_leaves_the_adopted_steps_succeeded() -> None:
    given = wide(timeout=MINUTE)
    given.pass_time(2 * MINUTE)
    given.settle()
    assert given.phases["rest"] == "Cancelled"
    assert given.end == ("Failed", "TimedOut")


def test_a_log_that_is_full_between_two_windows_leaves_the_adopted_steps_succeeded() -> None:
    given = wide()
    claims = range(1, EVENTS_MAX - len(given.log) + 1)
    given.log += [(StreamClaimed(epoch=epoch, writer="w"), given.now) for epoch in claims]
    state, events = fold(given.log), given.last
    while not state.is_terminal:
        state, events = decide(state, [], identity=IDENTITY, now=given.now, slots=9)
    assert kinds(events)[-1] == "WorkflowFinished"
    assert state.end_reason == "EventLimit"
    assert state.counts == {StepPhase.PENDING: 0, StepPhase.SUCCEEDED: len(NAMES), StepPhase.CANCELLED: 1}


# -- what no decision can have written -----------------------------------------------------------------------


def half_adopted() -> Flow:
    """Two steps to adopt, of which none is yet, and one free."""
    given = flow(step("a"), step("b"), step("c"), adopt=adoption("a", "b"))
    given.log = given.log[:1]
    given.state = fold(given.log)
    return given


def adopted(name: str, position: int, **fields: str) -> StepAdopted:
    given = {"source_uid": "o", "source_hash": f"{position - 3:064x}"} | fields
    return StepAdopted(run=1, step=name, source_run=1, source_position=position, **given)


@pytest.mark.parametrize(
    "event",
    [adopted("c", 3), adopted("a", 4), adopted("a", 3, source_hash="f" * 64)],
    ids=["another step", "another position", "another hash"],
)
def test_an_adoption_that_nobody_asked_for_is_corruption(event: Event) -> None:
    with pytest.raises(CorruptionError, match="does not ask for this adoption"):
        evolve(half_adopted().state, event, ts=0)


def test_an_adoption_comes_once() -> None:
    given = half_adopted()
    with pytest.raises(CorruptionError, match="does not ask for this adoption"):
        fold([(adopted("a", 3), 0), (adopted("a", 3), 0)], given.state)


def test_no_step_moves_before_every_adoption_is_recorded() -> None:
    with pytest.raises(CorruptionError, match="some steps are still to be adopted"):
        evolve(half_adopted().state, StepScheduled(run=1, step="c", attempt=1, job="j"), ts=SECOND)


# -- what may be adopted -------------------------------------------------------------------------------------


def problems(*steps: Step, adopt: Adoption) -> list[str]:
    return [str(problem) for problem in check(Definition(steps=steps, adopt=adopt))]


def test_without_an_adoption_there_is_nothing_to_check() -> None:
    assert check(Definition(steps=DIAMOND)) == ()


def test_an_unknown_step_is_answered_with_the_nearest_name() -> None:
    assert problems(*DIAMOND, adopt=adoption("top", "leff")) == [
        "spec.adopt.steps[1].name: there is no step 'leff' (did you mean 'left'?)"
    ]


def test_a_name_like_no_other_is_answered_in_general() -> None:
    (problem,) = problems(*DIAMOND, adopt=adoption("xyzzy"))
    assert problem == "spec.adopt.steps[0].name: there is no step 'xyzzy' (name a step of this workflow)"


def test_a_step_is_adopted_once() -> None:
    assert problems(*DIAMOND, adopt=adoption("top", "top")) == [
        "spec.adopt.steps[1].name: 'top' is already adopted by spec.adopt.steps[0] (remove one of the two)"
    ]


def test_the_problems_are_cut_at_their_bound() -> None:
    assert len(problems(*DIAMOND, adopt=adoption(*[f"x{n}" for n in range(2 * PROBLEMS_MAX)]))) == PROBLEMS_MAX


def test_a_step_is_dropped_with_all_that_rests_on_it() -> None:
    steps = (*DIAMOND, step("beside"), step("mend", "beside", run_when=RunWhen.ANY_FAILED))
    succeeded = [one.name for one in steps if one.name != "left"]
    assert adoptable(Definition(steps=steps), succeeded) == ("top", "right", "beside")


@LAW
@hypothesis.given(definitions(), st.integers(0, 2**25 - 1))
def test_what_is_adoptable_is_sound_and_nothing_could_be_added(definition: Definition, drawn: int) -> None:
    names = [one.name for one in definition.steps]
    succeeded = [name for number, name in enumerate(names) if drawn >> number & 1]
    chosen = adoptable(definition, succeeded)
    assert problems(*definition.steps, adopt=adoption(*chosen)) == []
    for name in succeeded:
        if name not in chosen:
            rest = [other for other in succeeded if other in chosen or other == name]
            assert problems(*definition.steps, adopt=adoption(*rest))
