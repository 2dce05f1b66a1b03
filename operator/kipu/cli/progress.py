"""What a person sees of a run while it goes: a line for each thing that happens, and below them what runs now.

Promises: off a terminal there are only the lines, plain and never cut; what comes from programs is printed with its
control characters escaped. It shows committed events and nothing else. Must never be parsed by anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from kipu.api.status import steps_total
from kipu.core.events import (
    ApprovalGiven,
    ApprovalRequested,
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    Event,
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
    UnknownResolved,
    WaitStarted,
    WorkflowFinished,
    WorkflowRejected,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from kipu.core.lifecycle import TERMINAL_STEP_PHASES
from kipu.core.state import State
from kipu.core.texts import NOBODY_KNOWS
from kipu.eventlog.ports import Recorded

from .details import clock, elapsed, printable, some

RUNNING_SHOWN_MAX = 8  # rows below the lines; a terminal has at least 24
TAIL_LINES = 10  # of what a failed attempt has printed
Tail = Callable[[str], tuple[str, Sequence[str]]]  # of a job: the file, and its last lines
_STYLES = {"succeeded": "green", "failed": "red", "retries": "yellow", "taken down": "yellow", NOBODY_KNOWS: "red"}


def no_tail(_job: str) -> tuple[str, Sequence[str]]:
    """Where nobody knows what an attempt has printed."""
    return "", ()


class Progress:
    """Of one run. `tail` gives what an attempt has printed; `began` is epoch ms, else that of the first record."""

    def __init__(self, console: Console, *, tail: Tail = no_tail, began: int | None = None) -> None:
        self._console = console
        self._tail = tail
        self._began = began
        self._now = 0
        self._jobs: dict[str, str] = {}  # by step: the job of its newest attempt
        self._running: dict[str, tuple[int, int]] = {}  # step -> its attempt, and since when
        self._failed: set[str] = set()  # steps whose failure was told with their last attempt
        self._done = self._steps = 0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, records: Sequence[Recorded], state: State) -> None:
        """What was just committed."""
        for record in records:
            self._began = record.ts if self._began is None else self._began
            self._follow(record.event, record.ts)
            for line in self._lines(record):
                self._console.print(line, soft_wrap=True)
        self._steps = steps_total(state)
        self._done = sum(state.counts[phase] for phase in TERMINAL_STEP_PHASES)
        self.refresh(state.ts)

    def note(self, text: str) -> None:
        """Say something above what runs now."""
        self._console.print(Text(printable(text)), soft_wrap=True)

    def refresh(self, now: int) -> None:
        """Draw anew what changes by time alone."""
        if self._live is not None:
            self._now = now
            self._live.update(Group(*self._rows()), refresh=True)

    def _follow(self, event: Event, ts: int) -> None:
        match event:
            case StepScheduled():
                self._jobs[event.step] = event.job
                self._running[event.step] = event.attempt, ts
            case StepSucceeded() | AttemptUnknown():
                self._running.pop(event.step, None)
            case AttemptFailed():
                self._running.pop(event.step, None)
                if event.retry_at is None:
                    self._failed.add(event.step)
            case StepsCancelled():
                for step in event.steps:
                    self._running.pop(step, None)

    def _rows(self) -> Iterator[Text]:
        yield Text(f"{self._done}/{self._steps} steps done, {len(self._running)} running", style="bold")
        for step, (attempt, since) in islice(self._running.items(), RUNNING_SHOWN_MAX):
            yield Text(f"  {step}/{attempt}  {elapsed(max(0, self._now - since))}", style="cyan")
        if len(self._running) > RUNNING_SHOWN_MAX:
            yield Text(f"  and {len(self._running) - RUNNING_SHOWN_MAX} more", style="cyan")

    def _lines(self, record: Recorded) -> Iterator[Text]:
        said = _said(record.event)
        if said is None or (isinstance(record.event, StepFailed) and record.event.step in self._failed):
            return
        subject, word, details = said
        text = f"{elapsed(record.ts - (self._began or 0)):>10}  {subject:<20}  {word}"
        yield Text(printable(text + (f": {details}" if details else "")), style=_STYLES.get(word, ""))
        if isinstance(record.event, AttemptFailed | AttemptUnknown):
            path, lines = self._tail(self._jobs.get(record.event.step, ""))
            for line in lines:
                yield Text(f"{'':12}| {printable(line)}", style="dim")
            if path:
                yield Text(f"{'':12}{printable(path)}", style="dim")


def _said(event: Event) -> tuple[str, str, str] | None:
    """Whom it is about, what happened, and the rest; None for what only `kipu history` tells."""
    match event:
        case StepStarted():
            return f"{event.step}/{event.attempt}", "runs", ""
        case StepSucceeded():
            return f"{event.step}/{event.attempt}", "succeeded", ""
        case StepAdopted():
            return event.step, "succeeded", "elsewhere"
        case StepExpanded():
            return event.step, "begins", "1 item" if event.count == 1 else f"{event.count} items"
        case WaitStarted():
            return event.step, "waits", f"until {clock(event.due)}"
        case StepCompleted():
            return event.step, "succeeded", ""
        case AttemptFailed():
            word = "failed" if event.retry_at is None else "retries"
            return f"{event.step}/{event.attempt}", word, event.message or event.reason
        case AttemptUnknown():
            return f"{event.step}/{event.attempt}", NOBODY_KNOWS, event.message or event.reason
        case AttemptAbandoned():
            return f"{event.step}/{event.attempt}", "taken down", event.message or event.reason
        case StepFailed():
            return event.step, "failed", event.message or event.reason
        case StepsSkipped():
            return some(event.steps), "skipped", f"because of {event.culprit}"
        case StepsCancelled():
            return some(event.steps), "cancelled", ""
    return _said_of_people(event)


def _said_of_people(event: Event) -> tuple[str, str, str] | None:
    """The same of what people were asked or have asked for, and of the run as a whole."""
    match event:
        case ApprovalRequested():
            return event.step, "asks for approval", "answer by spec.approvals"
        case ApprovalGiven():
            return event.step, f"{event.decision.value} by {event.by}", event.message
        case WorkflowSuspended():
            return "workflow", "suspended", "until spec.suspend is taken back"
        case WorkflowResumed():
            return "workflow", "resumed", ""
        case UnknownResolved():
            return f"{event.step}/{event.attempt}", f"{event.decision.value} by {event.by}", ""
        case ShutdownRequested():
            return "workflow", "shutdown", str(event.mode)
        case WorkflowRerun():
            return "workflow", "runs again", f"rerun {event.run}"
        case WorkflowRejected():
            return "workflow", "rejected", "; ".join(str(problem) for problem in event.problems)
        case WorkflowFinished():
            return "workflow", event.end.value.lower(), event.message
    return None
