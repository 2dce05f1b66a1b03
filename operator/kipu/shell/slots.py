"""Places for Jobs: the operator's bound and that of each namespace, shared by priority, then by age.

Promises: a place that comes free is kept for whoever is woken for it until that one has decided, so that nobody of a
lower priority takes it meanwhile; a namespace that is full holds nobody else up. A wake costs as much as there are
namespaces in which somebody waits. Touched from the engine's loop only.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .openings import Rank


@dataclass(frozen=True, slots=True, order=True)
class _Waiter:
    rank: tuple[int, int, int]  # as in `openings`, then who began to wait first
    uid: str = field(compare=False)
    wake: Callable[[], None] = field(compare=False)


def _ignore(_figure: float) -> None:
    """Nobody wants to know."""


class Slots:
    """Counts the places that each workflow's attempts hold."""

    def __init__(
        self,
        limit: int,
        on_change: Callable[[int], None] = _ignore,
        *,
        per_namespace: int | None = None,
        on_served: Callable[[float], None] = _ignore,  # how long it has waited, in seconds of `now`
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.per_namespace = per_namespace
        self._on_change = on_change
        self._on_served = on_served
        self._now = now
        self._held: Counter[str] = Counter()  # by uid
        self._kept: dict[str, str] = {}  # uid -> namespace: woken for a place and not heard of since
        self._used: Counter[str] = Counter()  # by namespace, the kept ones included
        self._total = 0
        self._waiting: dict[str, list[_Waiter]] = {}  # by namespace, each a heap; outdated ones are dropped when met
        self._ranks: dict[str, tuple[int, int, int]] = {}  # of those who wait
        self._since: dict[str, float] = {}  # likewise, in the order in which they began to wait
        self._numbers = itertools.count()

    @property
    def free(self) -> int:
        """How many more Jobs the operator would take."""
        return max(0, self.limit - self._total)

    @property
    def waiting(self) -> tuple[int, float]:
        """How many workflows wait, and for how many seconds the one that has waited longest; 0 where none does."""
        first = next(iter(self._since.values()), None)
        return len(self._since), 0.0 if first is None else self._now() - first

    @property
    def is_asked_for(self) -> bool:
        """Whether any workflow waits for a place."""
        return bool(self._since)

    def free_for(self, uid: str, namespace: str) -> int:
        """How many more Jobs this workflow may have scheduled now."""
        if uid in self._kept:
            return max(0, min(self.limit - self._total, self._room(namespace)) + 1)
        free = max(0, min(self.limit - self._total, self._room(namespace)))
        first = self._first() if free and self._waiting else None
        return free if first is None else 0  # whoever waits comes first, and is about to be woken

    def why_none(self, namespace: str) -> str:
        """What a workflow of this namespace waits for when there is no place for it."""
        if self.per_namespace is not None and self._room(namespace) <= 0:
            return f"one of the {self.per_namespace} places of namespace '{namespace}'"
        return f"one of the {self.limit} places of the operator"

    def hold(self, uid: str, places: int, namespace: str = "") -> None:
        """This workflow's attempts hold so many places from now on, and it has taken what it was woken for.

        `serve` is to follow, once it has said whether it waits for more.
        """
        kept = self._kept.pop(uid, None) is not None
        change = places - self._held[uid] - kept
        self._take(namespace, change)
        if places:
            self._held[uid] = places
        else:
            del self._held[uid]
        self._on_change(self._total - len(self._kept))

    def wait(self, uid: str, wake: Callable[[], None], namespace: str = "", rank: Rank = (0, 0)) -> None:
        """Have `serve` wake this workflow once there is a place, the lowest rank first.

        Waiting twice keeps the older place in the row.
        """
        if uid in self._ranks:
            return
        place = self._ranks[uid] = (*rank, next(self._numbers))
        self._since[uid] = self._now()
        heapq.heappush(self._waiting.setdefault(namespace, []), _Waiter(place, uid, wake))

    def forget(self, uid: str, namespace: str = "") -> None:
        """The workflow ended or its actor stopped."""
        self._ranks.pop(uid, None)
        self._since.pop(uid, None)
        self.hold(uid, 0, namespace)
        self.serve()

    def _room(self, namespace: str) -> int:
        return self.limit if self.per_namespace is None else self.per_namespace - self._used[namespace]

    def _take(self, namespace: str, places: int) -> None:
        self._total += places
        self._used[namespace] += places
        if not self._used[namespace]:
            del self._used[namespace]

    def serve(self) -> None:
        """Wake whoever is first in the row, if there is a place."""
        # One at a time: each woken actor takes what it can and then serves the next.
        found = self._first() if self.free else None
        if found is None:
            return
        namespace, waiter = found
        heapq.heappop(self._waiting[namespace])
        del self._ranks[waiter.uid]
        self._on_served(self._now() - self._since.pop(waiter.uid))
        self._kept[waiter.uid] = namespace
        self._take(namespace, 1)
        waiter.wake()

    def _first(self) -> tuple[str, _Waiter] | None:
        """Who is to be woken next, of the namespaces that have room."""
        best: tuple[str, _Waiter] | None = None
        for namespace, row in list(self._waiting.items()):
            while row and self._ranks.get(row[0].uid) != row[0].rank:
                heapq.heappop(row)
            if not row:
                del self._waiting[namespace]
            elif self._room(namespace) > 0 and (best is None or row[0] < best[1]):
                best = namespace, row[0]
        return best
