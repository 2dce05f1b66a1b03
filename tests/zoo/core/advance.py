"""Mutants of kipu/core/advance.py: what follows for the other steps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from kipu.core import policies
from kipu.core.advance import _start, _start_next, _take_down_everything
from kipu.core.ending import finish
from kipu.core.events import Reason, StepScheduled
from kipu.core.language import Evaluated
from kipu.core.naming import job_name
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant
from tests.zoo.selections import COST


@mutant("_schedule", breaks="I5, reuse an attempt number", caught_by="tests/core/test_retrying.py")
def an_attempt_number_is_used_again(turn: Turn, place: int) -> None:
    """A retry has the number, and so the Job's name, of the attempt before."""
    state, identity, name = turn.state, turn.identity, turn.state.step(place).name
    attempt = max(1, state.steps[place].attempts)
    job = job_name(workflow=identity.name, workflow_uid=identity.uid, run=state.run, step=name, attempt=attempt)
    turn.record(StepScheduled(run=state.run, step=name, attempt=attempt, job=job))


@mutant("_start_ready", breaks="quadratic rescan", caught_by=f"{COST}[wide, with deadlines]")
def what_is_ready_is_sought_among_all_steps(turn: Turn) -> bool:
    """Each turn walks over every step to find those that may start."""
    free = min(policies.places_free(turn.state, turn.slots), turn.attempts_left)
    ready = [place for place in dict.fromkeys(range(len(turn.state.steps))) if place in turn.state.ready]
    for place in ready[:free]:
        turn.attempts_left -= 1
        _start(turn, place, Evaluated())
    return False


@mutant("_skip_doomed", breaks="I16", caught_by="tests/core/test_failing.py")
def what_can_never_run_is_left_pending(turn: Turn) -> None:
    """Steps below a failure are not skipped, so that the run never ends."""


@mutant("_abandon", breaks="I11", caught_by="tests/core/test_shutdown.py")
def who_runs_is_cancelled_without_being_given_up(turn: Turn, places: Iterable[int], message: str) -> None:
    """A running step is called Cancelled at once; nobody takes its Job down."""
    turn.cancel(list(places))


@mutant("settle", breaks="I16", caught_by=("tests/core/test_failing.py", "tests/core/test_ends.py"))
def only_a_shutdown_is_settled(turn: Turn) -> None:
    """What follows from a failure is looked at only when everything is being taken down."""
    if turn.is_open:
        if turn.state.stopping is not None:
            _take_down_everything(turn)
        finish(turn)


@mutant("_start_next", breaks="I13, expressions evaluated again", caught_by="tests/core/test_language.py")
def every_attempt_is_evaluated_anew(turn: Turn, place: int) -> bool | None:
    """A retry reads what its expressions come to by then."""
    turn.attempts_left -= 1
    return _start(turn, place, turn.evaluate(turn.state, place))


@mutant("_start_ready", breaks="more Jobs than there are slots", caught_by="tests/core/test_language.py")
def each_pass_of_a_turn_has_all_slots_again(turn: Turn) -> bool:
    """What a turn has started before a step was skipped is not counted."""
    slots = turn.slots
    free = min(policies.places_free(turn.state, slots), turn.attempts_left)
    for place in list(islice(turn.state.ready, max(0, free))):
        if not _start_next(turn, place):
            turn.slots = slots
            return True
    turn.slots = slots
    return False


@mutant("_take_down_everything", breaks="I11, I16", caught_by="tests/core/test_fanning_out.py")
def a_shutdown_forgets_the_items(turn: Turn) -> None:
    """What is taken down are the steps of the definition alone."""
    state = turn.state
    count = len(state.steps) - len(state.owners)
    turn.cancel([*state.plain, *state.guarded, *(place for place in state.retrying if place < count)])
    for place in [place for place in state.live if place < count]:
        turn.abandon(place, Reason.CANCELLED, "shutdown requested")
    turn.cancel(state.idle)
