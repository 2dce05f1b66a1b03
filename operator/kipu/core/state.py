"""What a fold over the events yields: the whole truth about one workflow, in memory.

`State` is an accumulator: `evolve` alone writes it, and hands it on. Whoever passes a State to `evolve` or
`decide` gives it away and goes on with what comes back; after a lost race the state is thrown away and folded
anew (ADR 0003). Promises: every index below is derivable from `steps`, so that `canonical` leaves them out;
the cost of one event does not know how many steps there are.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from .definition import AdoptedStep, Definition, Step
from .errors import Problem
from .events import Items, Reason, ShutdownMode, SkipReason, TimerKind, WorkflowEnd
from .graph import Graph
from .lifecycle import TERMINAL_STEP_PHASES, TERMINAL_WORKFLOW_PHASES, StepPhase, WorkflowPhase
from .naming import item_name, split_item
from .texts import item_text

Outputs = Mapping[str, str | int | bool]  # by name, as recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The newest try of a step."""

    number: int
    job: str
    position: int  # of its StepScheduled record: the intent that the Job's annotation names
    scheduled_at: int
    epoch: int  # of the writer that scheduled it
    job_uid: str | None = None
    pod: str | None = None
    node: str | None = None
    pod_uid: str | None = None  # of the pod whose outputs and files stand, once it has succeeded
    started_at: int | None = None
    start_deadline: int | None = None
    deadline: int | None = None
    abandoned: Reason | None = None
    abandoned_message: str = ""
    is_late: bool = False  # it ended by itself after it was given up, which is recorded once


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """Where one step stands in this run."""

    phase: StepPhase = StepPhase.PENDING
    attempt: Attempt | None = None
    failures: int = 0  # attempts that used up the retry budget
    disruptions: int = 0  # attempts that did not
    retry_at: int | None = None
    deadline: int | None = None
    started_at: int | None = None  # of the first attempt
    finished_at: int | None = None
    reason: Reason | SkipReason | None = None  # of the last failure, or why it was skipped
    message: str = ""
    exit_code: int | None = None
    log_tail: str = ""  # of the last failure, as much of it as is shown
    culprit: str | None = None  # why it was skipped
    values: Mapping[str, str] = field(default_factory=dict)  # what its expressions came to, by the path in its manifest
    outputs: Outputs | None = None  # committed: unique and for ever
    redone: int = 0  # how many of its successes a later run has not kept: its key is another one then

    @property
    def attempts(self) -> int:
        """How many attempts were begun."""
        return self.attempt.number if self.attempt else 0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Timer:
    """A recorded deadline; ordered by when it is due, then by when it was recorded, then by its kind."""

    due: int
    position: int
    kind: TimerKind  # one event arms at most one of each kind: the order is total
    place: int | None = field(default=None, compare=False)  # of the step
    attempt: int | None = field(default=None, compare=False)


@dataclass(slots=True, kw_only=True)
class Fanout:
    """The items of one step. Item i stands at place `base + i` of `State.steps`; written by `items` alone.

    What has not begun shares one StepState with all like it, and so does what is over, but for the first failures: a
    fan-out costs the memory of the items that are under way.
    """

    parent: int  # its step's place
    base: int
    total: int
    items: Items | None = None  # as recorded; None where the definition says what they are
    begun: int = 0  # those before have begun
    under_way: dict[int, None] = field(default_factory=dict)  # begun and not over: places, in the order of beginning
    due: dict[int, None] = field(default_factory=dict)  # wait for nothing but a place for their next attempt
    active: int = 0  # attempts that are scheduled, running or leaving
    leaving: int = 0  # of these
    over: Counter[StepPhase] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)  # the first FAILURES_KEPT_MAX places
    outputs: dict[int, Outputs] = field(default_factory=dict)  # of those that have succeeded, by index
    pods: dict[int, str] = field(default_factory=dict)  # likewise: the uids of those whose files stand
    is_late: bool = False  # its step's timeout has passed


class Stopping(StrEnum):
    """Why everything is being taken down."""

    SHUTDOWN = "Shutdown"
    TIMED_OUT = "TimedOut"
    EVENT_LIMIT = "EventLimit"


