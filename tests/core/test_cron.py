"""What a CronWorkflow starts, cancels and deletes, as tables: the rules of batch/v1 CronJob."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from kipu.core.cron import (
    MINUTE_MS,
    MISSED_MAX,
    SETTLED_MS,
    Child,
    Concurrency,
    Cron,
    Facts,
    Standing,
    child_name,
    idle,
    plan,
    scheduled_time,
)

M = MINUTE_MS
HOUR = 60 * M


@dataclass(frozen=True, slots=True)
class Every:
    """Each so many minutes since 1970, until `last` at most."""

    minutes: int
    last: int | None = None

    def next(self, after: int) -> int | None:
        time = (after // (self.minutes * M) + 1) * self.minutes * M
        return None if self.last is not None and time > self.last else time

    def latest(self, after: int, until: int) -> int | None:
        time = until // (self.minutes * M) * self.minutes * M
        time = time if self.last is None else min(time, self.last)
        return time if time > after else None

    def count(self, after: int, until: int, most: int) -> int:
        return min(most, max(0, until // (self.minutes * M) - after // (self.minutes * M)))


HOURLY = Every(60)


def facts(now: int, *children: Child, since: int = 0, last: int | None = None, successful: int | None = None) -> Facts:
    return Facts(now=now, since=since, last_scheduled=last, last_successful=successful, children=children)


def child(scheduled_at: int | None, **fields: Any) -> Child:
    created = fields.pop("created_at", scheduled_at or 0)
    return Child(
        name=f"c-{scheduled_at}", uid=f"uid-{scheduled_at}", scheduled_at=scheduled_at, created_at=created, **fields
    )


def ended(scheduled_at: int, *, succeeded: bool = True, after: int = 5 * M) -> Child:
    return child(scheduled_at, has_ended=True, has_succeeded=succeeded, ended_at=scheduled_at + after)


# -- when something is due -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "now", "last", "start"),
    [
        ("before the first time", HOUR - 1, None, None),
        ("at the first time", HOUR, None, HOUR),
        ("a moment after it", HOUR + 1, None, HOUR),
        ("it was served", HOUR + 1, HOUR, None),
        ("the next one", 2 * HOUR, HOUR, 2 * HOUR),
        ("several were missed: the last one", 7 * HOUR + 30 * M, 2 * HOUR, 7 * HOUR),
        ("a clock that was set back", 3 * HOUR, 5 * HOUR, None),
    ],
)
def test_a_time_is_due_once_it_has_come_until_it_is_served(case: str, now: int, last: int | None, start: int) -> None:
    assert plan(Cron(), HOURLY, facts(now, last=last)).start == start, case


def test_times_before_the_schedule_counts_are_not_due() -> None:
    assert plan(Cron(), HOURLY, facts(5 * HOUR + M, since=5 * HOUR)).start is None
    assert plan(Cron(), HOURLY, facts(5 * HOUR + M, since=5 * HOUR - 1)).start == 5 * HOUR
    assert plan(Cron(), HOURLY, facts(5 * HOUR + M, since=5 * HOUR, last=2 * HOUR)).start is None  # it was changed


def test_a_child_proves_that_its_time_was_served_although_nothing_was_noted() -> None:
    found = plan(Cron(), HOURLY, facts(3 * HOUR + M, child(3 * HOUR), last=2 * HOUR))
    assert (found.start, found.last_scheduled) == (None, 3 * HOUR)
    found = plan(Cron(), HOURLY, facts(4 * HOUR, child(3 * HOUR), last=2 * HOUR))
    assert found.start == 4 * HOUR


def test_a_child_that_a_person_made_serves_no_time() -> None:
    found = plan(Cron(), HOURLY, facts(3 * HOUR, child(None)))
    assert found.start == 3 * HOUR
    assert len(found.active) == 1


def test_the_next_time_is_told_and_none_after_the_last() -> None:
    assert plan(Cron(), HOURLY, facts(3 * HOUR)).next == 4 * HOUR
    assert plan(Cron(), Every(60, last=3 * HOUR), facts(3 * HOUR)).next is None


# -- what was missed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late_ms", "start", "standing"),
    [
        (0, 3 * HOUR, Standing.ON_SCHEDULE),
        (10_000 - 1, 3 * HOUR, Standing.ON_SCHEDULE),
        (10_000, None, Standing.DEADLINE_MISSED),
        (10_001, None, Standing.DEADLINE_MISSED),
    ],
)
def test_what_comes_after_the_starting_deadline_is_missed(late_ms: int, start: int | None, standing: Standing) -> None:
    found = plan(Cron(starting_deadline_ms=10_000), HOURLY, facts(3 * HOUR + late_ms, last=2 * HOUR))
    assert (found.start, found.standing) == (start, standing)
    assert found.held == (3 * HOUR if start is None else None)


@pytest.mark.parametrize(("missed", "told"), [(0, 0), (1, 1), (MISSED_MAX, MISSED_MAX), (5_000, MISSED_MAX + 1)])
def test_missed_times_are_counted_up_to_a_bound_and_the_last_one_is_made_up_for(missed: int, told: int) -> None:
    found = plan(Cron(), HOURLY, facts((missed + 2) * HOUR + M, last=HOUR))
    assert (found.start, found.missed) == ((missed + 2) * HOUR, told)


def test_a_deadline_bounds_what_is_counted_as_missed() -> None:
    cron = Cron(starting_deadline_ms=3 * HOUR)
    found = plan(cron, HOURLY, facts(1_000 * HOUR + M, last=HOUR))
    assert (found.start, found.missed) == (1_000 * HOUR, 2)


def test_nothing_starts_while_suspended_and_the_last_missed_one_afterwards() -> None:
    seen = facts(9 * HOUR + M, child(2 * HOUR), last=2 * HOUR)
    found = plan(Cron(suspend=True), HOURLY, seen)
    assert (found.start, found.next, found.standing, len(found.active)) == (None, None, Standing.SUSPENDED, 1)
    assert plan(Cron(), HOURLY, seen).start == 9 * HOUR


# -- what still runs -----------------------------------------------------------------------------------

RUNNING = child(2 * HOUR)


@pytest.mark.parametrize(
    ("policy", "start", "cancel", "standing"),
    [
        (Concurrency.ALLOW, 3 * HOUR, (), Standing.ON_SCHEDULE),
        (Concurrency.FORBID, None, (), Standing.WORKFLOW_ACTIVE),
        (Concurrency.REPLACE, 3 * HOUR, (RUNNING,), Standing.ON_SCHEDULE),
    ],
)
def test_the_policy_says_what_a_running_workflow_means(
    policy: Concurrency, start: int | None, cancel: tuple[Child, ...], standing: Standing
) -> None:
    found = plan(Cron(concurrency=policy), HOURLY, facts(3 * HOUR, RUNNING))
    assert (found.start, found.cancel, found.standing) == (start, cancel, standing)
    assert found.active == (RUNNING,)


@pytest.mark.parametrize("policy", list(Concurrency))
def test_one_that_has_ended_is_in_nobodys_way(policy: Concurrency) -> None:
    found = plan(Cron(concurrency=policy), HOURLY, facts(3 * HOUR, ended(2 * HOUR)))
    assert (found.start, found.cancel, found.active) == (3 * HOUR, (), ())


def test_what_forbid_held_back_starts_once_nothing_runs_within_the_deadline() -> None:
    cron = Cron(concurrency=Concurrency.FORBID, starting_deadline_ms=10 * M)
    held = plan(cron, HOURLY, facts(3 * HOUR, RUNNING))
    assert (held.standing, held.held) == (Standing.WORKFLOW_ACTIVE, 3 * HOUR)
    over = ended(2 * HOUR, after=HOUR)
    assert plan(cron, HOURLY, facts(3 * HOUR + 9 * M, over)).start == 3 * HOUR
    assert plan(cron, HOURLY, facts(3 * HOUR + 11 * M, over)).start is None


def test_replace_asks_nobody_twice_and_cancels_only_when_something_is_due() -> None:
    cron = Cron(concurrency=Concurrency.REPLACE)
    told = replace(RUNNING, is_told_to_end=True)
    found = plan(cron, HOURLY, facts(3 * HOUR, told))
    assert (found.cancel, found.start) == ((), 3 * HOUR)
    assert plan(cron, HOURLY, facts(3 * HOUR - 1, RUNNING)).cancel == ()
    assert plan(cron, HOURLY, facts(3 * HOUR + 1, RUNNING, child(3 * HOUR))).cancel == ()  # the new one stays


# -- what is kept --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "deleted"),
    [
        ((3, 1), []),
        ((2, 1), [1 * HOUR]),
        ((0, 1), [1 * HOUR, 3 * HOUR, 5 * HOUR]),
        ((3, 0), [2 * HOUR]),
    ],
)
def test_of_each_kind_the_newest_are_kept(kept: tuple[int, int], deleted: list[int]) -> None:
    children = [ended(5 * HOUR), ended(1 * HOUR), ended(2 * HOUR, succeeded=False), ended(3 * HOUR), child(6 * HOUR)]
    cron = Cron(successful_kept=kept[0], failed_kept=kept[1])
    found = plan(cron, HOURLY, facts(6 * HOUR + M, *children))
    assert [each.scheduled_at for each in found.delete] == deleted


def test_a_name_stays_taken_until_no_create_can_be_under_way_any_more() -> None:
    cron, short = Cron(successful_kept=0), ended(3 * HOUR, after=1_000)
    assert plan(cron, HOURLY, facts(3 * HOUR + SETTLED_MS - 1, short)).delete == ()
    assert plan(cron, HOURLY, facts(3 * HOUR + SETTLED_MS, short)).delete == (short,)


def test_the_last_success_outlives_its_workflow() -> None:
    assert plan(Cron(), HOURLY, facts(9 * HOUR, successful=2 * HOUR)).last_successful == 2 * HOUR
    children = [ended(3 * HOUR), ended(4 * HOUR, succeeded=False)]
    assert plan(Cron(), HOURLY, facts(9 * HOUR, *children, successful=2 * HOUR)).last_successful == 3 * HOUR + 5 * M


def test_one_that_cannot_be_understood_touches_nothing_and_shows_what_is_there() -> None:
    found = idle(facts(9 * HOUR, ended(2 * HOUR), ended(3 * HOUR), child(4 * HOUR), last=HOUR))
    assert (found.start, found.cancel, found.delete, found.next) == (None, (), (), None)
    assert (found.last_scheduled, found.last_successful, len(found.active)) == (4 * HOUR, 3 * HOUR + 5 * M, 1)


# -- names ---------------------------------------------------------------------------------------------


def test_a_name_says_for_which_time_it_is() -> None:
    time = 1_767_225_600_000
    assert child_name("nightly", time) == "nightly-29453760"
    assert scheduled_time("nightly", "nightly-29453760") == time
    assert scheduled_time("nightly-2", child_name("nightly-2", time)) == time


@pytest.mark.parametrize(
    "name", ["nightly", "other-29453760", "nightly-x", "nightly-", "nightly-٣", "nightly-" + "1" * 10]
)
def test_any_other_name_says_nothing(name: str) -> None:
    assert scheduled_time("nightly", name) is None
