"""The shape of a workflow: which step waits for which, and whether that can end.

Promises: linear in steps plus edges; every fault is named with its path and the nearest valid name.
Must never look at phases: what has happened is `state`'s business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from .definition import Definition, Step
from .errors import Problem
from .texts import nearest

# More would not be read, would not fit a record of 16 KiB (20 x 0.4 KiB = 8 KiB), and each unknown name costs a
# comparison with every known one.
PROBLEMS_MAX = 20
CYCLE_NAMES_MAX = 20  # x (63 + 4) bytes = 1.3 KiB of one problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Steps by their place in the definition, and the edges in both directions."""

    index: dict[str, int]
    needs: tuple[tuple[int, ...], ...]
    dependents: tuple[tuple[int, ...], ...]


def build(definition: Definition) -> Graph:
    """The graph of a definition that `check` found sound."""
    index = {step.name: place for place, step in enumerate(definition.steps)}
    needs = tuple(tuple(index[name] for name in step.depends_on) for step in definition.steps)
    dependents: list[list[int]] = [[] for _ in definition.steps]
    for place, places in enumerate(needs):
        for need in places:
            dependents[need].append(place)
    return Graph(index=index, needs=needs, dependents=tuple(tuple(places) for places in dependents))


def check(definition: Definition) -> tuple[Problem, ...]:
    """The first PROBLEMS_MAX faults that would keep the graph from running; empty when it is sound."""
    problems = list(islice(_check_names(definition.steps), PROBLEMS_MAX))
    if not problems:
        cycle = _find_cycle(definition)
        if cycle:
            problems.append(
                Problem(
                    path=f"{paths(definition.steps)[cycle[0]]}.dependsOn",
                    reason="the steps wait for each other: " + _trail([definition.steps[i].name for i in cycle]),
                    hint="remove one of these dependencies",
                )
            )
    return tuple(problems)


def paths(steps: Sequence[Step]) -> list[str]:
    """Where each step stands in the spec; those of `finally` are behind all others."""
    before = sum(not step.in_finally for step in steps)
    return [
        f"spec.finally[{place - before}]" if step.in_finally else f"spec.steps[{place}]"
        for place, step in enumerate(steps)
    ]


def _trail(names: list[str]) -> str:
    if len(names) > CYCLE_NAMES_MAX:
        left_out = len(names) - CYCLE_NAMES_MAX
        names = [*names[: CYCLE_NAMES_MAX - 1], f"({left_out} more)", names[-1]]
    return " -> ".join(names)


def _check_names(steps: Sequence[Step]) -> Iterator[Problem]:
    first_place: dict[str, int] = {}
    path = paths(steps)
    for place, step in enumerate(steps):
        if step.name in first_place:
            yield Problem(
                path=f"{path[place]}.name",
                reason=f"'{step.name}' is already the name of {path[first_place[step.name]]}",
                hint="give every step a name of its own",
            )
        first_place.setdefault(step.name, place)
    for place, step in enumerate(steps):
        yield from _check_needs(path[place], step, first_place, steps)


def _check_needs(where: str, step: Step, known: dict[str, int], steps: Sequence[Step]) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, need in enumerate(step.depends_on):
        path = f"{where}.dependsOn[{number}]"
        if need == step.name:
            yield Problem(path=path, reason=f"step '{step.name}' waits for itself", hint="remove it")
        elif need in seen:
            yield Problem(path=path, reason=f"'{need}' is listed twice", hint="remove one of the two")
        elif need not in known:
            yield no_step(need, known, path)
        elif steps[known[need]].in_finally and not step.in_finally:
            reason = f"'{need}' is a step of finally, which begins when all others are over"
            yield Problem(path=path, reason=reason, hint="remove it")
        elif step.in_finally and not steps[known[need]].in_finally:
            reason = f"'{need}' is over whenever finally begins"
            yield Problem(path=path, reason=reason, hint="remove it; KIPU_OUTCOME says what the steps came to")
        seen.add(need)


def no_step(name: str, known: Iterable[str], path: str) -> Problem:
    """A name that is no step's."""
    hint = nearest(name, known) or "name a step of this workflow"
    return Problem(path=path, reason=f"there is no step '{name}'", hint=hint)


def _find_cycle(definition: Definition) -> list[int]:
    """One cycle as places, first and last the same; empty if there is none. Kahn's algorithm."""
    graph = build(definition)
    unmet = [len(places) for places in graph.needs]
    free = deque(place for place, count in enumerate(unmet) if count == 0)
    while free:
        for dependent in graph.dependents[free.popleft()]:
            unmet[dependent] -= 1
            if unmet[dependent] == 0:
                free.append(dependent)
    stuck = next((place for place, count in enumerate(unmet) if count > 0), None)
    return [] if stuck is None else _walk_back(graph, unmet, stuck)


def _walk_back(graph: Graph, unmet: list[int], start: int) -> list[int]:
    """From a step that Kahn could not free, follow unfree needs until one comes again."""
    trail: dict[int, int] = {}
    place = start
    while place not in trail:
        trail[place] = len(trail)
        place = next(need for need in graph.needs[place] if unmet[need] > 0)
    return [*list(trail)[trail[place] :], place]


class Upstream:
    """Which steps are over before another one starts: all that it waits for, through any number of others."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._last = {step.name for step in definition.steps if step.in_finally}
        self._graph: Graph | None = None
        self._ancestors: list[int] = []  # of each step, as bits: 5,000 x 625 bytes, filled when first asked for

    def holds(self, later: str, earlier: str) -> bool:
        """Whether the one starts after the other is over."""
        if later in self._last and earlier not in self._last:
            return True
        if self._graph is None:
            self._graph = build(self._definition)
            self._ancestors = _ancestors(self._graph)
        return bool(self._ancestors[self._graph.index[later]] >> self._graph.index[earlier] & 1)


def _ancestors(graph: Graph) -> list[int]:
    """Of a graph without cycles, as one number of bits for each step. Each edge costs one union of them."""
    found = [0] * len(graph.needs)
    unmet = [len(needs) for needs in graph.needs]
    free = [place for place, count in enumerate(unmet) if count == 0]
    for place in free:
        for dependent in graph.dependents[place]:
            found[dependent] |= found[place] | 1 << place
            unmet[dependent] -= 1
            if unmet[dependent] == 0:
                free.append(dependent)
    return found
