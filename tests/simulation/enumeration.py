"""Every point of a scenario at which something can go wrong, as scripts of one fault or of two."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.faults import Delayed, Duplicated, Status, TimeoutDone, TimeoutNotDone

from .faults import Die
from .scenario import Scenario
from .script import Answer, At, Handle, Script, Strike, Write
from .world import Outcome, run

HANDLES_STRIDE = 1

KINDS: dict[str, tuple[Answer | Strike, ...]] = {
    "CrashBefore": (Die(),),
    "CrashAfter": (Die(after=True),),
    "TimeoutDone": (TimeoutDone(seconds=1.0),),
    "Lost": (TimeoutNotDone(), TimeoutDone(), Delayed(seconds=3.0), Duplicated(seconds=3.0)),
    "Refused": (
        Status(code=403, reason="Forbidden"),
        Status(code=409, reason="Conflict"),
        Status(code=422, reason="Invalid"),
        Status(code=429, reason="TooManyRequests", retry_after_seconds=1),
    ),
    "Failed": (
        Status(code=500, reason="InternalError"),
        Status(code=503, reason="ServiceUnavailable"),
        Status(code=504, reason="Timeout", done=True),
    ),
    "CrashBetween": (Die(),),
}


def singles(kind: str, clean: Outcome) -> Iterator[Script]:
    """Each point of a run that was clean, once for each fault of this kind."""
    if kind == "CrashBetween":
        yield from ((At(Handle(number), Die()),) for number in range(clean.handles))
        return
    for fault in KINDS[kind]:
        yield from ((At(Write(number), fault),) for number in range(clean.writes))


def pairs(scenario: Scenario, clean: Outcome, *, after: bool) -> Iterator[Script]:
    """A crash at each write, and a second one, of either kind, at each later write of the run that recovers."""
    for first in range(clean.writes):
        begin = At(Write(first), Die(after=after))
        for number in range(first + 1, run(scenario, (begin,)).writes):
            for again in (False, True):
                yield begin, At(Write(number), Die(after=again))
