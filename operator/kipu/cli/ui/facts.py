"""What the page folds: a history as short facts, each a position, a node, a word and a number.

A *node* is a step by its place in the definition, or an item of a fan-out, which has a number behind those of all steps
and keeps it in later runs. Node -1 is the Workflow itself. The page shows a phase because the core's fold came to it
there: the rules of the core are nowhere told again.

Promises: facts are in the order of their positions, and those of a position never change when a log grows. Their number
is at most FACTS_PER_NODE_MAX for a node that an event names, and one for each step that a rerun moves.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import IntEnum

from kipu.core.events import (
    ApprovalRequested,
    AttemptFailed,
    AttemptUnknown,
    Event,
    Reason,
    StepCompleted,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
    WorkflowAccepted,
    WorkflowRerun,
)
from kipu.core.lifecycle import StepPhase, WorkflowPhase
from kipu.core.naming import split_item
from kipu.core.state import State

WORKFLOW = -1
STEP_PHASES = tuple(StepPhase)
WORKFLOW_PHASES = tuple(WorkflowPhase)
OUTCOMES = ("Succeeded", *(reason.value for reason in Reason))
FACTS_PER_NODE_MAX = 4  # a start that was not seen, the end, when the retry is due, the phase


class Fact(IntEnum):
    """The words, and what the number beside each means. Times are milliseconds after the first record."""

    PHASE = 0  # an index into STEP_PHASES, of the Workflow into WORKFLOW_PHASES
    SCHEDULED = 1  # the attempt's number
    STARTED = 2  # when
    ENDED = 3  # an index into OUTCOMES
    RETRY = 4  # when it is due
    EXPANDED = 5  # an index into Facts.expansions
    RESTS = 6  # an approval is asked for, or time has to pass: 0
    RUN = 7  # the run's number; of the Workflow alone


@dataclass(slots=True)
class Facts:
    """Four columns that grow, and the expansions: [node of the fan-out, first node of its items, how many]."""

    positions: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    expansions: list[tuple[int, int, int]] = field(default_factory=list)
    _origin: int = 0
    _phases: dict[int, int] = field(default_factory=dict)  # by node; absent: Pending
    _open: dict[int, int] = field(default_factory=dict)  # nodes with an attempt, a rest or items, and since when
    _items: dict[int, tuple[int, int]] = field(default_factory=dict)  # of a fan-out: the first node, how many it has
    _nodes: int = 0  # how many there are

    def add(self, event: Event, state: State) -> tuple[int, ...]:
        """Take in one event and the state after it; the nodes that it is about."""
        if state.position == 1:
            self._origin = state.ts
        if isinstance(event, WorkflowAccepted):
            self._nodes = len(event.definition.steps)
        if isinstance(event, WorkflowAccepted | WorkflowRerun):
            self._put(state, WORKFLOW, Fact.RUN, event.run)
            for node in range(len(state.steps) - len(state.owners)):
                self._note(state, node, STEP_PHASES.index(state.steps[node].phase))
        named = {self._node(state, name): name for name in names_in(event)}
        for node, name in named.items():
            self._add_one(event, state, node)
            place = state.place_of(name)
            assert place is not None
            self._note(state, node, STEP_PHASES.index(state.steps[place].phase))
        self._note(state, WORKFLOW, WORKFLOW_PHASES.index(state.phase))
        return tuple(named)

    def after(self, position: int) -> int:
        """The place in the columns of the first fact behind this position."""
        return bisect_right(self.positions, position)

    def _node(self, state: State, name: str) -> int:
        """Only names that the fold has taken come here."""
        assert state.graph is not None
        step, index = split_item(name) or (name, None)
        place = state.graph.index[step]
        return place if index is None else self._items[place][0] + index

    def _add_one(self, event: Event, state: State, node: int) -> None:
        match event:
            case StepScheduled():
                self._open[node] = state.ts
                self._put(state, node, Fact.SCHEDULED, event.attempt)
            case StepStarted():
                self._put(state, node, Fact.STARTED, state.ts - self._origin)
            case StepSucceeded() | AttemptFailed():
                self._note_start(state, node, event.started_at)
            case ApprovalRequested() | WaitStarted():
                self._open[node] = state.ts
                self._put(state, node, Fact.RESTS, 0)
            case StepExpanded():
                self._open[node] = state.ts
                self._expand(state, node, event.count)
        if (outcome := _outcome(event)) is not None and self._open.pop(node, None) is not None:
            self._put(state, node, Fact.ENDED, OUTCOMES.index(outcome))
        if isinstance(event, AttemptFailed) and event.retry_at is not None:
            self._put(state, node, Fact.RETRY, event.retry_at - self._origin)

    def _note_start(self, state: State, node: int, started_at: int | None) -> None:
        """Of an attempt that was over when it was first seen: Kubernetes tells when it began, in whole seconds."""
        if started_at is not None and self._phases.get(node) == STEP_PHASES.index(StepPhase.SCHEDULED):
            began = min(max(started_at, self._open.get(node, started_at)), state.ts)
            self._put(state, node, Fact.STARTED, began - self._origin)

    def _expand(self, state: State, node: int, count: int) -> None:
        first, room = self._items.get(node, (0, 0))
        if count > room:
            first, room = self._nodes, count
            self._items[node] = (first, room)
            self._nodes += count
        for item in range(first, first + count):  # of an earlier run
            self._phases.pop(item, None)
        self._put(state, node, Fact.EXPANDED, len(self.expansions))
        self.expansions.append((node, first, count))

    def _note(self, state: State, node: int, phase: int) -> None:
        if self._phases.get(node, 0) != phase:
            self._phases[node] = phase
            self._put(state, node, Fact.PHASE, phase)

    def _put(self, state: State, node: int, word: Fact, number: int) -> None:
        self.positions.append(state.position)
        self.nodes.append(node)
        self.words.append(word)
        self.numbers.append(number)


def names_in(event: Event) -> tuple[str, ...]:
    """The steps and items that the event is about; those of a rerun are its beginning and no facts of their own."""
    if isinstance(event, StepsSkipped | StepsCancelled):
        return event.steps
    step = getattr(event, "step", None)
    return () if step is None else (step,)


def _outcome(event: Event) -> str | None:
    """How what is open at a node has ended, if this is its end."""
    match event:
        case StepSucceeded() | StepCompleted():
            return OUTCOMES[0]
        case AttemptFailed() | StepFailed():
            return event.reason.value
        case AttemptUnknown():
            return Reason.UNKNOWN.value
        case StepsCancelled():
            return Reason.CANCELLED.value
    return None
