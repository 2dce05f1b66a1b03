"""What `decide` is told of a step's expressions. The core knows no language: it is given a function that does.

Promises: an evaluation is pure; what it yields is recorded before anything follows from it, and never asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Whether the step runs, and the texts to be put into its manifest, by their path in it."""

    holds: bool = True
    values: Mapping[str, str] = field(default_factory=dict)
    effort: int = 0  # what it took to find out, of EFFORT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Unevaluated:
    """An expression of the step has no value, and why."""

    message: str
    effort: int = 0


# Of the costliest evaluation, in places of a turn (turn.ATTEMPTS_PER_TURN_MAX): one such a turn, with its values.
EFFORT_MAX = 170
Evaluate = Callable[[State, int], Evaluated | Unevaluated]  # of the step at this place, whose needs are finished


def nothing_to_evaluate(_state: State, _place: int) -> Evaluated:
    """Of workflows without expressions."""
    return Evaluated()
