"""Mutants of kipu/core/opening.py: how a run begins and begins again."""

from __future__ import annotations

from kipu.core.lifecycle import StepPhase
from kipu.core.state import State
from tests.zoo.mutants import mutant


@mutant("kept_by", breaks="I15", caught_by="tests/core/test_rerun.py")
def whatever_has_succeeded_is_kept(state: State, begins: tuple[str, ...]) -> frozenset[str]:
    """A rerun keeps results that are older than what they rest on."""
    names = ((state.step(place).name, step.phase) for place, step in enumerate(state.steps))
    return frozenset(name for name, phase in names if phase is StepPhase.SUCCEEDED and name not in begins)
