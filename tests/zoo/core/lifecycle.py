"""Mutants of kipu/core/lifecycle.py: the table of transitions."""

from __future__ import annotations

from kipu.core.events import StepScheduled
from kipu.core.lifecycle import STEP_TRANSITIONS, StepPhase
from tests.zoo.mutants import mutant


@mutant("STEP_TRANSITIONS", breaks="I5, I6", caught_by="tests/core/test_evolve.py", is_constant=True)
def a_succeeded_step_may_be_scheduled_again() -> dict[tuple[StepPhase, type], StepPhase]:
    """A row leads out of Succeeded."""
    return {**STEP_TRANSITIONS, (StepPhase.SUCCEEDED, StepScheduled): StepPhase.SCHEDULED}
