"""Mutants of kipu/core/folding.py: what one step's fact does to the others."""

from __future__ import annotations

from kipu.core.folding import release
from kipu.core.lifecycle import StepPhase
from kipu.core.policies import is_plain
from kipu.core.state import State
from tests.zoo.mutants import mutant


@mutant("_tell", breaks="I9", caught_by="tests/core/test_language.py")
def what_is_not_wanted_dooms_all_after_it(state: State, dependent: int, finished: int) -> None:
    """A step skipped by its own `when` is no success for those that need it."""
    phase = state.steps[finished].phase
    state.unmet[dependent] -= 1
    if phase is StepPhase.FAILED:
        state.any_failed.add(dependent)
    if state.steps[dependent].phase is not StepPhase.PENDING:
        return
    holds = phase is StepPhase.SUCCEEDED or (phase is StepPhase.FAILED and state.step(finished).allow_failure)
    culprit = state.step(finished).name
    if is_plain(state, dependent) and not holds:
        state.doomed.setdefault(dependent, culprit)
    elif state.unmet[dependent] == 0 and dependent not in state.doomed:
        release(state, dependent, culprit=culprit)


@mutant("_tell", breaks="I9", caught_by="tests/core/test_starting.py")
def one_need_is_enough(state: State, dependent: int, finished: int) -> None:
    """A step is ready once the first of its needs has finished."""
    state.unmet[dependent] -= 1
    phase = state.steps[finished].phase
    if phase is StepPhase.FAILED:
        state.any_failed.add(dependent)
    if state.steps[dependent].phase is StepPhase.PENDING and dependent not in state.ready:
        release(state, dependent, culprit=state.step(finished).name)
