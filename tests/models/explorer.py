"""Every reachable state of a small model, breadth first: what holds in all of them, and the shortest way to where not.

A model is a first state, the moves out of a state, what is wrong with a state, and which states are ends. The
explorer visits each state once, so a count of states is exact, and a trace is as short as any can be.

A move is *owed* if it will be made sooner or later: by our own code, by a controller, by the network that holds a
request. What merely may happen (a crash, a lost answer, a program that ends) is not. A state from which no end can
be reached by owed moves alone is one in which a run may hang for ever.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)
STATES_MAX = 1_000_000  # some 1 KB each: more is a model that grew a counter without a bound


class Move(NamedTuple, Generic[S]):
    """One step of somebody, as a person would tell it, and the state after it."""

    label: str
    state: S
    owed: bool = True


class Model(Protocol[S]):
    """What is explored. States are compared and hashed: make them of tuples and frozen sets."""

    def first(self) -> Iterable[S]:
        """The states in which it may begin."""

    def moves(self, state: S) -> Iterable[Move[S]]:
        """Everything that anybody may do now."""

    def fault(self, state: S) -> str:
        """What is wrong with this state; empty if nothing is."""

    def is_end(self, state: S) -> bool:
        """Whether nothing is left to do, if that is asked of the model at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """What was found. `fault` is empty when all of the states are sound."""

    states: int
    fault: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.fault:
            return f"{self.states} states, no violation"
        steps = "\n".join(f"  {number}. {label}" for number, label in enumerate(self.trace, start=1))
        return f"{self.states} states, then after {len(self.trace)} steps: {self.fault}\n{steps}"


def explore(model: Model[S], *, ends: bool = False, states_max: int = STATES_MAX) -> Exploration:
    """Visit all states, or stop at the first faulty one. With `ends`, an end must be reachable from each."""
    search = _Search(model, states_max)
    for place, state in search.visit():
        if fault := model.fault(state):
            return Exploration(states=len(search.states), fault=fault, trace=search.way_to(place))
    if ends and (stuck := search.first_without_end()) is not None:
        fault = "from here no end can be reached unless somebody is lucky"
        return Exploration(states=len(search.states), fault=fault, trace=search.way_to(stuck))
    return Exploration(states=len(search.states))


class _Search(Generic[S]):
    def __init__(self, model: Model[S], states_max: int) -> None:
        self.model = model
        self.states_max = states_max
        self.states: list[S] = []
        self.places: dict[S, int] = {}
        self.came: list[tuple[int, str]] = []  # from where, by which move
        self.owed_from: list[list[int]] = []  # from which states an owed move leads here

    def visit(self) -> Iterator[tuple[int, S]]:
        """Each state once, in the order of its distance."""
        for state in self.model.first():
            self._reach(state, -1, "")
        place = 0
        while place < len(self.states):
            state = self.states[place]
            yield place, state
            for label, after, owed in self.model.moves(state):
                target = self._reach(after, place, label)
                if owed and target != place:
                    self.owed_from[target].append(place)
            place += 1

    def _reach(self, state: S, origin: int, label: str) -> int:
        place = self.places.setdefault(state, len(self.states))
        if place == len(self.states):
            assert place < self.states_max, f"more than {self.states_max} states"
            self.states.append(state)
            self.came.append((origin, label))
            self.owed_from.append([])
        return place

    def way_to(self, place: int) -> tuple[str, ...]:
        """The moves from a first state to this one."""
        labels = []
        while self.came[place][0] >= 0:
            place, label = self.came[place]
            labels.append(label)
        return tuple(reversed(labels))

    def first_without_end(self) -> int | None:
        """The nearest state from which owed moves lead to no end."""
        ending = [place for place, state in enumerate(self.states) if self.model.is_end(state)]
        reached = set(ending)
        while ending:
            for origin in self.owed_from[ending.pop()]:
                if origin not in reached:
                    reached.add(origin)
                    ending.append(origin)
        return next((place for place in range(len(self.states)) if place not in reached), None)
