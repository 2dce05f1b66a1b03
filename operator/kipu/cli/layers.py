"""Where the nodes of a graph without cycles stand in a picture: in layers, each below all that it rests on.

By Sugiyama's method, as short as it goes: the longest path gives the layer, an edge over several layers gets a point in
each, the barycentre of the neighbours orders a layer, and a few passes pull each point towards its neighbours.
Promises: pure and deterministic; two points of a layer are at least 1 apart. Linear in points and edges, PASSES times.

The one library for this in pure Python, grandalf, has had no release since 2023, and its licence is another one than
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

PASSES = 8
POINTS_MAX = 20_000  # nodes, and where long edges pass a layer: a second or two


@dataclass(frozen=True, slots=True)
class Layout:
    """`spots`: of each node, its column and its layer; `bends`: of each edge, the points between its two ends."""

    spots: tuple[tuple[float, int], ...]
    bends: tuple[tuple[tuple[float, int], ...], ...]
    layers: int


def points(count: int, edges: Sequence[tuple[int, int]], floor: Sequence[int]) -> int:
    """How many points a layout would have."""
    layer = _layer(count, edges, floor)
    return count + sum(layer[below] - layer[above] - 1 for above, below in edges)


def depth(count: int, edges: Sequence[tuple[int, int]]) -> int:
    """How many layers there are, where no node has a floor."""
    return max(_layer(count, edges, [0] * count), default=-1) + 1


def lay_out(count: int, edges: Sequence[tuple[int, int]], floor: Sequence[int]) -> Layout:
    """Of the nodes 0 to count - 1; an edge goes from above to below, a node stands no higher than its floor."""
    layer = _layer(count, edges, floor)
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    chains: list[list[int]] = []
    for upper, lower in edges:
        chain = [upper]
        for between in range(layer[upper] + 1, layer[lower]):
            chain.append(len(layer))
            layer.append(between)
            above.append([])
            below.append([])
        chains.append([*chain, lower])
        for one, next_ in pairwise(chains[-1]):
            below[one].append(next_)
            above[next_].append(one)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for point, number in enumerate(layer):
        rows[number].append(point)
    column = _columns(rows, above, below)
    return Layout(
        spots=tuple((column[node], layer[node]) for node in range(count)),
        bends=tuple(tuple((column[point], layer[point]) for point in chain[1:-1]) for chain in chains),
        layers=len(rows),
    )


def _layer(count: int, edges: Sequence[tuple[int, int]], floor: Sequence[int]) -> list[int]:
    """By the longest path from above."""
    below: list[list[int]] = [[] for _ in range(count)]
    unmet = [0] * count
    for upper, lower in edges:
        below[upper].append(lower)
        unmet[lower] += 1
    layer = list(floor)
    free = [node for node in range(count) if not unmet[node]]
    for node in free:
        for lower in below[node]:
            layer[lower] = max(layer[lower], layer[node] + 1)
            unmet[lower] -= 1
            if not unmet[lower]:
                free.append(lower)
    return layer


def _columns(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[float]:
    column = [0.0] * len(above)
    for row in rows:
        for number, point in enumerate(row):
            column[point] = number - (len(row) - 1) / 2
    for number in range(PASSES):
        downward = number % 2 == 0
        for row in rows if downward else reversed(rows):
            _settle(row, above if downward else below, column)
    left = min(column, default=0.0)
    return [each - left for each in column]


def _settle(row: list[int], neighbours: list[list[int]], column: list[float]) -> None:
    """Order the row by where its points are drawn to, and put them there, as far apart as they must be."""
    wish = {
        point: sum(column[each] for each in near) / len(near) if (near := neighbours[point]) else column[point]
        for point in row
    }
    row.sort(key=lambda point: (wish[point], point))
    placed: list[float] = []
    for point in row:
        placed.append(max(wish[point], placed[-1] + 1) if placed else wish[point])
    # Pushed apart they have moved to the right: as a whole back to where they wanted to be.
    drift = sum(placed[number] - wish[point] for number, point in enumerate(row)) / max(1, len(row))
    for number, point in enumerate(row):
        column[point] = placed[number] - drift
