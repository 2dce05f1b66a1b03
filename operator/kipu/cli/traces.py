"""A history as traces: which record says what of which span. What a span is, is in `spans`.

Promises: every run that has begun in these records, in their order; a record that says nothing of a span is passed
over, so that a later release's records of known kinds do no harm. Must never judge: the records are verified before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kipu.core.definition import Definition
from kipu.core.events import (
    ApprovalGiven,
    ApprovalRequested,
    AttemptAbandoned,
    AttemptEvent,
    AttemptFailed,
    AttemptUnknown,
    Event,
    EventLimitReached,
    FinallyStarted,
    LateResultIgnored,
    ShutdownRequested,
    StepAdopted,
    StepCompleted,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    UnknownResolved,
    WaitStarted,
    WorkflowAccepted,
    WorkflowEnd,
    WorkflowFinished,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from kipu.eventlog.ports import Recorded, StreamId

from .spans import Mark, Names, OpenAttempt, Run, Value

SEEN = ("job_uid", "pod", "pod_uid", "node", "started_at")  # of an attempt, where an event says it
MARKS_MAX = 128  # of a workflow's span: as many events as OpenTelemetry gives a span; the first ones stand


@dataclass(slots=True)
class Tracer:
    """Takes the records of one Workflow one after another."""

    stream: StreamId
    runs: list[Run] = field(default_factory=list)
    _definition: Definition | None = None
    _claim: Mark | None = None  # of before the first run

    def take(self, record: Recorded) -> None:
        """The next one."""
        event, ts = record.event, record.ts
        match event:
            case WorkflowAccepted():
                self._definition = event.definition
                self._begin(event.run, ts)
            case WorkflowRerun():
                self._begin(event.run, ts)
            case StreamClaimed() if not self.runs:
                self._claim = Mark(ts=ts, name="claimed", attributes={"kipu.writer": event.writer})
            case _ if self.runs:
                self._tell(self.runs[-1], event, ts)

    def _begin(self, run: int, ts: int) -> None:
        assert self._definition is not None
        names = Names(uid=self.stream.uid, run=run)
        found = Run(
            names,
            namespace=self.stream.namespace,
            workflow=self.stream.name,
            begun=ts,
            steps=self._definition.steps,
        )
        if self.runs:
            found.links.append(self.runs[-1].names.link())
        elif self._claim is not None:
            found.marks.append(self._claim)
        self.runs.append(found)

    def _tell(self, run: Run, event: Event, ts: int) -> None:
        match event:
            case WorkflowFinished():
                failed = event.end is WorkflowEnd.FAILED
                run.end(ts, event.end.value, event.reason, (event.message or event.reason) if failed else None)
            case FinallyStarted():
                run.begin_finally(ts)
                _mark(run, ts, "finally", {"kipu.phase": event.end.value})
            case StepsSkipped():
                for step in event.steps:
                    why = {"kipu.reason": event.reason.value, "kipu.culprit": event.culprit}
                    run.end_step(step, ts, "Skipped", why)
            case StepsCancelled():
                for step in event.steps:
                    run.end_step(step, ts, "Cancelled")
            case _:
                _tell_of_a_step(run, event, ts)
                if (about := _about_the_run(event)) is not None:
                    _mark(run, ts, *about)


def _mark(run: Run, ts: int, name: str, attributes: dict[str, Value]) -> None:
    if len(run.marks) < MARKS_MAX:
        run.marks.append(Mark(ts=ts, name=name, attributes=attributes))


def _about_the_run(event: Event) -> tuple[str, dict[str, Value]] | None:
    match event:
        case StreamClaimed():
            return "claimed", {"kipu.writer": event.writer}
        case WorkflowSuspended():
            return "suspended", {}
        case WorkflowResumed():
            return "resumed", {}
        case ShutdownRequested():
            return "shutdown requested", {"kipu.shutdown.mode": event.mode.value}
        case TimerFired(step=None):
            return "deadline passed", {"kipu.reason": event.kind.value}
        case EventLimitReached():
            return "event limit reached", {}
        case _:
            return None


def _tell_of_a_step(run: Run, event: Event, ts: int) -> None:
    match event:
        case StepExpanded():
            run.expand(event.step, ts)
        case StepScheduled():
            run.schedule(event.step, event.attempt, event.job, ts)
        case ApprovalRequested():
            run.step(event.step, ts).mark(ts, "approval requested")
        case WaitStarted():
            run.step(event.step, ts).mark(ts, "wait started")
        case ApprovalGiven():
            run.step(event.step, ts).mark(ts, "approval given", {"kipu.decision": event.decision.value})
        case StepAdopted():
            source = Names(uid=event.source_uid, run=event.source_run)
            run.end_step(event.step, ts, "Succeeded", {"kipu.reason": "Adopted"}, link=source.link())
        case StepCompleted():
            run.end_step(event.step, ts, "Succeeded")
        case StepFailed():
            run.end_step(event.step, ts, "Failed", error=(event.reason.value, event.message))
        case StepSucceeded():
            _saw(run, event, ts)
            run.end_attempt(event.step, ts, finished_at=event.finished_at)
            run.end_step(event.step, ts, "Succeeded")
        case AttemptFailed():
            _saw(run, event, ts)
            code: dict[str, Value] = {} if event.exit_code is None else {"process.exit.code": event.exit_code}
            error = (event.reason.value, event.message)
            run.end_attempt(event.step, ts, code, finished_at=event.finished_at, error=error)
        case StepStarted() | AttemptAbandoned() | AttemptUnknown() | UnknownResolved() | LateResultIgnored():
            _tell_of_an_attempt(run, event, ts)
        case _:
            pass


def _tell_of_an_attempt(run: Run, event: AttemptEvent, ts: int) -> None:
    """What it has been through before its end."""
    attempt = _saw(run, event, ts)
    match event:
        case AttemptAbandoned():
            attempt.leave(ts, "ending")
            attempt.mark(ts, "given up", {"kipu.reason": event.reason.value})
        case AttemptUnknown():
            attempt.leave(ts, "asking")
            attempt.mark(ts, "outcome unknown", {"kipu.reason": event.reason.value})
        case UnknownResolved():
            attempt.mark(ts, "outcome told", {"kipu.decision": event.decision.value})
        case LateResultIgnored():
            attempt.mark(
                ts, "late result ignored", {"kipu.reason": event.reason.value if event.reason else "Succeeded"}
            )


def _saw(run: Run, event: AttemptEvent, ts: int) -> OpenAttempt:
    """The attempt of this event, with what the event says of where it runs."""
    attempt = run.step(event.step, ts).attempt
    assert attempt is not None, "the records are verified: an attempt was scheduled before anything is said of it"
    for name in SEEN:
        if (value := getattr(event, name, None)) is not None:
            setattr(attempt, name, value)
    return attempt


def trace(stream: StreamId, records: Iterable[Recorded]) -> list[Run]:
    """The runs of a verified history, in their order."""
    tracer = Tracer(stream)
    for record in records:
        tracer.take(record)
    return tracer.runs
