"""Whose logs are printed: steps and items with an attempt, and what the log of events knows where a pod is gone.

Promises: pure; bounded, and what is left out is said. Must never read a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kipu.api.status import steps_total
from kipu.core.definition import Kind
from kipu.core.events import AttemptFailed, StepScheduled
from kipu.core.lifecycle import StepPhase
from kipu.core.state import State
from kipu.eventlog.ports import Recorded

from .details import row, some, tail
from .errors import CannotTell
from .log_lines import Line
from .steps import place_of
from .waits import NOTHING_SHOWN, why

SOURCES_MAX = 50  # logs at once: each has a connection and a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which logs: of one step, or of all of them, or of all items of a fan-out."""

    step: str | None = None
    everything: bool = False
    attempt: int | None = None


def places(state: State, asked: Asked, workflow: str) -> Sequence[int]:
    """The steps and items whose attempts count. Raises CannotTell."""
    if asked.step is None:
        if asked.everything:
            return range(len(state.steps))
        if steps_total(state) == 1 and not state.fanouts:
            return [0]
        names = [state.name(place) for place in range(steps_total(state))]
        raise CannotTell(f"name one of the steps, or give --all: {some(names)}")
    place = place_of(state, asked.step, workflow)
    if state.step(place).kind is Kind.WORKFLOW:
        child = state.steps[place].attempt
        told = f": 'kipu logs {child.job} --all'" if child else ""
        raise CannotTell(f"step '{asked.step}' is a Workflow of its own, and has no pod{told}")
    if state.step(place).kind is not Kind.RUN:
        raise CannotTell(f"step '{asked.step}' has no pod: it is {_article(state.step(place).kind)}")
    if state.step(place).for_each is None or state.fanout_of(place) is not None:
        return [place]
    if not asked.everything:
        raise CannotTell(f"step '{asked.step}' is a fan-out: name an item, such as '{asked.step}[0]', or give --all")
    fanout = state.fanouts.get(place)
    return () if fanout is None else range(fanout.base, fanout.base + fanout.total)


@dataclass(frozen=True, slots=True)
class Source:
    """The newest attempt of a step or item in this run."""

    place: int
    step: str
    attempt: int
    position: int  # of its StepScheduled


def sources(state: State, records: Sequence[Recorded], found: Iterable[int]) -> list[Source]:
    """Those of these places that have had an attempt. From the records: of items that are over a state keeps none."""
    scheduled = {
        record.event.step: record
        for record in records
        if isinstance(record.event, StepScheduled) and record.event.run == state.run
    }
    named = ((place, state.name(place)) for place in found if state.step(place).kind is Kind.RUN)
    return [
        Source(place, name, event.attempt, scheduled[name].position)
        for place, name in named
        if name in scheduled and isinstance(event := scheduled[name].event, StepScheduled)
    ]


def newest(found: Sequence[Source]) -> tuple[list[Source], int]:
    """At most SOURCES_MAX of them, the last ones to be scheduled, in that order; and how many are left out."""
    kept = sorted(found, key=lambda source: source.position)[-SOURCES_MAX:]
    return kept, len(found) - len(kept)


def attempts_of(state: State, records: Sequence[Recorded], place: int) -> int:
    """How many attempts the step or item has had in this run."""
    return next((source.attempt for source in sources(state, records, [place])), 0)


def check_attempt(step: str, attempts: int, number: int) -> None:
    """Raises CannotTell where the step has had no such attempt."""
    if not 1 <= number <= attempts:
        had = f"has had attempts 1 to {attempts}" if attempts else "has had none"
        raise CannotTell(f"--attempt {number}: step '{step}' {had}")


def next_attempt(state: State, source: Source, printed: int) -> int | None:
    """The attempt to print after the one that was printed last (0: none); None while none may have a log."""
    number = source.attempt if printed == 0 else printed + 1
    if number < source.attempt:
        return number
    has_begun = state.steps[source.place].phase is not StepPhase.SCHEDULED
    return number if number == source.attempt and has_begun else None


def not_begun(state: State, place: int, *, now: int) -> CannotTell:
    """Why there is nothing to print of it."""
    said = why(state, place, NOTHING_SHOWN, now=now)
    phase = state.steps[place].phase
    return CannotTell(f"step '{state.name(place)}' has no pod: {phase}{f', {said}' if said else ''}")


def fate(records: Sequence[Recorded], run: int, step: str, attempt: int) -> str:
    """What the log of events says last of an attempt, in words; empty if nothing."""
    for record in reversed(records):
        event = record.event
        if getattr(event, "run", None) != run or getattr(event, "step", None) != step:
            continue
        if getattr(event, "attempt", None) == attempt:
            told = row(record, began=record.ts)
            return f"{told.event} at {told.time}" + (f": {told.details}" if told.details else "")
    return ""


def last_words(records: Sequence[Recorded], run: int, step: str, attempt: int) -> Sequence[Line]:
    """What the log of events has kept of the end of a failed attempt's log, with the time of its failure."""
    for record in reversed(records):
        event = record.event
        if isinstance(event, AttemptFailed) and (event.run, event.step, event.attempt) == (run, step, attempt):
            return [Line(record.ts * 1_000_000, b"", line.encode()) for line in tail(record)]
    return ()


def _article(kind: Kind) -> str:
    return "an approval" if kind is Kind.APPROVAL else "a wait"
