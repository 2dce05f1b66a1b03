"""Mutants of kipu/api/evaluation.py: what expressions see."""

from __future__ import annotations

from kipu.api import values
from kipu.api.cel_cost import Shared
from kipu.api.evaluation import Evaluator
from kipu.core.definition import ValueType
from kipu.core.state import Fanout, State
from tests.zoo.mutants import mutant

_gather = Evaluator._gather


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


@mutant("Evaluator._gather", breaks="I13", caught_by="tests/api/test_evaluation.py")
def what_was_gathered_first_stands(self: Evaluator, state: State, fanout: Fanout, output: str) -> Shared:
    """The outputs of a fan-out are kept over its rerun, and what was given up is read."""
    if (kept := self._gathered.get((fanout.parent, output))) is not None:
        return kept[1]
    return _gather(self, state, fanout, output)
