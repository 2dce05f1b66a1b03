"""Metrics of the operator (Prometheus). Low cardinality: no label carries a workflow's or a step's name."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kipu.core.events import Event


class Telemetry:
    """One registry per operator, so that tests can run several in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.commits = Counter("kipu_commits_total", "Appends to event logs that committed", registry=self.registry)
        self.events = Counter("kipu_events_total", "Events committed", ["type"], registry=self.registry)
        self.conflicts = Counter("kipu_conflicts_total", "Appends that lost a race", registry=self.registry)
        self.requests = Counter(
            "kipu_api_requests_total",
            "Requests to the API server",
            ["verb", "resource", "status"],
            registry=self.registry,
        )
        self.leader = Gauge("kipu_leader", "1 while this replica leads, 0 while it stands by", registry=self.registry)
        self.actors = Gauge("kipu_workflows_active", "Workflows with an actor", registry=self.registry)
        self.jobs = Gauge("kipu_jobs_active", "Attempts that hold a place", registry=self.registry)
        self.queue = Gauge("kipu_mailbox_commands", "Commands waiting in mailboxes", registry=self.registry)
        self.failures = Counter(
            "kipu_actor_failures_total", "Sessions of actors that ended by an error", ["kind"], registry=self.registry
        )
        self.inquiries = Counter(
            "kipu_inquiries_total",
            "Questions to the API server why attempts have not started",
            ["result"],
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "kipu_turn_duration_seconds",
            "One turn: decide, commit, hand out effects",
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)

    def count_commit(self, events: Sequence[Event]) -> None:
        """One append that committed."""
        self.commits.inc()
        for event in events:
            self.events.labels(type=type(event).__name__).inc()

    def count_inquiry(self, result: str) -> None:
        """One inquiry into what is late: answered or failed."""
        self.inquiries.labels(result=result).inc()

    def count_request(self, verb: str, resource: str, status: str) -> None:
        """One answered (or unanswered) request."""
        self.requests.labels(verb=verb, resource=resource, status=status).inc()
