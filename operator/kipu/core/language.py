"""What `decide` is told of a step's expressions. The core knows no language: it is given a function that does.

Promises: an evaluation is pure; what it yields is recorded before anything follows from it, and never asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .events import Items
from .state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Whether the step runs, the texts to be put into its manifest, by their path in it, and a fan-out's items."""

    holds: bool = True
    values: Mapping[str, str] = field(default_factory=dict)
    items: Items | None = None  # None where the definition says what they are
    effort: int = 0  # what it took to find out, of EFFORT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Unevaluated:
    """An expression of the step has no value, and why."""

    message: str
    effort: int = 0


# Of the costliest evaluation, in places of a turn (turn.ATTEMPTS_PER_TURN_MAX): one such a turn, with its values.
EFFORT_MAX = 170
# Of the step or item at this place, whose needs are finished. A fan-out is asked whether it runs and for its items,
# each of its items for its texts.
Evaluate = Callable[[State, int], Evaluated | Unevaluated]


def nothing_to_evaluate(_state: State, _place: int) -> Evaluated:
    """Of workflows without expressions."""
    return Evaluated()
