"""Mutants of kipu/core/patience.py: which ends wait for company."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kipu.core.commands import Command
from kipu.core.patience import _ended
from kipu.core.state import State
from tests.zoo.mutants import mutant

PATIENCE = "tests/core/test_patience.py"


@mutant("may_wait", breaks="I16", caught_by=PATIENCE)
def whatever_ends_waits(state: State, commands: Sequence[Command]) -> bool:
    """So does the end that lets the next step start."""
    return bool(_ended(state, commands))


@mutant("_lets_something_go_on", breaks="I16", caught_by=PATIENCE)
def each_end_is_looked_at_alone(state: State, ended: Collection[int]) -> bool:
    """Two that let a step start together both wait."""
    assert state.graph is not None
    steps = [place for place in ended if state.fanout_of(place) is None]
    return any(state.unmet[dependent] == 1 for place in steps for dependent in state.graph.dependents[place])
