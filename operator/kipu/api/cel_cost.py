"""What an expression can cost, before it is evaluated: an upper bound computed from its tree and its values.

The library bounds nesting (32) and loops (10,000 turns), but `[s].map(x, x + x)` chained thirty times is short, loops
thirty times and takes 4 GB; and its map and filter copy their list at each turn. So every node is given a bound: how
large its value can be written out, how long it is, how large its largest element is, and what it takes to get there.

Promises: linear in the tree and the values; depends on nothing but them, so the same expression on the same values is
taken or refused everywhere, whatever the machine. Never below the truth for what the language has; a bound, no measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .cel_tree import Call, Constant, Loop, Many, Name, Node, Select

# Of all expressions of a step together. A unit is about 25 ns (a copied list element, measured: ADR 0014) or 8 bytes of
# text made: 4 million are 0.1 s of the operator's loop, and 32 MB. A list of 2,000 items can be mapped once, one of
# 1,000 four times.
COST_MAX = 4_000_000
SIZE_MAX = 4_000_000  # of any value written out, in bytes: what `steps[...]` gathers of a large fan-out may have
SCALAR_SIZE = 40  # the longest text of a number or a time
UNIT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Bound:
    """Of a value: its size written out, how many elements it has, and the bound of each (None for a scalar)."""

    size: int
    length: int = 0
    element: Bound | None = None

    def __or__(self, other: Bound) -> Bound:
        """Of a value that is one of two."""
        return Bound(max(self.size, other.size), max(self.length, other.length), _either(self.element, other.element))

    def __add__(self, other: Bound) -> Bound:
        """Of two values put together."""
        return Bound(self.size + other.size, self.length + other.length, _either(self.element, other.element))

    def times(self, turns: int) -> Bound:
        """Of so many values put together."""
        return Bound(self.size * turns, self.length * turns, self.element)


@dataclass(slots=True)
class Cost:
    """What is known after a walk, or after those of all expressions of a step: the cost so far, the largest value."""

    spent: int = 0
    largest: int = 0

    def add(self, other: Cost) -> None:
        """Of one more expression."""
        self.spent, self.largest = self.spent + other.spent, max(self.largest, other.largest)

    def excess(self) -> str | None:
        """Why this is not evaluated, or None."""
        if self.largest > SIZE_MAX:
            return f"could come to a value of more than {SIZE_MAX} bytes"
        return "could take too long with values of this size" if self.spent > COST_MAX else None


class Shared(list[object]):
    """A list that many expressions read, and that is measured for all of them at once. It does not change."""

    @cached_property
    def bound(self) -> Bound:
        """As of any list."""
        return _collect([measure(item) for item in self])


SCALAR = Bound(SCALAR_SIZE)
NOTHING = Bound(0)


def estimate(tree: Node, values: Mapping[str, object]) -> Cost:
    """An upper bound of what evaluating the tree over these values costs."""
    walk = _Walk()
    walk.bound(tree, {name: measure(value) for name, value in values.items()})
    return walk.cost


def measure(value: object) -> Bound:
    """The bound of a value that is known."""
    match value:
        case str():
            return Bound(len(value) + 2)
        case Shared():
            return value.bound
        case list():
            return _collect([measure(item) for item in value])
        case Mapping():
            return _collect([measure(part) for item in value.items() for part in item], len(value))
    return SCALAR


def _collect(elements: list[Bound], length: int | None = None) -> Bound:
    element: Bound | None = None
    for one in elements:
        element = _either(element, one)
    return Bound(2 + sum(e.size + 1 for e in elements), len(elements) if length is None else length, element or SCALAR)


def _either(one: Bound | None, other: Bound | None) -> Bound | None:
    return (one | other) if one and other else one or other


class _Walk:
    """Bounds of nodes, bottom up; what each costs is added up once for each time that it may be evaluated."""

    def __init__(self) -> None:
        self.cost = Cost()

    def bound(self, node: Node, known: Mapping[str, Bound]) -> Bound:
        """Of this node, whose variables have these bounds."""
        self.cost.spent += 1
        found = self._bound(node, known)
        self.cost.largest = max(self.cost.largest, found.size)
        return found

    def _bound(self, node: Node, known: Mapping[str, Bound]) -> Bound:
        match node:
            case Constant():
                return Bound(max(node.size, SCALAR_SIZE))
            case Name():
                return known.get(node.name, SCALAR)
            case Select():
                operand = self.bound(node.operand, known)
                return SCALAR if node.tests else operand.element or SCALAR
            case Many():
                return _collect([self.bound(element, known) for element in node.elements])
            case Call():
                return self._call(node.function, [self.bound(argument, known) for argument in node.arguments])
            case Loop():
                return self._loop(node, known)
        raise AssertionError(node)

    def _call(self, function: str, arguments: list[Bound]) -> Bound:
        match function, arguments:
            case "_?_:_", [_, one, other]:
                return one | other
            case "_[_]", [operand, _]:
                return operand.element or SCALAR
            case "_+_", [one, other]:
                both = one + other
                # A list is copied by its elements, a text by its bytes.
                self.cost.spent += both.length if both.element else both.size // UNIT_BYTES
                return both
            case "dyn", [one]:
                return one
            case (("_&&_" | "_||_" | "!_" | "@not_strictly_false"), _):
                return SCALAR
        # Comparisons, searches, conversions: they look at their arguments once, and yield at most a text of them.
        looked_at = sum(argument.size for argument in arguments)
        self.cost.spent += looked_at // UNIT_BYTES
        return Bound(max(looked_at, SCALAR_SIZE)) if function in _TEXTS else SCALAR

    def _loop(self, loop: Loop, known: Mapping[str, Bound]) -> Bound:
        span = self.bound(loop.span, known)
        turns = span.length
        inner = {**known, **dict.fromkeys(loop.names, span.element or SCALAR)}
        begin = self.bound(loop.begin, known)
        # What one turn adds to a list is seen from a turn on nothing; after the last turn it has been added so often.
        spent = self.cost.spent
        once = self._step(loop, inner, NOTHING)
        result = begin + once.times(turns) if once.element else begin | once
        self.cost.spent = spent
        self._step(loop, inner, result)
        self.bound(loop.condition, {**inner, loop.result_name: result})
        self.cost.spent = spent + max(1, turns) * (self.cost.spent - spent)
        return self.bound(loop.result, {**known, loop.result_name: result})

    def _step(self, loop: Loop, inner: Mapping[str, Bound], so_far: Bound) -> Bound:
        return self.bound(loop.step, {**inner, loop.result_name: so_far})


_TEXTS = frozenset({"string", "bytes", "type"})
