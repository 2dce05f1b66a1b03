"""Metrics of the operator (Prometheus): what is counted, under which names. docs/metrics.md is checked against it.

Promises: low cardinality, no label carries the name of a namespace, a workflow or a step, so the number of series
does not grow with the work; names are for ever, with the unit last. What is a state and not an event is read off the
engine when somebody asks for /metrics, and costs nothing between. Must never decide, wait or fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from kipu import __version__
from kipu.core.errors import KipuError
from kipu.core.events import (
    AttemptAbandoned,
    AttemptFailed,
    Event,
    Reason,
    Resolution,
    StepCompleted,
    StepFailed,
    StepSucceeded,
    UnknownResolved,
    WorkflowFinished,
)
from kipu.eventlog.ports import Recorded

from .census import GAUGES, Census
from .meter import Meter

SUCCEEDED = "Succeeded"
# Errors after which a Workflow is not touched any more, and those after which a session begins anew. They are there
# with 0 from the beginning: of a series that begins with 1 no rate shows the first one.
STALLING = ("CorruptionError", "HistoryRollback", "LogFull", "LogMissing", "NotRecordable", "UnknownEvent")
PASSING = ("ConcurrencyConflict", "LogWriteRefused", "TransientError", "Unanswered", "WorkflowGone")
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10)  # few: there are some 30 of this histogram
GAP_SECONDS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
CLAIM_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_SECONDS = (0.01, 0.1, 1, 5, 10, 30, 60, 300, 1_800, 3_600, 14_400)
RUN_SECONDS = (1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
M = TypeVar("M", Counter, Histogram)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One metric as it is promised to whoever reads /metrics."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class _ByLabels(dict[tuple[str, ...], M]):
    """A metric by the values of its labels: found in a third of the time that `labels` takes."""

    def __init__(self, metric: M) -> None:
        self._metric: M = metric

    def __missing__(self, values: tuple[str, ...]) -> M:
        child: M = self._metric.labels(*values)
        self[values] = child
        return child


class Telemetry(Meter):
    """One registry per operator, so that tests can run several in one process. Touched from the engine's loop only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.described: list[Described] = []
        build = self._gauge("kipu_build_info", "1; the label says which version this is", "version")
        build.labels(__version__).set(1)
        self.leader = self._gauge("kipu_leader", "1 while this replica leads, 0 while it stands by")
        self.actors = self._gauge("kipu_workflows_active", "Workflows with an actor")
        self.jobs = self._gauge("kipu_jobs_active", "Attempts that hold a place")
        self._of_the_log()
        self._of_workflows()
        self._of_the_cluster()
        self.described += [
            Described(name=f"kipu_{name}", kind="gauge", labels=gauge.labels, text=gauge.text)
            for name, gauge in GAUGES.items()
        ]

    def _of_the_log(self) -> None:
        self.commits = self._counter("kipu_commits_total", "Appends to event logs that committed")
        self.commit_seconds = self._histogram(
            "kipu_commit_duration_seconds", "An append, from its beginning to its certain end", COMMIT_SECONDS
        )
        self.commit_failures = self._counter("kipu_commit_failures_total", "Appends that did not commit", "reason")
        for reason in ("ConcurrencyConflict", "LogWriteRefused", "TransientError"):
            self.commit_failures.labels(reason)
        self._events = _ByLabels(self._counter("kipu_events_total", "Events committed", "type"))
        self.failures = self._counter(
            "kipu_actor_failures_total", "Sessions of actors that ended by an error", "reason"
        )
        for reason in (*STALLING, *PASSING):
            self.failures.labels(reason)

    def _of_workflows(self) -> None:
        self._run_seconds = _ByLabels(
            self._histogram(
                "kipu_workflow_duration_seconds", "A run, from its acceptance to its end", RUN_SECONDS, "outcome"
            )
        )
        self.claim_seconds = self._histogram(
            "kipu_workflow_claim_duration_seconds",
            "From when an actor is to serve a Workflow to its claim of the log: time to ownership",
            CLAIM_SECONDS,
        )
        self._attempts = _ByLabels(
            self._counter("kipu_step_attempts_total", "Attempts that are over, by how they ended", "reason")
        )
        self._retries = _ByLabels(
            self._counter("kipu_step_retries_total", "Failed attempts after which another one is made", "reason")
        )
        self.gap_seconds = self._histogram(
            "kipu_step_gap_seconds",
            "From the news that a step has ended to the answer to the create of a Job that it lets start",
            GAP_SECONDS,
        )
        self.place_seconds = self._histogram(
            "kipu_place_wait_seconds", "How long a Workflow has waited for a place for its next Job", WAIT_SECONDS
        )

    def _of_the_cluster(self) -> None:
        self._requests = _ByLabels(
            self._counter("kipu_api_requests_total", "Requests to the API server", "verb", "resource", "status")
        )
        self._request_seconds = _ByLabels(
            self._histogram(
                "kipu_api_request_duration_seconds",
                "A request to the API server, to the end of its answer; watches are left out",
                REQUEST_SECONDS,
                "verb",
                "resource",
            )
        )
        self._restarts = _ByLabels(
            self._counter("kipu_watch_restarts_total", "Watches that were begun anew", "resource", "reason")
        )
        self.inquiries = self._counter(
            "kipu_inquiries_total", "Questions to the API server why attempts have not started", "result"
        )

    # -- what is asked for -----------------------------------------------------------------------------

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)

    def observe(self, take: Callable[[], Census]) -> None:
        """Ask this whenever somebody asks for /metrics."""
        self.registry.register(_Scrape(take))

    def count_inquiry(self, result: str) -> None:
        """One inquiry into what is late: answered or failed."""
        self.inquiries.labels(result).inc()

    def observe_process(self) -> None:
        """The metrics of any Python process too: its CPU, memory, files, collections of garbage. Once, for good."""
        # Of all registries: else each counter and each histogram has a series more.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    # -- what is told ----------------------------------------------------------------------------------

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around one append."""
        begun = time.perf_counter()
        try:
            yield
        except KipuError as error:
            self.commit_failures.labels(type(error).__name__).inc()
            raise
        finally:
            self.commit_seconds.observe(time.perf_counter() - begun)

    def count_commit(self, records: Sequence[Recorded], accepted_at: int | None) -> None:
        """One append that committed, of a run that was accepted then, in milliseconds since 1970 UTC."""
        self.commits.inc()
        for record in records:
            event = record.event
            self._events[type(event).__name__,].inc()
            if (reason := end_of_attempt(event)) is not None:
                self._attempts[reason,].inc()
                if isinstance(event, AttemptFailed) and event.retry_at is not None:
                    self._retries[reason,].inc()
            elif isinstance(event, WorkflowFinished) and accepted_at is not None:
                self._run_seconds[event.end.value,].observe((record.ts - accepted_at) / 1000)

    def count_request(self, verb: str, resource: str, status: str, seconds: float | None = None) -> None:
        """See Meter."""
        self._requests[verb, resource, status].inc()
        if seconds is not None:
            self._request_seconds[verb, resource].observe(seconds)

    def count_watch_restart(self, resource: str, reason: str) -> None:
        """See Meter."""
        self._restarts[resource, reason].inc()

    # -- how it is made --------------------------------------------------------------------------------

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        self.described.append(Described(name=name, kind="counter", labels=labels, text=text))
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        self.described.append(Described(name=name, kind="gauge", labels=labels, text=text))
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        self.described.append(Described(name=name, kind="histogram", labels=labels, text=text))
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)


class _Scrape(Collector):
    """Gauges that are looked up when they are asked for."""

    def __init__(self, take: Callable[[], Census]) -> None:
        self._take = take

    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        census = self._take()
        for name, gauge in GAUGES.items():
            family = GaugeMetricFamily(f"kipu_{name}", gauge.text, labels=gauge.labels)
            for values, figure in gauge.read(census):
                family.add_metric(values, figure)
            yield family


def end_of_attempt(event: Event) -> str | None:
    """How an attempt has ended, if this event says so; each attempt's end once."""
    match event:
        case StepSucceeded() | UnknownResolved(decision=Resolution.SUCCEED):
            return SUCCEEDED
        case AttemptFailed():
            return event.reason.value
        case AttemptAbandoned(reason=Reason.CANCELLED):  # of all others an AttemptFailed says so, once they are gone
            return event.reason.value
        case _:
            return None


def ends_a_step(events: Iterable[Event]) -> bool:
    """Whether any of these is a step's end, after which others may start."""
    return any(isinstance(event, StepSucceeded | StepFailed | StepCompleted) for event in events)
