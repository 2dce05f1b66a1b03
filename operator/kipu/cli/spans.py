"""The spans of a history: one trace a run, a span for the workflow, each step, each attempt, and how its time went.

    workflow nightly                       run 1
      step load                            from when its needs were over
        waiting                            for a place, or for a backoff: before each attempt that had to wait
        attempt                            linked to the one that it tries again
          queued, running                  until its pod ran; until that ended
          ending, or asking                from being given up until it was gone, or until somebody said what it did

Promises: a pure function of the records; ids are hashes of what a span is of, and a span is told only once it is over
for good. So a longer history of the same Workflow has the same spans and some more, and sending them twice changes
nothing. The id of an attempt's span stands at the end of its Job's name. Times of pods are whole seconds, and are moved
to lie within those of the records. Must never read anything but the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kipu.core.definition import Kind, Step
from kipu.core.naming import attempt_id, split_item, step_of

TRACE_DIGITS, SPAN_DIGITS = 32, 16  # W3C trace context: 128 and 64 bits
ROUNDED_MS = 999  # a kubelet says when something ended in whole seconds, rounded down
Value = str | int | bool
Attributes = Mapping[str, Value]
Error = tuple[str, str]  # reason, message
NOTHING: Attributes = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment within a span."""

    ts: int
    name: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Another span that this one has to do with."""

    trace: str
    span: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Ids in hex, times in milliseconds since 1970 UTC. `error`: why it failed; None if it did not."""

    trace: str
    id: str
    parent: str | None
    name: str
    begun: int
    ended: int
    attributes: Attributes
    error: str | None = None
    marks: tuple[Mark, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The ids of one run's spans."""

    uid: str
    run: int

    @property
    def trace(self) -> str:
        """Of the run."""
        return _digest("trace", self.uid, str(self.run))[:TRACE_DIGITS]

    @property
    def root(self) -> str:
        """The span of the workflow."""
        return _digest("workflow", self.uid, str(self.run))[:SPAN_DIGITS]

    def step(self, step: str) -> str:
        """The span of a step, or of an item."""
        return _digest("step", self.uid, str(self.run), step)[:SPAN_DIGITS]

    def attempt(self, step: str, attempt: int) -> str:
        """The same digits as at the end of the Job's name."""
        return attempt_id(workflow_uid=self.uid, run=self.run, step=step, attempt=attempt)[:SPAN_DIGITS]

    def part(self, step: str, attempt: int, part: str) -> str:
        """How the time of an attempt went, or what came before it."""
        return _digest("part", self.uid, str(self.run), step, str(attempt), part)[:SPAN_DIGITS]

    def link(self) -> Link:
        """To the run as a whole."""
        return Link(trace=self.trace, span=self.root)


def _digest(domain: str, *parts: str) -> str:
    text = f"trace/{domain}" + "".join(f"|{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True, kw_only=True)
class OpenAttempt:
    """One that is not over."""

    number: int
    begun: int
    job: str
    kind: Kind
    job_uid: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    node: str | None = None
    started_at: int | None = None
    left_at: int | None = None  # when nobody counted on it any more
    left: str = "ending"  # and what was waited for then
    marks: list[Mark] = field(default_factory=list)

    def mark(self, ts: int, name: str, attributes: Attributes = NOTHING) -> None:
        """A moment of it."""
        self.marks.append(Mark(ts=ts, name=name, attributes=attributes))

    def leave(self, ts: int, left: str) -> None:
        """It was given up, or lost; the first time counts."""
        if self.left_at is None:
            self.left_at, self.left = ts, left

    def attributes(self, namespace: str) -> dict[str, Value]:
        """By the semantic conventions, where they have a word for it."""
        is_job = self.kind is not Kind.WORKFLOW
        found = {
            "kipu.attempt": self.number,
            "k8s.namespace.name": namespace,
            "k8s.job.name" if is_job else "kipu.child.name": self.job,
            "k8s.job.uid" if is_job else "kipu.child.uid": self.job_uid,
            "k8s.pod.name": self.pod,
            "k8s.pod.uid": self.pod_uid,
            "k8s.node.name": self.node,
        }
        return {name: value for name, value in found.items() if value is not None}

    def parts(self, ended: int, finished_at: int | None) -> Iterable[tuple[str, int, int]]:
        """How its time went, in order and without overlap."""
        ran = ended if self.left_at is None else self.left_at
        if finished_at is not None:
            ran = _within(finished_at + ROUNDED_MS, self.begun, ran)
        started = ran if self.started_at is None else _within(self.started_at, self.begun, ran)
        yield "queued", self.begun, started
        yield "running", started, ran
        if self.left_at is not None:
            yield self.left, self.left_at, ended


@dataclass(slots=True, kw_only=True)
class OpenStep:
    """A step, or an item, that has begun and is not over."""

    name: str
    begun: int
    waits_since: int
    attempts: int = 0
    attempt: OpenAttempt | None = None
    marks: list[Mark] = field(default_factory=list)

    def mark(self, ts: int, name: str, attributes: Attributes = NOTHING) -> None:
        """A moment of it."""
        self.marks.append(Mark(ts=ts, name=name, attributes=attributes))


class Run:
    """The spans of one run, made as its records come. `over` is what is to be sent."""

    def __init__(self, names: Names, *, namespace: str, workflow: str, begun: int, steps: Sequence[Step]) -> None:
        self.names = names
        self.over: list[Span] = []
        self.marks: list[Mark] = []
        self.links: list[Link] = []
        self.is_over = False
        self._namespace = namespace
        self._workflow = workflow
        self._begun = begun
        self._steps = {step.name: step for step in steps}
        self._ended: dict[str, int] = {}  # when each step was over
        self._expanded: dict[str, int] = {}  # when each fan-out began
        self._finally: int | None = None
        self._open: dict[str, OpenStep] = {}

    @property
    def open_spans(self) -> int:
        """How many have begun and are not over: a longer history will have them."""
        attempts = sum(step.attempt is not None for step in self._open.values())
        return len(self._open) + attempts + (not self.is_over)

    # -- what the records say ------------------------------------------------------------------------

    def begin_finally(self, ts: int) -> None:
        """The steps are over, those of `finally` may begin."""
        self._finally = ts

    def expand(self, step: str, ts: int) -> None:
        """A fan-out begins."""
        self.step(step, ts)
        self._expanded[step] = ts

    def step(self, name: str, ts: int) -> OpenStep:
        """The one of this name, which begins now if it has not begun."""
        found = self._open.get(name)
        if found is None:
            ready = self._ready(name, ts)
            found = self._open[name] = OpenStep(name=name, begun=ready, waits_since=ready)
        return found

    def schedule(self, name: str, number: int, job: str, ts: int) -> None:
        """The next attempt is decided."""
        step = self.step(name, ts)
        self._part(step, number, "waiting", step.waits_since, ts, self.names.step(name))
        step.attempts = number
        step.attempt = OpenAttempt(number=number, begun=ts, job=job, kind=self._kind(name))

    def end_attempt(
        self,
        name: str,
        ts: int,
        more: Attributes = NOTHING,
        *,
        finished_at: int | None = None,
        error: Error | None = None,
    ) -> None:
        """The attempt under way, if there is one, is over."""
        step = self.step(name, ts)
        attempt, step.attempt, step.waits_since = step.attempt, None, ts
        if attempt is None:
            return
        span = self.names.attempt(name, attempt.number)
        for part, begun, ended in attempt.parts(ts, finished_at):
            self._part(step, attempt.number, part, begun, ended, span)
        attributes = attempt.attributes(self._namespace) | self._of(name) | dict(more)
        links = [Link(trace=self.names.trace, span=self.names.attempt(name, attempt.number - 1))]
        if attempt.kind is Kind.WORKFLOW and attempt.job_uid is not None:
            links.append(Names(uid=attempt.job_uid, run=1).link())
        self.over.append(
            Span(
                trace=self.names.trace,
                id=span,
                parent=self.names.step(name),
                name="attempt",
                begun=attempt.begun,
                ended=ts,
                attributes=attributes | _failed(error),
                error=None if error is None else _words(error),
                marks=tuple(attempt.marks),
                links=tuple(links[attempt.number == 1 :]),
            )
        )

    def end_step(
        self,
        name: str,
        ts: int,
        phase: str,
        more: Attributes = NOTHING,
        *,
        error: Error | None = None,
        link: Link | None = None,
    ) -> None:
        """The step is over, and with it whatever is left of it."""
        self.end_attempt(name, ts)
        step = self._open.pop(name)
        self._ended[name] = ts
        item = split_item(name)
        attributes: dict[str, Value] = {"kipu.phase": phase, "kipu.attempts": step.attempts, **more}
        self.over.append(
            Span(
                trace=self.names.trace,
                id=self.names.step(name),
                parent=self.names.root if item is None else self.names.step(item[0]),
                name=f"step {step_of(name)}",
                begun=step.begun,
                ended=ts,
                attributes=self._of(name) | attributes | _failed(error),
                error=None if error is None else _words(error),
                marks=tuple(step.marks),
                links=() if link is None else (link,),
            )
        )

    def end(self, ts: int, outcome: str, reason: str, error: str | None) -> None:
        """The run is over."""
        self.is_over = True
        attributes: dict[str, Value] = {
            "k8s.namespace.name": self._namespace,
            "kipu.workflow.name": self._workflow,
            "kipu.workflow.uid": self.names.uid,
            "kipu.run": self.names.run,
            "kipu.phase": outcome,
            "kipu.reason": reason,
        }
        self.over.append(
            Span(
                trace=self.names.trace,
                id=self.names.root,
                parent=None,
                name=f"workflow {self._workflow}",
                begun=self._begun,
                ended=ts,
                attributes=attributes | (_failed((reason, "")) if error is not None else {}),
                error=error,
                marks=tuple(self.marks),
                links=tuple(self.links),
            )
        )

    # -- parts ---------------------------------------------------------------------------------------

    def _ready(self, name: str, ts: int) -> int:
        """When nothing kept it from beginning any more but places."""
        item = split_item(name)
        if item is not None:
            return self._expanded.get(item[0], ts)
        step = self._steps.get(name)
        needs = [] if step is None else [self._ended[need] for need in step.depends_on if need in self._ended]
        after = self._finally if step is not None and step.in_finally and self._finally is not None else self._begun
        return min(ts, max([after, *needs]))

    def _kind(self, name: str) -> Kind:
        step = self._steps.get(step_of(name))
        return Kind.RUN if step is None else step.kind

    def _of(self, name: str) -> dict[str, Value]:
        item = split_item(name)
        return {"kipu.step": step_of(name)} | ({} if item is None else {"kipu.item": item[1]})

    def _part(self, step: OpenStep, attempt: int, part: str, begun: int, ended: int, parent: str) -> None:
        if ended > begun:
            self.over.append(
                Span(
                    trace=self.names.trace,
                    id=self.names.part(step.name, attempt, part),
                    parent=parent,
                    name=part,
                    begun=begun,
                    ended=ended,
                    attributes=self._of(step.name),
                )
            )


def _failed(error: Error | None) -> dict[str, Value]:
    return {} if error is None else {"error.type": error[0]}


def _words(error: Error) -> str:
    reason, message = error
    return f"{reason}: {message}" if message else reason


def _within(ts: int, first: int, last: int) -> int:
    return max(first, min(ts, last))
