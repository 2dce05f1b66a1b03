"""The explorer itself, on models small enough to count by hand."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.models.explorer import Move, explore


@dataclass(frozen=True)
class Counters:
    """Two counters from 0 to 3, each raised by one; the sum `bad` is a fault."""

    bad: int = 99
    owed: bool = True

    def first(self) -> Iterable[tuple[int, int]]:
        return [(0, 0)]

    def moves(self, state: tuple[int, int]) -> Iterable[Move[tuple[int, int]]]:
        left, right = state
        if left < 3:
            yield Move("left", (left + 1, right))
        if right < 3:
            yield Move("right", (left, right + 1), self.owed)

    def fault(self, state: tuple[int, int]) -> str:
        return "bad" if sum(state) == self.bad else ""

    def is_end(self, state: tuple[int, int]) -> bool:
        return state == (3, 3)


def test_every_state_is_visited_once() -> None:
    assert explore(Counters(), ends=True).states == 16


def test_a_fault_is_told_by_a_shortest_way() -> None:
    found = explore(Counters(bad=2))
    assert (found.fault, found.trace) == ("bad", ("left", "left"))
    assert str(found).endswith("then after 2 steps: bad\n  1. left\n  2. left")


def test_an_end_that_only_luck_can_reach_is_none() -> None:
    found = explore(Counters(owed=False), ends=True)
    assert (found.states, found.trace) == (16, ())
    assert "lucky" in found.fault


def test_a_model_that_grows_beyond_the_bound_is_refused() -> None:
    assert explore(Counters(), states_max=16).fault == ""
    with pytest.raises(AssertionError, match="more than 15 states"):
        explore(Counters(), states_max=15)
