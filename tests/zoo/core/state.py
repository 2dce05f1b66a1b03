"""Mutants of kipu/core/state.py: the indexes and the canonical form."""

from __future__ import annotations

from kipu.core.state import State
from tests.zoo.mutants import mutant
from tests.zoo.selections import COST


@mutant("State.jobs_active", breaks="I18, rescan of all steps", caught_by=f"{COST}[a fan-out with few places]")
def active_jobs_are_counted_step_by_step(self: State) -> int:
    """How many Jobs are active is found out by a walk over all steps."""
    return sum(place in self.live or place in self.leaving for place in dict.fromkeys(range(len(self.steps))))


@mutant("State.jobs_active", breaks="I16", caught_by="tests/core/test_sub_workflows.py")
def a_child_holds_a_place(self: State) -> int:
    """An attempt is an attempt."""
    return len(self.live) + len(self.leaving)
