"""A Workflow and its steps as a tree for people: a line each, with phase, attempts, duration and what it waits for.

    nightly  Running  2/4 steps, 1m2s
    ├─ ✔ fetch  Succeeded  1/1  2s
    ├─ ● shard  Running    -    1m  after fetch  3/10 items, 2 running
    │  ├─ ✖ shard[4]  ...
    └─ ○ join   Pending    0/1      after fetch, shard

Promises: pure; in the order of the definition, those of `finally` behind; at most STEPS_SHOWN_MAX steps, of which those
that one wants to see come first, and a line for those left out. Must never read a cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from kipu.api.durations import for_people
from kipu.api.status import steps_total
from kipu.core.definition import Kind
from kipu.core.lifecycle import TERMINAL_STEP_PHASES, StepPhase, WorkflowPhase
from kipu.core.state import Fanout, State

from .details import printable, some
from .waits import NOTHING_SHOWN, Shown, why

STEPS_SHOWN_MAX = 100  # a screen or two; `-o json` has them all
ITEMS_SHOWN_MAX = 5  # of each fan-out: the failed, then the running
PROBLEMS_SHOWN_MAX = 20
SYMBOLS = {
    StepPhase.PENDING: "○",
    StepPhase.SCHEDULED: "◌",
    StepPhase.RUNNING: "●",
    StepPhase.RETRYING: "↻",
    StepPhase.UNKNOWN: "?",
    StepPhase.SUSPENDED: "‖",
    StepPhase.SUCCEEDED: "✔",
    StepPhase.FAILED: "✖",
    StepPhase.SKIPPED: "-",
    StepPhase.CANCELLED: "⊘",
}
# What is left out last where there are too many.
_FIRST = (
    StepPhase.FAILED,
    StepPhase.UNKNOWN,
    StepPhase.SUSPENDED,
    StepPhase.RETRYING,
    StepPhase.RUNNING,
    StepPhase.SCHEDULED,
    StepPhase.CANCELLED,
    StepPhase.PENDING,
    StepPhase.SKIPPED,
    StepPhase.SUCCEEDED,
)


HEADINGS = ("STEP", "PHASE", "ATTEMPTS", "DURATION", "DETAILS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line below the root; the cells are printable. `phase` is also its colour."""

    name: str  # with the branches of the tree before it
    phase: str = ""
    attempts: str = ""
    duration: str = ""
    details: str = ""
    done: tuple[int, int] | None = None  # of a fan-out under way: items that are over, and all

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return self.name, self.phase, self.attempts, self.duration, self.details


def title(name: str, state: State, said: Shown = NOTHING_SHOWN, *, now: int) -> str:
    """The root: the Workflow as a whole. `now` is epoch milliseconds."""
    run = f"run {state.run}" if state.run > 1 else ""
    lasted = duration(state.started_at, state.finished_at, now)
    head = "  ".join(part for part in (name, state.phase.value) if part)
    parts = [head, *(part for part in (progress(state), lasted, run) if part)]
    return printable("  ".join(parts) + (f"  {_because(state, said)}" if _because(state, said) else ""))


def progress(state: State) -> str:
    """Such as `3/10 steps`; empty before there are any."""
    over = sum(state.counts[phase] for phase in TERMINAL_STEP_PHASES)
    return f"{over}/{steps_total(state)} steps" if state.definition is not None else ""


def duration(started_at: int | None, finished_at: int | None, now: int) -> str:
    """How long it took, or takes so far; empty before it has begun."""
    if started_at is None:
        return ""
    return for_people((now if finished_at is None else finished_at) - started_at)


