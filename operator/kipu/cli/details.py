"""One recorded event as a row for people: what kind, which step and attempt, and the rest in a few words.

Promises: total over the event kinds (mypy proves it); what comes from programs and clusters is printed with its
control characters escaped, so that a message cannot move the reader's cursor. Must never be parsed by anybody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, assert_never

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
    SkipReason,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepEvent,
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
    WorkflowFinished,
    WorkflowRejected,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from kipu.eventlog.ports import Recorded

VALUE_SHOWN_MAX = 60  # of an output or of a text put into the manifest
NAMES_SHOWN_MAX = 5  # of a record's up to 200 skipped steps; jsonl has them all


class Row(NamedTuple):
    """One line of the table; every cell is printable."""

    position: str
    time: str
    elapsed: str
    event: str
    step: str
    details: str


def row(record: Recorded, *, began: int) -> Row:
    """The record as a row; `began` is the time of the first record in epoch milliseconds."""
    event = record.event
    return Row(
        position=str(record.position),
        time=clock(record.ts),
        elapsed=elapsed(record.ts - began),
        event=type(event).__name__,
        step=printable(_subject(event)),
        details=printable(_details(event)),
    )


def tail(record: Recorded) -> list[str]:
    """The lines that a failed attempt has left of its log; each is printable."""
    text = record.event.log_tail if isinstance(record.event, AttemptFailed) else None
    return [printable(line.expandtabs()) for line in text.split("\n")] if text else []


def clock(milliseconds: int) -> str:
    """Epoch milliseconds as `2026-11-24T04:05:06.789Z`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def elapsed(milliseconds: int) -> str:
    """Such as `+0.250s`, `+1m05.250s`, `+2h03m00s`."""
    seconds, rest = divmod(milliseconds, 1000)
    if seconds < 60:
        return f"+{seconds}.{rest:03d}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"+{minutes}m{seconds:02d}.{rest:03d}s"
    hours, minutes = divmod(minutes, 60)
    return f"+{hours}h{minutes:02d}m{seconds:02d}s"


def printable(text: str) -> str:
    """The text on one line, with whatever a terminal would obey written out as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _subject(event: Event) -> str:
    """`step` or `step/attempt`, where the event is about one; the shown names where it is about many."""
    match event:
        case StepsSkipped() | StepsCancelled():
            return some(event.steps)
        case StepFailed() | StepAdopted() | StepEvaluated() | StepExpanded() | StepCompleted():
            return event.step
        case ApprovalRequested() | ApprovalGiven() | WaitStarted():
            return event.step
        case WorkflowRerun():
            return some(event.from_)
        case (
            StepScheduled()
            | StepStarted()
            | StepSucceeded()
            | AttemptAbandoned()
            | AttemptFailed()
            | LateResultIgnored()
        ):
            return f"{event.step}/{event.attempt}"
        case AttemptUnknown() | UnknownResolved():
            return f"{event.step}/{event.attempt}"
        case TimerFired() if event.step is not None:
            return event.step if event.attempt is None else f"{event.step}/{event.attempt}"
    return ""


def some(steps: Sequence[str]) -> str:
    """The first names, and how many are left out."""
    shown = ", ".join(steps[:NAMES_SHOWN_MAX])
    return shown if len(steps) <= NAMES_SHOWN_MAX else f"{shown} and {len(steps) - NAMES_SHOWN_MAX} more"


def _details(event: Event) -> str:
    match event:
        case StreamClaimed():
            return f"epoch {event.epoch} by {event.writer}"
        case WorkflowAccepted():
            count = len(event.definition.steps)
            return _words(f"{count} step" if count == 1 else f"{count} steps", _until("deadline", event.deadline))
        case WorkflowRejected():
            return "; ".join(str(problem) for problem in event.problems)
        case ShutdownRequested():
            return event.mode.value
        case WorkflowSuspended() | WorkflowResumed():
            return ""
        case TimerFired():
            return f"{event.kind.value}, due {clock(event.due)}"
        case EventLimitReached():
            return f"{event.limit} events"
        case FinallyStarted():
            why = f"{event.end.value}: " + _because(event.reason, event.message)
            return _words(why, _until("deadline", event.deadline))
        case WorkflowFinished():
            return f"{event.end.value}: " + _because(event.reason, event.message)
        case WorkflowRerun():
            return _words(f"run {event.run}", _until("deadline", event.deadline))
        case _:
            return _details_of_step(event)


def _details_of_step(event: StepEvent) -> str:
    match event:
        case StepEvaluated():
            return ", ".join(f"{path}={_short(text)}" for path, text in event.values.items())
        case StepAdopted():
            return f"done at position {event.source_position} of run {event.source_run} of {event.source_uid}"
        case ApprovalRequested():
            return _until("until", event.deadline)
        case ApprovalGiven():
            return _because(f"{event.decision.value} by {event.by}", event.message)
        case WaitStarted():
            return _until("until", event.due)
        case StepExpanded():
            items = "1 item" if event.count == 1 else f"{event.count} items"
            return _words(items, _until("deadline", event.deadline))
        case StepCompleted():
            return event.outputs or ""
        case StepFailed():
            return _because(event.reason.value, event.message)
        case StepsSkipped():
            return _why_skipped(event)
        case StepsCancelled():
            return ""
        case _:
            return _details_of_attempt(event)


def _details_of_attempt(event: AttemptEvent) -> str:
    match event:
        case StepScheduled():
            return f"job {event.job}"
        case StepStarted():
            return _words(_place(event.pod, event.node), _until("until", event.attempt_deadline))
        case StepSucceeded():
            lasted, place = _lasted(event.started_at, event.finished_at), _place(event.pod, event.node)
            return _words(lasted, place, *(f"{name}={_short(value)}" for name, value in (event.outputs or {}).items()))
        case AttemptAbandoned():
            return _because(event.reason.value, event.message)
        case AttemptFailed():
            code = "" if event.exit_code is None else f"exit code {event.exit_code}"
            lasted = _lasted(event.started_at, event.finished_at)
            return _words(_because(event.reason.value, event.message), code, lasted, _until("retry at", event.retry_at))
        case AttemptUnknown():
            return _words(_because(event.reason.value, event.message), _place(event.pod, event.node))
        case UnknownResolved():
            return _words(event.decision.value, f"by {event.by}" if event.by else "")
        case LateResultIgnored():
            return f"it ended after it was given up: {event.reason.value if event.reason else 'Succeeded'}"
        case _:
            assert_never(event)


def _why_skipped(event: StepsSkipped) -> str:
    if event.reason is SkipReason.CONDITION_FALSE:
        return "ConditionFalse: its `when` does not hold"
    return f"{event.reason.value}, because of {event.culprit}"


def _short(value: str | int | bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= VALUE_SHOWN_MAX else f"{text[:VALUE_SHOWN_MAX]}..."


def _words(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _because(reason: str, message: str) -> str:
    return f"{reason} ({message})" if message else reason


def _until(word: str, time: int | None) -> str:
    return "" if time is None else f"{word} {clock(time)}"


def _place(pod: str | None, node: str | None) -> str:
    return _words(f"pod {pod}" if pod else "", f"node {node}" if node else "")


def _lasted(started_at: int | None, finished_at: int | None) -> str:
    """Kubernetes gives both times in whole seconds."""
    if started_at is None or finished_at is None:
        return ""
    seconds = (finished_at - started_at) // 1000
    return f"ran {seconds}s" if seconds > 0 else "ran <1s"
