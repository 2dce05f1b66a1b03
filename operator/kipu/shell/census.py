"""What the operator has at hand at one moment, for the gauges of /metrics.

Promises: it is taken when somebody asks, in one walk over the workflows that this replica serves, and keeps nothing.
Cost: some 2 microseconds a workflow and a step under way. Must never change or wait for anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kipu.core.lifecycle import StepPhase
from kipu.core.policies import EVENTS_MAX
from kipu.core.state import State
from kipu.eventlog.chunks import CHUNKS_MAX, TAIL_BYTES_GROWN_MAX
from kipu.eventlog.configmaps import ConfigMapHead
from kipu.eventlog.ports import Head

MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # cgroup v2
OPENING, PLACE, CLUSTER, START = "Opening", "Place", "Cluster", "Start"  # what is waited for


@dataclass(slots=True)
class Waiting:
    """How many Workflows wait, and how long the one that has waited longest has."""

    count: int = 0
    oldest_seconds: float = 0.0

    def add(self, seconds: float | None) -> None:
        """One of them; None: it does not wait."""
        if seconds is not None:
            self.count += 1
            self.oldest_seconds = max(self.oldest_seconds, seconds)


@dataclass(slots=True, kw_only=True)
class Census:
    """Of one moment."""

    phases: Mapping[str, int]
    jobs_max: int
    janitor_jobs: int
    mailbox_commands: int = 0
    log_events: int = 0  # of the largest log
    log_chunks: int = 0
    log_tail_bytes: int = 0
    waiting: dict[str, Waiting] = field(
        default_factory=lambda: {each: Waiting() for each in (OPENING, PLACE, CLUSTER, START)}
    )
    memory_bytes_max: int | None = None

    def measure(self, head: Head | None) -> None:
        """One more log."""
        if head is not None:
            self.log_events = max(self.log_events, head.position)
        if isinstance(head, ConfigMapHead):
            self.log_chunks = max(self.log_chunks, len(head.index))
            self.log_tail_bytes = max(self.log_tail_bytes, len(head.tail))


def unstarted_seconds(state: State, now: int) -> float | None:
    """How long the step that has waited longest for its pod to run has; None if none does. `now` as in records."""
    found = (state.steps[place] for place in state.live)
    since = [step.attempt.scheduled_at for step in found if step.attempt and step.phase is StepPhase.SCHEDULED]
    return max(0, now - min(since)) / 1000 if since else None


def memory_limit(path: Path = MEMORY_LIMIT) -> int | None:
    """How much memory this container may have, in bytes; None where there is no bound or nobody says."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


Samples = Iterable[tuple[tuple[str, ...], float]]  # values of labels, figure


@dataclass(frozen=True, slots=True)
class GaugeOf:
    """One gauge that is read off a census."""

    text: str
    read: Callable[[Census], Samples]
    labels: tuple[str, ...] = ()


def _one(text: str, figure: Callable[[Census], float | None]) -> GaugeOf:
    def read(census: Census) -> Samples:
        value = figure(census)
        return () if value is None else (((), value),)

    return GaugeOf(text, read)


GAUGES: Mapping[str, GaugeOf] = {
    "workflows": GaugeOf(
        "Workflows that this replica serves, those that have ended included; none on a standby",
        lambda census: (((phase,), count) for phase, count in sorted(census.phases.items())),
        ("phase",),
    ),
    "workflows_waiting": GaugeOf(
        "Workflows that wait to be taken up, or of which a step waits for a place, for a pod to start, "
        "or for an answer or an end in the cluster",
        lambda census: (((cause,), waiting.count) for cause, waiting in census.waiting.items()),
        ("cause",),
    ),
    "workflow_oldest_wait_seconds": GaugeOf(
        "How long the one of them that has waited longest has; 0 if none waits",
        lambda census: (((cause,), waiting.oldest_seconds) for cause, waiting in census.waiting.items()),
        ("cause",),
    ),
    "mailbox_commands": _one("Commands that wait in mailboxes", lambda census: census.mailbox_commands),
    "jobs_limit": _one("Jobs that may be there at once: the setting parallelism", lambda census: census.jobs_max),
    "janitor_backlog_jobs": _one("Finished Jobs that wait to be deleted", lambda census: census.janitor_jobs),
    "log_largest_events": _one("Events in the largest log of a served Workflow", lambda census: census.log_events),
    "log_largest_chunks": _one("Chunks of the one with most", lambda census: census.log_chunks),
    "log_largest_tail_bytes": _one("The longest tail, uncompressed", lambda census: census.log_tail_bytes),
    "log_limit_events": _one("Events that a log may hold", lambda _: EVENTS_MAX),
    "log_limit_chunks": _one("Chunks that a log may have", lambda _: CHUNKS_MAX),
    "log_limit_tail_bytes": _one("How far a tail may grow while chunks are refused", lambda _: TAIL_BYTES_GROWN_MAX),
    "memory_limit_bytes": _one(
        "Memory that the container may have; absent where there is no bound", lambda census: census.memory_bytes_max
    ),
}


def count_phases(phases: Iterable[object]) -> Counter[str]:
    """Those that have none yet are Pending."""
    return Counter(phase if isinstance(phase, str) and phase else "Pending" for phase in phases)
