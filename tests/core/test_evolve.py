"""The fold refuses what no decision can have written: every illegal step of a history is a CorruptionError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kipu.core.definition import Definition, Effects, OnFailure
from kipu.core.errors import CorruptionError
from kipu.core.events import (
    EVENT_TYPES,
    ApprovalRequested,
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    Event,
    LateResultIgnored,
    Reason,
    ShutdownMode,
    ShutdownRequested,
    SkipReason,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    WaitStarted,
    WorkflowAccepted,
    WorkflowEnd,
    WorkflowFinished,
    WorkflowRejected,
)
from kipu.core.evolve import evolve, fold
from kipu.core.lifecycle import STEP_TRANSITIONS, TERMINAL_STEP_PHASES, StepPhase, next_phase
from kipu.core.state import State
from tests.core.given import SECOND, Flow, approval, flow, step
from tests.core.invariants import check_indexes

# One event of each kind that moves a step, about attempt 1 of step "a".
STEP_EVENTS: dict[type[Event], Event] = {
    type(event): event
    for event in (
        StepScheduled(run=1, step="a", attempt=2, job="j"),
        StepEvaluated(run=1, step="a", values={"args[0]": "x"}),
        StepStarted(run=1, step="a", attempt=1, job_uid="u", started_at=1),
        StepSucceeded(run=1, step="a", attempt=1, job_uid="u"),
        LateResultIgnored(run=1, step="a", attempt=1, job_uid="u"),
        StepAdopted(run=1, step="a", source_uid="o", source_run=1, source_position=1, source_hash="h"),
        ApprovalRequested(run=1, step="a"),
        WaitStarted(run=1, step="a", due=5),
        StepExpanded(run=1, step="a", count=2),
        StepCompleted(run=1, step="a"),
        AttemptAbandoned(run=1, step="a", attempt=1, reason=Reason.CANCELLED),
        AttemptUnknown(run=1, step="a", attempt=1, reason=Reason.LOST),
        AttemptFailed(run=1, step="a", attempt=1, reason=Reason.EXIT_CODE, retry_at=5),
        StepFailed(run=1, step="a", reason=Reason.EXIT_CODE),
        StepsSkipped(run=1, steps=("a",), culprit="b", reason=SkipReason.DEPENDENCY),
        StepsCancelled(run=1, steps=("a",)),
    )
}


def pending() -> Flow:
    return flow(step("a"), step("b"), slots=0)


def scheduled() -> Flow:
    return flow(step("a", attempts=3), step("b"))


def running() -> Flow:
    given = scheduled()
    given.start("a")
    return given


def retrying() -> Flow:
    given = scheduled()
    given.fail("a")
    return given


def unknown() -> Flow:
    given = flow(replace(step("a", attempts=3), effects=Effects.EXTERNAL), step("b"))
    given.start("a")
    given.lose("a")
    given.gone("a")
    return given


def suspended() -> Flow:
    return flow(approval("a"), step("b"))


def succeeded() -> Flow:
    given = scheduled()
    given.succeed("a")
    return given


def failed() -> Flow:
    given = scheduled()
    given.refuse("a")
    return given


def skipped() -> Flow:
    given = flow(step("b", allow_failure=True), step("c"), step("a", "c"))
    given.fail("c")
    return given


def cancelled() -> Flow:
    given = flow(step("b"), step("a", "b"))
    given.shut_down()
    return given


WAYS: dict[StepPhase, Callable[[], Flow]] = {
    StepPhase.PENDING: pending,
    StepPhase.SCHEDULED: scheduled,
    StepPhase.RUNNING: running,
    StepPhase.RETRYING: retrying,
    StepPhase.SUSPENDED: suspended,
    StepPhase.UNKNOWN: unknown,
    StepPhase.SUCCEEDED: succeeded,
    StepPhase.FAILED: failed,
    StepPhase.SKIPPED: skipped,
    StepPhase.CANCELLED: cancelled,
}
ILLEGAL = [(phase, kind) for phase in StepPhase for kind in STEP_EVENTS if (phase, kind) not in STEP_TRANSITIONS]


@pytest.mark.parametrize(("phase", "kind"), ILLEGAL, ids=str)
def test_a_transition_that_is_not_in_the_table_is_corruption(phase: StepPhase, kind: type[Event]) -> None:
    given = WAYS[phase]()
    assert given.step("a").phase is phase
    with pytest.raises(CorruptionError):
        evolve(given.state, STEP_EVENTS[kind], ts=given.now)


@pytest.mark.parametrize(("phase", "kind"), ILLEGAL, ids=str)
def test_the_table_itself_names_the_step_and_the_event(phase: StepPhase, kind: type[Event]) -> None:
    with pytest.raises(CorruptionError, match=f"step 'a' is {phase} and cannot take the event {kind.__name__}"):
        next_phase(phase, kind, "a")


def test_an_ordinary_step_fails_only_once_its_attempt_is_over() -> None:
    """The row from Running is there for fan-outs, which have no attempt."""
    with pytest.raises(CorruptionError, match="step 'a' ends while its attempt may run"):
        evolve(running().state, STEP_EVENTS[StepFailed], ts=0)


def test_no_row_leaves_a_final_phase() -> None:
    assert not {phase for phase, _ in STEP_TRANSITIONS} & TERMINAL_STEP_PHASES


def test_every_phase_can_be_reached_and_every_open_one_can_be_left() -> None:
    assert set(STEP_TRANSITIONS.values()) | {StepPhase.PENDING} == set(StepPhase)
    assert {phase for phase, _ in STEP_TRANSITIONS} == set(StepPhase) - TERMINAL_STEP_PHASES


def test_every_kind_of_event_in_the_table_is_an_event() -> None:
    assert {kind for _, kind in STEP_TRANSITIONS} == set(STEP_EVENTS)
    assert set(STEP_EVENTS) < set(EVENT_TYPES)


# -- attempts ----------------------------------------------------------------------------------------


def news(attempt: int) -> list[Event]:
    return [
        StepStarted(run=1, step="a", attempt=attempt, job_uid="u", started_at=1),
        StepSucceeded(run=1, step="a", attempt=attempt, job_uid="u"),
        AttemptAbandoned(run=1, step="a", attempt=attempt, reason=Reason.LOST),
        AttemptFailed(run=1, step="a", attempt=attempt, reason=Reason.LOST),
    ]


@pytest.mark.parametrize(
    "event", [*news(0), *news(2), *news(3)], ids=lambda event: f"{type(event).__name__}{event.attempt}"
)
def test_news_of_an_attempt_that_is_not_the_newest_is_corruption(event: Event) -> None:
    with pytest.raises(CorruptionError, match="is not its newest"):
        evolve(scheduled().state, event, ts=0)


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_attempts_are_counted_without_a_gap(attempt: int) -> None:
    given = retrying()
    given.slots = 0
    given.pass_time(SECOND)
    with pytest.raises(CorruptionError, match=f"attempt {attempt} follows attempt 1"):
        evolve(given.state, StepScheduled(run=1, step="a", attempt=attempt, job="j"), ts=0)


@pytest.mark.parametrize("kind", [StepStarted, StepSucceeded, AttemptAbandoned], ids=str)
def test_an_attempt_that_was_given_up_neither_starts_nor_succeeds_nor_is_given_up_again(kind: type[Event]) -> None:
    given = scheduled()
    given.lose("a")
    with pytest.raises(CorruptionError, match="was given up"):
        evolve(given.state, STEP_EVENTS[kind], ts=0)


@pytest.mark.parametrize("given", [scheduled(), running()], ids=["scheduled", "running"])
def test_a_step_is_not_cancelled_while_its_attempt_may_run(given: Flow) -> None:
    with pytest.raises(CorruptionError, match="while its attempt may run"):
        evolve(given.state, STEP_EVENTS[StepsCancelled], ts=0)


@pytest.mark.parametrize("step_name", ["a", None])
def test_a_backoff_ends_only_when_a_step_waits_for_it(step_name: str | None) -> None:
    with pytest.raises(CorruptionError, match="waits for no backoff"):
        evolve(scheduled().state, TimerFired(run=1, kind=TimerKind.BACKOFF, due=7, step=step_name), ts=0)


# -- the workflow ------------------------------------------------------------------------------------


def about(step_name: str) -> list[Event]:
    return [
        StepScheduled(run=1, step=step_name, attempt=1, job="j"),
        StepStarted(run=1, step=step_name, attempt=1, job_uid="u", started_at=1),
        StepFailed(run=1, step=step_name, reason=Reason.LOST),
        StepsSkipped(run=1, steps=("a", step_name), culprit="a", reason=SkipReason.DEPENDENCY),
        StepsCancelled(run=1, steps=("a", step_name)),
        TimerFired(run=1, kind=TimerKind.STEP_TIMEOUT, due=1, step=step_name),
    ]


@pytest.mark.parametrize("event", about("nobody"), ids=lambda event: type(event).__name__)
def test_a_step_that_is_not_in_the_definition_is_corruption(event: Event) -> None:
    with pytest.raises(CorruptionError, match="there is no step 'nobody'"):
        evolve(pending().state, event, ts=0)


FINISHED = WorkflowFinished(run=1, end=WorkflowEnd.SUCCEEDED, reason="Completed")
OF_THE_WORKFLOW: list[Event] = [
    ShutdownRequested(run=1, mode=ShutdownMode.CANCEL),
    TimerFired(run=1, kind=TimerKind.WORKFLOW_TIMEOUT, due=1),
    FINISHED,
]
ACCEPTED = WorkflowAccepted(run=1, spec_hash="h", definition=Definition(steps=()))
REJECTED = WorkflowRejected(spec_hash="h", problems=())


@pytest.mark.parametrize("event", [*about("a"), *OF_THE_WORKFLOW], ids=lambda event: type(event).__name__)
def test_nothing_happens_before_the_workflow_is_accepted(event: Event) -> None:
    with pytest.raises(CorruptionError, match="never accepted"):
        evolve(State(), event, ts=0)


@pytest.mark.parametrize("event", [ACCEPTED, REJECTED], ids=lambda event: type(event).__name__)
def test_a_workflow_is_admitted_once(event: Event) -> None:
    with pytest.raises(CorruptionError, match="accepted already"):
        evolve(pending().state, event, ts=0)


def test_the_first_run_is_number_one() -> None:
    with pytest.raises(CorruptionError, match="this is run 0, not 2"):
        evolve(State(), WorkflowAccepted(run=2, spec_hash="h", definition=Definition(steps=())), ts=0)


@pytest.mark.parametrize("run", [0, 2])
def test_an_event_of_another_run_is_corruption(run: int) -> None:
    with pytest.raises(CorruptionError, match=f"this is run 1, not {run}"):
        evolve(pending().state, StepScheduled(run=run, step="a", attempt=1, job="j"), ts=0)


@pytest.mark.parametrize("given", [pending(), scheduled(), retrying()], ids=["pending", "scheduled", "retrying"])
def test_a_run_does_not_finish_with_steps_left(given: Flow) -> None:
    with pytest.raises(CorruptionError, match="some steps have not ended"):
        evolve(given.state, FINISHED, ts=0)


@pytest.mark.parametrize("opening", [[ACCEPTED, FINISHED], [REJECTED]], ids=["finished", "rejected"])
@pytest.mark.parametrize(
    "event", [*about("a"), *OF_THE_WORKFLOW, ACCEPTED, REJECTED], ids=lambda event: type(event).__name__
)
def test_nothing_happens_after_the_end(opening: list[Event], event: Event) -> None:
    state = fold((one, 0) for one in opening)
    with pytest.raises(CorruptionError, match="the run has ended"):
        evolve(state, event, ts=0)


@pytest.mark.parametrize("epoch", [0, 3, 4])
def test_the_epoch_only_rises(epoch: int) -> None:
    state = evolve(State(), StreamClaimed(epoch=4, writer="w"), ts=0)
    with pytest.raises(CorruptionError, match="does not rise"):
        evolve(state, StreamClaimed(epoch=epoch, writer="w"), ts=0)


def test_a_step_that_one_need_has_doomed_is_not_made_ready_by_the_last() -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b"), on_failure=OnFailure.CONTINUE)
    failure, success = given.outcome("a", reason=Reason.EXIT_CODE), given.outcome("b")
    given.tell(failure, success)
    ended = [isinstance(event, StepSucceeded) for event, _ in given.log].index(True) + 1
    state = fold(given.log[:ended])
    assert (set(state.doomed), set(state.ready)) == ({2}, set())
    check_indexes(state)


def test_a_fold_goes_on_from_a_given_state() -> None:
    given = retrying()
    half = len(given.log) // 2
    assert fold(given.log[half:], fold(given.log[:half])) == fold(given.log)
