"""Which request meets which fault: drawn from a seed, counted by kind, verb and resource.

Promises: the same seed draws the same faults in the same order; to which requests they fall depends on the order in
which those arrive, which nobody controls on a real cluster. Must never do anything itself: the proxy does.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from .calls import Call


class Kind(StrEnum):
    """What happens to a request, or to a watch under way."""

    TIMEOUT_DONE = "timeout-done"  # carried out; no answer, and the connection closes after a wait
    TIMEOUT_NOT_DONE = "timeout-not-done"  # the same, not carried out
    LATE = "late"  # the connection is reset at once, the request carried out after a wait
    DOUBLED = "doubled"  # carried out, answered, and carried out once more after a wait
    RESET_BEFORE = "reset-before"  # not carried out, the connection is reset
    RESET_AFTER = "reset-after"  # carried out, the connection is reset
    DELAYED = "delayed"  # carried out and answered, after a wait
    TOO_MANY = "429"  # with Retry-After; not carried out, as the next two
    INTERNAL = "500"
    UNAVAILABLE = "503"
    WATCH_DROPPED = "watch-dropped"  # the stream is reset
    WATCH_STALLED = "watch-stalled"  # the stream falls silent, then is reset: what came meanwhile is not told
    WATCH_DELAYED = "watch-delayed"  # the stream falls silent, then all is told
    WATCH_EXPIRED = "watch-410"  # the stream ends by an ERROR of code 410


# Of 1,000 requests so many meet each: 1% timeout-done on every verb is the figure, in all 6.4%.
PER_MILLE = {
    Kind.TIMEOUT_DONE: 10,
    Kind.TIMEOUT_NOT_DONE: 5,
    Kind.LATE: 4,
    Kind.DOUBLED: 5,
    Kind.RESET_BEFORE: 5,
    Kind.RESET_AFTER: 5,
    Kind.DELAYED: 15,
    Kind.TOO_MANY: 5,
    Kind.INTERNAL: 5,
    Kind.UNAVAILABLE: 5,
}
# A watch is opened rarely; what befalls it is drawn once more for its life.
WATCH_FATES = (Kind.WATCH_DROPPED, Kind.WATCH_STALLED, Kind.WATCH_DELAYED, Kind.WATCH_EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long the waits of the faults are, in seconds: [least, most], drawn evenly."""

    silence: tuple[float, float] = (0.2, 3.0)  # before a timeout, of a delay, until a late request is carried out
    patience: float = 12.0  # above the client's 10 s for a request: so long is one timeout in five
    watch_life: float = 20.0  # the mean time until a watch meets its fate
    stall: tuple[float, float] = (2.0, 15.0)
    long_stall: float = 95.0  # above the client's 90 s of silence: so long is one stall in forty


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, with the seconds of its wait."""

    kind: Kind
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What befalls a watch, and after how many seconds of its life."""

    after_seconds: float
    fault: Fault


@dataclass(slots=True)
class Faults:
    """The source of faults. While `is_calm` there are none."""

    seed: int
    waits: Waits = field(default_factory=Waits)
    per_mille: dict[Kind, int] = field(default_factory=lambda: dict(PER_MILLE))
    counts: Counter[tuple[Kind, str, str]] = field(default_factory=Counter)  # (kind, verb, resource)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # (verb, resource), with a fault or without
    is_calm: bool = False
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, call: Call) -> Fault | None:
        """What this request meets; most meet nothing."""
        self.requests[call.verb, call.resource] += 1
        if self.is_calm:
            return None
        drawn = self._random.randrange(1000)
        for kind, share in self.per_mille.items():
            drawn -= share
            if drawn < 0:
                return self._meet(kind, call, self._seconds(kind))
        return None

    def fate(self) -> Fate:
        """What befalls a watch that begins now. It is counted by `met` when it comes to that."""
        kind = self._random.choice(WATCH_FATES)
        stall = self._random.uniform(*self.waits.stall)
        seconds = self.waits.long_stall if self._random.randrange(40) == 0 else stall
        life = self._random.expovariate(1) * self.waits.watch_life
        return Fate(after_seconds=life, fault=Fault(kind=kind, seconds=seconds))

    def met(self, kind: Kind, call: Call) -> None:
        """Count one fault."""
        self.counts[kind, call.verb, call.resource] += 1

    def _meet(self, kind: Kind, call: Call, seconds: float) -> Fault:
        self.met(kind, call)
        return Fault(kind=kind, seconds=seconds)

    def _seconds(self, kind: Kind) -> float:
        times_out = kind in (Kind.TIMEOUT_DONE, Kind.TIMEOUT_NOT_DONE)
        if times_out and self._random.randrange(5) == 0:
            return self.waits.patience
        return self._random.uniform(*self.waits.silence)
