"""What a controller knows of the store: late, and of each kind in order.

A real controller decides from its own caches, each filled by a watch of one kind. So two kinds can disagree: a
Job's deletion may be known before its pod's creation. `Lags` are all the knobs of that in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .etcd import Change, Key, Stored

if TYPE_CHECKING:
    from .apiserver import ApiServer

GAP_SECONDS = 1e-6  # between two changes: the order of two timers of one moment is the event loop's whim


@dataclass(frozen=True, slots=True, kw_only=True)
class Lags:
    """How late a change may come to each reader: evenly between nothing and this, by the seed.

    The defaults are those of a healthy cluster. Under load a real informer is seconds behind (design 02: "the
    garbage collector's caches lag apart").
    """

    job_controller_jobs_seconds: float = 0.005
    job_controller_pods_seconds: float = 0.005
    collector_jobs_seconds: float = 0.1
    collector_pods_seconds: float = 0.1
    collector_others_seconds: float = 0.1
    collector_work_seconds: float = 0.1  # in its work queue, once it knows
    quota_seconds: float = 0.1  # until a deletion has made room in a ResourceQuota
    list_cache_seconds: float = 0.1  # of a list with resourceVersion=0


class Informer:
    """The cache of one controller for some kinds. `known` is what it believes to be there."""

    def __init__(
        self,
        server: ApiServer,
        plurals: Iterable[str],
        lag_seconds: Callable[[Lags], float],
        tell: Callable[[Change], None],
        matters: Callable[[Change], bool] = lambda change: True,
    ) -> None:
        self._server = server
        self._lag_seconds = lag_seconds
        self._tell = tell
        self._matters = matters  # what does not is never heard of, which spares a timer
        self._coming: deque[Change] = deque()
        self._last_due = 0.0  # loop time
        self.known: dict[Key, Stored] = {}
        self._plurals = tuple(plurals)
        server.etcd.follow(self._plurals, self._stored)
        server.informers.append(self)

    def _stored(self, change: Change) -> None:
        if not self._matters(change):
            return
        server = self._server
        late_seconds = self._lag_seconds(server.lags) * server.rng.random()
        self._last_due = max(self._last_due + GAP_SECONDS, server.time() + late_seconds)
        self._coming.append(change)
        server.later(self._last_due - server.time(), self._hear)

    def relist(self) -> None:
        """Tell of everything that is there, as a controller hears of it that is started anew."""
        for plural in self._plurals:
            for stored in self._server.etcd.all(plural):
                self._stored(Change(self._server.etcd.revision, stored.key, None, stored))

    def _hear(self) -> None:
        """The oldest change that is under way, whichever timer this is."""
        change = self._coming.popleft()
        if change.after is None:
            self.known.pop(change.key, None)
        else:
            self.known[change.key] = change.after
        self._tell(change)
