"""One Workflow's history, folded once and kept, so that the page can ask for any part of it and for what is new.

Promises: whatever is told was verified by those who read the log; `grow` folds only what is new, and begins anew where
the log is another one. Answers are bounded: rows by ROWS_MAX, a step's own by STEP_ROWS_MAX.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kipu.core.definition import Definition, Step
from kipu.core.events import Event
from kipu.core.evolve import evolve
from kipu.core.state import State
from kipu.eventlog.ports import Recorded, StreamId

from ..details import row
from .facts import OUTCOMES, STEP_PHASES, WORKFLOW, WORKFLOW_PHASES, Fact, Facts

ROWS_MAX = 500  # of events in one answer: x 0.5 KiB = 250 KiB
STEP_ROWS_MAX = 300  # the newest 75 attempts with all about them: the page shows ten

Json = dict[str, object]


@dataclass(slots=True)
class Story:
    """Written by `grow` alone."""

    stream: StreamId
    notes: tuple[str, ...] = ()  # what a person should know about this history, such as that a part is missing
    records: list[Recorded] = field(default_factory=list)
    state: State = field(default_factory=State)
    facts: Facts = field(default_factory=Facts)
    _by_node: dict[int, list[int]] = field(default_factory=dict)  # positions
    _accepted_at: int = 0  # position

    @property
    def position(self) -> int:
        """Of the last record."""
        return len(self.records)

    @property
    def origin(self) -> int:
        """The time of the first record, in epoch milliseconds."""
        return self.records[0].ts if self.records else 0

    def is_begun_by(self, stream: StreamId, records: Sequence[Recorded]) -> bool:
        """Whether this is the beginning of that history: the hash of a record seals all before it."""
        mine = self.position
        return stream == self.stream and mine <= len(records) and (not mine or records[mine - 1] == self.records[-1])

    def grow(self, records: Iterable[Recorded]) -> None:
        """Fold these, which follow. Raises CorruptionError where the core does not take one."""
        for recorded in records:
            self.state = evolve(self.state, recorded.event, ts=recorded.ts)
            self.records.append(recorded)
            for node in self.facts.add(recorded.event, self.state):
                self._by_node.setdefault(node, []).append(recorded.position)
            if self._accepted_at == 0 and self.state.definition is not None:
                self._accepted_at = recorded.position

    def since(self, position: int) -> Json:
        """All that the page folds, behind this position; with the definition where that came later."""
        first, facts = self.facts.after(position), self.facts
        told: Json = {
            "uid": self.stream.uid,
            "since": position,
            "position": self.position,
            "hash": self.records[-1].hash if self.records else "",
            "origin": self.origin,
            "times": [recorded.ts - self.origin for recorded in self.records[position:]],
            "facts": [column[first:] for column in (facts.positions, facts.nodes, facts.words, facts.numbers)],
            "expansions": facts.expansions,
            "notes": self.notes,
            "problems": [str(problem) for problem in self.state.problems],
        }
        if position < max(self._accepted_at, 1):
            told |= words() | {"definition": None if self.state.definition is None else shape(self.state.definition)}
        return told

    def rows(self, first: int, last: int) -> Json:
        """The events from one position to another, as `kipu history` tells them; at most ROWS_MAX of them."""
        first = max(first, 1)
        chosen = self.records[first - 1 : min(last, first + ROWS_MAX - 1)]
        return {"rows": [row(recorded, began=self.origin) for recorded in chosen]}

    def step(self, node: int, at: int) -> Json:
        """What is known of a step or an item at a position: each of its events until then, the last STEP_ROWS_MAX."""
        positions = [position for position in self._by_node.get(node, ()) if position <= at]
        chosen = [self.records[position - 1] for position in positions[-STEP_ROWS_MAX:]]
        return {
            "rows": [row(recorded, began=self.origin) for recorded in chosen],
            "events": [_plain(recorded.event) for recorded in chosen],
            "left_out": len(positions) - len(chosen),
        }

    def pod(self, node: int, attempt: int) -> str | None:
        """The pod of an attempt in the newest run that had it, as far as the history names one."""
        for position in reversed(self._by_node.get(node, ())):
            event = self.records[position - 1].event
            if getattr(event, "attempt", None) == attempt and (pod := getattr(event, "pod", None)):
                return str(pod)
        return None


def words() -> Json:
    """What the numbers in facts mean."""
    return {
        "stepPhases": STEP_PHASES,
        "workflowPhases": WORKFLOW_PHASES,
        "outcomes": OUTCOMES,
        "words": {word.name: word.value for word in Fact},
        "workflowNode": WORKFLOW,
    }


def shape(definition: Definition) -> Json:
    """The graph and what a person sees of each step; not what its pods are."""
    places = {step.name: place for place, step in enumerate(definition.steps)}
    return {
        "steps": [_shape_of(step, places) for step in definition.steps],
        "parallelism": definition.parallelism,
        "onFailure": definition.on_failure,
    }


def _shape_of(step: Step, places: Mapping[str, int]) -> Json:
    told: Json = {
        "name": step.name,
        "needs": [places[need] for need in step.depends_on],
        "kind": step.kind,
        "fanOut": step.for_each is not None,
        "finally": step.in_finally,
        "allowFailure": step.allow_failure,
        "runWhen": step.run_when,
        "when": step.when,
        "attempts": step.retry.max_attempts,
        "message": step.approval.message if step.approval else None,
    }
    return {key: value for key, value in told.items() if value not in (None, False, "")}


def _plain(event: Event) -> Json:
    """The few fields that the page shows by themselves; texts are the log's, and bounded there."""
    fields = ("attempt", "job", "pod", "node", "reason", "message", "exit_code", "outputs", "retry_at", "culprit")
    told: Json = {"kind": type(event).__name__}
    for name in (*fields, "started_at", "finished_at", "values", "by", "decision", "run"):
        if (value := getattr(event, name, None)) is not None:
            told[name] = value
    return told
