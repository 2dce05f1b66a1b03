"""Mutants of kipu/core/turn.py: the bounds of a turn."""

from __future__ import annotations

from kipu.core.commands import AttemptRef
from kipu.core.turn import Turn
from tests.zoo.mutants import mutant


@mutant("Turn.current", breaks="I6", caught_by="tests/core/test_observations.py")
def news_of_an_older_attempt_is_news_of_the_newest(self: Turn, ref: AttemptRef) -> int | None:
    """Which attempt an observation is about is not compared."""
    place = self.state.place_of(ref.step)
    return place if place in self.state.live else None


@mutant("NAMES_PER_TURN_MAX", breaks="I16, retry on too-large", caught_by="tests/core/test_bounds.py", is_constant=True)
def a_turn_names_as_many_steps_as_there_are() -> int:
    """A turn's events may exceed what one commit can hold."""
    return 1_000_000
