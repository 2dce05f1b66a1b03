"""Mutants of kipu/api/evaluation.py: what expressions see."""

from __future__ import annotations

from kipu.api import values
from kipu.core.definition import ValueType
from kipu.core.state import State
from tests.zoo.mutants import mutant


@mutant("_of_step", breaks="I13", caught_by="tests/api/test_evaluation.py")
def an_output_that_is_not_there_is_empty(state: State, name: str, path: list[str]) -> object:
    """A step that has failed has written "", as far as anybody can see."""
    place = state.place_of(name)
    assert place is not None
    step = state.steps[place]
    known = {"phase": step.phase.value, "attempts": step.attempts, "exitCode": step.exit_code}
    if path[0] in known:
        return known[path[0]]
    return values.read((step.outputs or {}).get(path[-1], ""), ValueType.STRING)
