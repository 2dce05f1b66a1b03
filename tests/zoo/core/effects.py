"""Mutants of kipu/core/effects.py: what the world should hold."""

from __future__ import annotations

from collections.abc import Iterable

from kipu.core.commands import AttemptRef
from kipu.core.effects import Effect, EnsureJob, EnsureNoJob, _effect, effects
from kipu.core.lifecycle import StepPhase
from kipu.core.state import State
from tests.zoo.mutants import mutant
from tests.zoo.selections import crashes

CORE = "tests/core/test_effects.py"
_effects = effects


@mutant("effects", breaks="I16, I20", caught_by=CORE)
def a_restart_forgets_who_was_leaving(state: State, steps: Iterable[str] | None = None) -> list[Effect]:
    """After a start only live attempts are seen to; nobody takes down the others."""
    if steps is None:
        steps = [state.name(place) for place in state.live]
    return [effect for step in steps if (effect := _effect(state, step)) is not None]


@mutant("_effect", breaks="I5, rerun from a stale cache after garbage collection", caught_by=CORE)
def a_finished_step_should_have_its_job(state: State, name: str) -> Effect | None:
    """The Job of a step that is over is made again, as if a Job that is not seen had never been."""
    place = state.place_of(name)
    if place is None or (step := state.steps[place]).attempt is None:
        return None
    ref = AttemptRef(run=state.run, step=name, attempt=step.attempt.number)
    if place in state.leaving:
        return EnsureNoJob(ref=ref, job=step.attempt.job, position=step.attempt.position)
    if step.phase in (StepPhase.SCHEDULED, StepPhase.SUCCEEDED):
        return EnsureJob(ref=ref, job=step.attempt.job, position=step.attempt.position)
    return None


@mutant("effects", breaks="I16, I20", caught_by=crashes("diamond", "CrashBefore"))
def a_restart_takes_nothing_up(state: State, steps: Iterable[str] | None = None) -> list[Effect]:
    """Effects are asked for when their events are committed, and never again."""
    return [] if steps is None else _effects(state, steps)