def tree(state: State, said: Shown = NOTHING_SHOWN, *, now: int, steps_max: int = STEPS_SHOWN_MAX) -> list[Line]:
    """The lines below the root."""
    if state.definition is None:
        problems = state.problems[:PROBLEMS_SHOWN_MAX]  # the core records no more
        return [_leaf(str(each), last=number == len(problems)) for number, each in enumerate(problems, start=1)]
    places = chosen(state, steps_max)
    found: list[Line] = []
    rest = _left_out(state, places)
    for number, place in enumerate(places):
        last = number == len(places) - 1 and not rest
        found.append(_step(state, place, said, now, "└─ " if last else "├─ "))
        if (fanout := state.fanouts.get(place)) is not None:
            found += _items(state, fanout, said, now, "   " if last else "│  ")
    return [*found, _leaf(rest)] if rest else found


def chosen(state: State, steps_max: int) -> list[int]:
    """The places of so many steps, in their order: the most telling if there are more."""
    total = steps_total(state)
    if total <= steps_max:
        return list(range(total))
    by_phase: dict[StepPhase, list[int]] = {phase: [] for phase in _FIRST}
    for place in range(total):
        by_phase[state.steps[place].phase].append(place)
    return sorted(islice(chain.from_iterable(by_phase.values()), steps_max))


def _left_out(state: State, places: Sequence[int]) -> str:
    """What is not shown, in words; empty if nothing is."""
    shown = Counter(state.steps[place].phase for place in places)
    rest = {phase: state.counts[phase] - shown[phase] for phase in _FIRST if state.counts[phase] > shown[phase]}
    if not rest:
        return ""
    counts = ", ".join(f"{count} {phase}" for phase, count in rest.items())
    return f"and {sum(rest.values())} steps more: {counts} (-o json has them all)"


def _step(state: State, place: int, said: Shown, now: int, branch: str) -> Line:
    step, definition = state.steps[place], state.step(place)
    ever = step.attempts or step.phase not in TERMINAL_STEP_PHASES
    is_fanout = definition.for_each is not None and state.fanout_of(place) is None
    has_attempts = definition.kind in (Kind.RUN, Kind.WORKFLOW) and not is_fanout
    fanout = state.fanouts.get(place) if step.phase not in TERMINAL_STEP_PHASES else None
    finally_ = "finally: " if definition.in_finally and state.fanout_of(place) is None else ""
    return Line(
        name=f"{branch}{SYMBOLS[step.phase]} {finally_}{state.name(place)}",
        phase=step.phase.value,
        attempts=f"{step.attempts}/{definition.retry.max_attempts}" if has_attempts and ever else "",
        duration=duration(step.started_at, step.finished_at, now),
        details=why(state, place, said, now=now),
        done=None if fanout is None else (fanout.over.total(), fanout.total),
    )


def _items(state: State, fanout: Fanout, said: Shown, now: int, indent: str) -> Iterator[Line]:
    """The failed, then those under way; the line of the fan-out has counted them all."""
    telling = list(islice(chain(fanout.failures, fanout.under_way), ITEMS_SHOWN_MAX + 1))
    places = telling[:ITEMS_SHOWN_MAX]
    more = fanout.over[StepPhase.FAILED] + len(fanout.under_way) - len(places)
    for number, place in enumerate(places):
        last = number == len(places) - 1 and not more
        yield _step(state, place, said, now, indent + ("└─ " if last else "├─ "))
    if more:
        yield Line(name=f"{indent}└─ and {more} more that failed or run")


def _leaf(text: str, *, last: bool = True) -> Line:
    return Line(name=printable(("└─ " if last else "├─ ") + text))


def _because(state: State, said: Shown) -> str:
    """Why it ended so, or what the status says that it waits for."""
    if state.phase is WorkflowPhase.REJECTED:
        return f"{len(state.problems)} problems" if len(state.problems) > 1 else "1 problem"
    if state.is_terminal:
        reason = "" if state.end_reason == state.phase.value else state.end_reason
        return f"{reason}: {state.end_message}" if reason and state.end_message else reason or state.end_message
    if state.definition is None:
        return "no operator has taken it up yet"
    if state.unknown:
        return f"waits for a word about {some([state.name(place) for place in state.unknown])}"
    return said.message
