"""In which order waiting workflows were served: who overtook whom. Pure.

Of a row of entries, as their Jobs came, all of which had been accepted before the first of these Jobs: so each of them
waited while the ones before it were served, and every pair counts.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """Of one workflow."""

    priority: int
    accepted: int  # etcd's revision: the lower, the older


def pairs_of_priorities(row: Sequence[Entry]) -> int:
    """How many pairs there are of two entries with different priorities."""
    same = sum(count * (count - 1) // 2 for count in Counter(each.priority for each in row).values())
    return len(row) * (len(row) - 1) // 2 - same


def lower_first(row: Sequence[Entry]) -> int:
    """In how many pairs the one with the lower priority came first."""
    after: Counter[int] = Counter()
    found = 0
    for entry in reversed(row):
        found += sum(count for priority, count in after.items() if priority > entry.priority)
        after[entry.priority] += 1
    return found


def overtaken(row: Sequence[Entry]) -> list[int]:
    """Of each entry how many younger ones of its own priority came before it."""
    served: dict[int, list[int]] = {}
    found = []
    for entry in row:
        before = served.setdefault(entry.priority, [])
        found.append(len(before) - bisect_right(before, entry.accepted))
        insort(before, entry.accepted)
    return found
