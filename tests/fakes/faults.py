"""What can go wrong with one request: the answers of a fault hook (see ApiServer.faults)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kipu.shell.kube_http import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashBefore:
    """The client dies before the request is sent: `crash` is called (it cancels the tasks), no answer ever comes."""

    crash: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashAfter:
    """The request is carried out, and the client dies before it learns of it."""

    crash: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutDone:
    """Carried out, but the answer is lost. Unanswered comes after `seconds`."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNotDone:
    """Lost on the way: never carried out. Unanswered comes after `seconds`."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Answered with this HTTP status; `done`: although it was carried out (504, a proxy's 500)."""

    code: int
    reason: str = ""
    retry_after_seconds: int | None = None
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """Unanswered now, carried out `seconds` later."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicated:
    """Carried out, answered, and carried out once more `seconds` later (a proxy that retries)."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A list is answered as it was so many writes ago: a watch cache that is behind (time travel)."""

    revisions: int


Fault = CrashBefore | CrashAfter | TimeoutDone | TimeoutNotDone | Status | Delayed | Duplicated | Stale
FaultHook = Callable[[int, Request], Fault | None]


# What a client may hear instead of a plain answer, in words.
ANSWERS: dict[str, Callable[[], Fault]] = {
    "lost, though done": lambda: TimeoutDone(seconds=2.0),
    "lost, and not done": lambda: TimeoutNotDone(seconds=2.0),
    "an error, though done": lambda: Status(code=504, done=True),
    "an error": lambda: Status(code=500),
    "too many requests": lambda: Status(code=429, retry_after_seconds=1),
    "a conflict": lambda: Status(code=409, reason="Conflict"),
    "carried out late": lambda: Delayed(seconds=20.0),
    "carried out twice": lambda: Duplicated(seconds=20.0),
}
