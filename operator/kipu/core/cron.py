"""Which Workflow a CronWorkflow starts next, and what becomes of those that it has started: pure.

Promises: the rules of batch/v1 CronJob (docs/cron.md). Everything is concluded from what is there: the children, the
last time that was noted, the clock. So to ask again is harmless, after a crash at any point as well; a time that has a
child is never due again, because the child's name says for which time it is. Must never remember anything, and never
look at a clock or a calendar: `Schedule` is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

MISSED_MAX = 100  # times that are counted: whoever has missed more is told "more than 100", as by CronJob
HISTORY_MAX = 100  # Workflows that may be kept of each kind; x 2 of 16 KB = 3 MB in the cluster's store
SUCCESSFUL_KEPT = 3  # CronJob's defaults
FAILED_KEPT = 1
MINUTE_MS = 60_000
# A create that was left unanswered may be carried out as long as an API server keeps a request (60 s by default), and
# must find the name taken until then, although the Workflow of a second create has ended already.
SETTLED_MS = 120_000


class Concurrency(StrEnum):
    """What happens at a time at which an earlier Workflow still runs."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class Schedule(Protocol):
    """Times in milliseconds since 1970 UTC, in whole minutes."""

    def next(self, after: int) -> int | None:
        """The first time after this one; None if there is none."""

    def latest(self, after: int, until: int) -> int | None:
        """The last time after the one and not after the other; None if there is none."""

    def count(self, after: int, until: int, most: int) -> int:
        """How many times there are in between, counted up to `most`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """What a CronWorkflow asks for, apart from its schedule and its template."""

    suspend: bool = False
    concurrency: Concurrency = Concurrency.ALLOW
    starting_deadline_ms: int | None = None
    successful_kept: int = SUCCESSFUL_KEPT
    failed_kept: int = FAILED_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A Workflow that this CronWorkflow owns."""

    name: str
    uid: str
    scheduled_at: int | None  # for which time it was started, by its name; None for one that a person has made
    created_at: int
    has_ended: bool = False
    has_succeeded: bool = False
    ended_at: int | None = None
    is_told_to_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is there now."""

    now: int
    since: int  # from when on this schedule counts: the creation, or the moment at which it was seen to be another one
    last_scheduled: int | None
    last_successful: int | None
    children: Sequence[Child]


class Standing(StrEnum):
    """How it stands with the schedule, in one word."""

    ON_SCHEDULE = "OnSchedule"
    SUSPENDED = "Suspended"
    WORKFLOW_ACTIVE = "WorkflowActive"  # a time has come, and Forbid holds it back
    DEADLINE_MISSED = "DeadlineMissed"  # a time has passed, and it is too late to make up for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, in this order, and what is to be shown."""

    cancel: tuple[Child, ...] = ()
    start: int | None = None  # the time for which a Workflow is to be created now
    delete: tuple[Child, ...] = ()  # only after the last time is noted: a child is the proof that its time was served
    active: tuple[Child, ...] = ()  # before `start`, in the order of their creation
    last_scheduled: int | None = None  # before `start`
    last_successful: int | None = None
    next: int | None = None
    standing: Standing = Standing.ON_SCHEDULE
    held: int | None = None  # the time that WORKFLOW_ACTIVE or DEADLINE_MISSED is about
    missed: int = 0  # times before `start` that nothing makes up for; MISSED_MAX + 1 means more than MISSED_MAX


def child_name(cron: str, scheduled_at: int) -> str:
    """As CronJob names its Jobs: the minutes since 1970, so that one time has one name."""
    return f"{cron}-{scheduled_at // MINUTE_MS}"


def scheduled_time(cron: str, child: str) -> int | None:
    """For which time a child of this name was started; None if the name is not of our making."""
    prefix, _, minutes = child.rpartition("-")
    if prefix != cron or not (minutes.isascii() and minutes.isdecimal()) or len(minutes) > 9:
        return None
    return int(minutes) * MINUTE_MS


def plan(cron: Cron, schedule: Schedule, facts: Facts) -> Plan:
    """What to do now."""
    now = idle(facts)
    base = facts.since if now.last_scheduled is None else max(facts.since, now.last_scheduled)
    due = None if cron.suspend else schedule.latest(base, facts.now)
    earliest = base if cron.starting_deadline_ms is None else max(base, facts.now - cron.starting_deadline_ms)
    standing, held = _standing(cron, due, earliest, now.active)
    start = due if standing is Standing.ON_SCHEDULE else None
    missed = 0 if start is None else schedule.count(earliest, start - 1, MISSED_MAX + 1)
    return replace(
        now,
        cancel=_to_cancel(now.active) if start is not None and cron.concurrency is Concurrency.REPLACE else (),
        start=start,
        delete=_to_delete(cron, facts),
        next=None if cron.suspend else schedule.next(facts.now),
        standing=standing,
        held=held,
        missed=missed,
    )


def idle(facts: Facts) -> Plan:
    """For a CronWorkflow that asks for nothing that can be understood: touch nothing, show what is there."""
    served = _newest(facts.last_scheduled, *(child.scheduled_at for child in facts.children))
    active = _oldest_first(child for child in facts.children if not child.has_ended)
    return Plan(active=active, last_scheduled=served, last_successful=_last_success(facts))


def _standing(cron: Cron, due: int | None, earliest: int, active: Sequence[Child]) -> tuple[Standing, int | None]:
    if cron.suspend:
        return Standing.SUSPENDED, None
    if due is None:
        return Standing.ON_SCHEDULE, None
    if due <= earliest:
        return Standing.DEADLINE_MISSED, due
    if cron.concurrency is Concurrency.FORBID and active:
        return Standing.WORKFLOW_ACTIVE, due
    return Standing.ON_SCHEDULE, None


def _to_cancel(active: Sequence[Child]) -> tuple[Child, ...]:
    return tuple(child for child in active if not child.is_told_to_end)


def _to_delete(cron: Cron, facts: Facts) -> tuple[Child, ...]:
    """Those that ended first, beyond what is kept of each kind. What was cancelled counts as failed."""
    ended = sorted((child for child in facts.children if child.has_ended), key=_end)
    surplus: list[Child] = []
    for succeeded, kept in ((True, cron.successful_kept), (False, cron.failed_kept)):
        alike = [child for child in ended if child.has_succeeded is succeeded]
        surplus += alike[: max(0, len(alike) - kept)]
    return tuple(child for child in surplus if child.created_at <= facts.now - SETTLED_MS)


def _end(child: Child) -> tuple[int, str]:
    return (child.created_at if child.ended_at is None else child.ended_at), child.name


def _oldest_first(children: Iterable[Child]) -> tuple[Child, ...]:
    return tuple(sorted(children, key=lambda child: (child.created_at, child.name)))


def _last_success(facts: Facts) -> int | None:
    return _newest(facts.last_successful, *(child.ended_at for child in facts.children if child.has_succeeded))


def _newest(*times: int | None) -> int | None:
    return max((time for time in times if time is not None), default=None)