@dataclass(slots=True, kw_only=True)
class State:
    """One workflow. Written by `evolve` alone."""

    position: int = 0
    epoch: int = 0
    ts: int = 0
    writer: str = ""
    run: int = 0
    phase: WorkflowPhase = WorkflowPhase.PENDING
    spec_hash: str = ""
    definition: Definition | None = None
    problems: tuple[Problem, ...] = ()
    accepted_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    deadline: int | None = None
    stopping: Stopping | None = None
    shutdown: ShutdownMode | None = None
    suspended: bool = False
    suspension_at: int | None = None  # when it was last suspended or resumed
    outcome: WorkflowEnd | None = None  # of the steps, once those of `finally` run
    failing: str | None = None  # the first step whose failure counts
    end_reason: str = ""
    end_message: str = ""
    steps: list[StepState] = field(default_factory=list)

    # Behind the definition's steps stand the items of fan-outs, each fan-out's from its expansion on.
    fanouts: dict[int, Fanout] = field(default_factory=dict)  # by the place of their step
    owners: list[Fanout] = field(default_factory=list)  # of the places behind the definition's

    # Indexes, all derivable. Dicts are used as ordered sets: their order is that of the events.
    graph: Graph | None = None
    counts: Counter[StepPhase] = field(default_factory=Counter)
    unmet: list[int] = field(default_factory=list)  # dependencies not finished yet
    any_failed: set[int] = field(default_factory=set)  # membership only, never iterated
    plain: dict[int, None] = field(default_factory=dict)  # Pending with AllSucceeded
    guarded: dict[int, None] = field(default_factory=dict)  # Pending with another rule
    retrying: dict[int, None] = field(default_factory=dict)
    unknown: dict[int, None] = field(default_factory=dict)  # wait for a person's word
    ready: dict[int, None] = field(default_factory=dict)  # may start as soon as there is a place
    jobless: dict[int, None] = field(default_factory=dict)  # may start and needs no place: it will have no Job
    resting: dict[int, None] = field(default_factory=dict)  # Suspended: asked and not answered, or time has to pass
    held: dict[int, None] = field(default_factory=dict)  # of `finally`, which has not begun
    doomed: dict[int, str] = field(default_factory=dict)  # to skip, with the culprit
    unadopted: dict[int, AdoptedStep] = field(default_factory=dict)  # to adopt before anything else is decided
    live: dict[int, None] = field(default_factory=dict)  # has an attempt that is not given up
    leaving: dict[int, None] = field(default_factory=dict)  # its attempt is given up and not yet gone
    nested: int = 0  # how many of the live and the leaving are Workflows, which hold no place: their Jobs do
    cancelling: int = 0  # how many of the leaving were cancelled
    cancellable: dict[int, None] = field(default_factory=dict)  # live, Retrying, Unknown or resting, with AllSucceeded
    expanded: dict[int, None] = field(default_factory=dict)  # fan-outs that are not over; and of these:
    startable: dict[int, None] = field(default_factory=dict)  # an item may start as soon as there is a place
    spawnable: dict[int, None] = field(default_factory=dict)  # the same where items are Workflows, which need none
    idle: dict[int, None] = field(default_factory=dict)  # no item is under way
    spent: dict[int, None] = field(default_factory=dict)  # nor will another one be
    overdue: dict[int, None] = field(default_factory=dict)  # their timeout has passed, and items are to be taken down
    timers: list[Timer] = field(default_factory=list)  # a heap; outdated entries are dropped when met

    @property
    def is_terminal(self) -> bool:
        """Whether this run has ended for good."""
        return self.phase in TERMINAL_WORKFLOW_PHASES

    @property
    def is_draining(self) -> bool:
        """Whether the run is to end once what runs has ended by itself."""
        return self.stopping is Stopping.SHUTDOWN and self.shutdown is ShutdownMode.DRAIN

    @property
    def jobs_active(self) -> int:
        """Attempts that hold a place: scheduled or running, or given up and not yet gone."""
        return len(self.live) + len(self.leaving) - self.nested

    @property
    def is_exhausted(self) -> bool:
        """Whether no step is left that could still move, but for those of a `finally` that has not begun."""
        waiting = self.plain or self.guarded or self.retrying or self.unknown or self.resting
        return not (waiting or self.live or self.leaving or self.expanded)

    def place_of(self, step: str) -> int | None:
        """Where the step or item stands, or None if there is none of this name."""
        if self.graph is None:
            return None
        place = self.graph.index.get(step)
        return self._place_of_item(step) if place is None else place

    def _place_of_item(self, name: str) -> int | None:
        step, index = split_item(name) or ("", 0)
        assert self.graph is not None
        fanout = self.fanouts.get(self.graph.index.get(step, -1))
        return None if fanout is None or index >= fanout.total else fanout.base + index

    def fanout_of(self, place: int) -> Fanout | None:
        """The fan-out of which the item at this place is one; None for a step of the definition."""
        behind = place - len(self.steps) + len(self.owners)
        return self.owners[behind] if behind >= 0 else None

    def step(self, place: int) -> Step:
        """The definition of the step at this place; that of an item is its fan-out's."""
        assert self.definition is not None
        fanout = self.fanout_of(place)
        return self.definition.steps[place if fanout is None else fanout.parent]

    def item(self, place: int) -> tuple[int, str] | None:
        """The index of the item at this place, and the item as text; None for a step of the definition."""
        found = self.item_value(place)
        return None if found is None else (found[0], item_text(found[1]))

    def item_value(self, place: int) -> tuple[int, object] | None:
        """The same, the item as the JSON value that it is."""
        fanout = self.fanout_of(place)
        if fanout is None:
            return None
        for_each, index = self.step(place).for_each, place - fanout.base
        assert for_each is not None
        items = for_each.items if fanout.items is None else fanout.items
        return index, index if items is None else items[index]

    def name(self, place: int) -> str:
        """Of the step or item at this place."""
        fanout = self.fanout_of(place)
        name = self.step(place).name
        return name if fanout is None else item_name(name, place - fanout.base)


def is_relevant(state: State, timer: Timer) -> bool:
    """Whether the deadline still guards anything. Once it does not, it never will again, and may be dropped."""
    if state.is_terminal or (state.stopping is not None and not state.is_draining):
        return False
    if timer.place is None:
        return timer.kind is TimerKind.FINALLY_TIMEOUT or state.outcome is None  # the workflow's own
    step = state.steps[timer.place]
    if timer.kind is TimerKind.BACKOFF:
        return step.retry_at == timer.due
    if timer.kind is TimerKind.WAIT:
        return timer.place in state.resting
    if timer.kind is TimerKind.STEP_TIMEOUT:
        return step.phase not in TERMINAL_STEP_PHASES  # while an attempt leaves, too: the step may yet retry
    phase = StepPhase.SCHEDULED if timer.kind is TimerKind.START_TIMEOUT else StepPhase.RUNNING
    return timer.place in state.live and step.phase is phase and step.attempts == timer.attempt


_DERIVED = frozenset(
    {
        "graph",
        "counts",
        "unmet",
        "any_failed",
        "plain",
        "guarded",
        "retrying",
        "unknown",
        "held",
        "doomed",
        "unadopted",
        "cancellable",
        "cancelling",
        "nested",
        "timers",
        "definition",
        "fanouts",
        "owners",
        "expanded",
        "startable",
        "spawnable",
        "idle",
        "spent",
        "overdue",
    }
)


def next_timer(state: State) -> Timer | None:
    """The earliest deadline that still guards something. Outdated entries of the index are dropped on the way."""
    while state.timers and not is_relevant(state, state.timers[0]):
        heapq.heappop(state.timers)
    return state.timers[0] if state.timers else None


def canonical(state: State) -> bytes:
    """The meaning of a state as bytes: the same after replay in any process, version or log layout."""
    meaning = {f.name: getattr(state, f.name) for f in fields(state) if f.name not in _DERIVED}
    meaning["steps"] = [_plain(step) for step in state.steps]
    meaning["problems"] = [str(problem) for problem in state.problems]
    meaning["ready"] = list(state.ready)
    meaning["jobless"] = list(state.jobless)
    meaning["resting"] = list(state.resting)
    meaning["live"] = list(state.live)
    meaning["leaving"] = list(state.leaving)
    meaning["fanouts"] = [_fanout_meaning(fanout) for fanout in state.fanouts.values()]
    meaning["gathered"] = [sorted(fanout.outputs.items()) for fanout in state.fanouts.values()]
    meaning["files"] = [sorted(fanout.pods.items()) for fanout in state.fanouts.values()]
    return json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _fanout_meaning(fanout: Fanout) -> list[object]:
    over = {phase.value: count for phase, count in fanout.over.items()}
    return [fanout.parent, fanout.base, fanout.total, fanout.items, fanout.begun, list(fanout.due), over]


def _plain(value: object) -> object:
    if isinstance(value, StepState | Attempt):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value
