"""The mailbox: bounded by coalescing, outcomes before timers, lone starts wait for company."""

import asyncio

import looptime
import pytest

from kipu.core.commands import (
    AttemptRef,
    Command,
    FireTimers,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveStarted,
    RequestShutdown,
    ResolveUnknown,
)
from kipu.core.events import Reason, Resolution, ShutdownMode
from kipu.shell.mailbox import LAZY_SECONDS, Mailbox

REF = AttemptRef(run=1, step="a", attempt=1)
STARTED = ObserveStarted(ref=REF, job_uid="j", started_at=1)
SUCCEEDED = ObserveOutcome(ref=REF, job_uid="j", reason=None)
MISSING = ObserveMissing(ref=REF)


async def test_an_outcome_replaces_the_start_of_the_same_attempt() -> None:
    mailbox = Mailbox()
    mailbox.put(STARTED)
    mailbox.put(SUCCEEDED)
    assert mailbox.take(10) == [SUCCEEDED]


async def test_a_start_that_comes_late_does_not_replace_the_outcome() -> None:
    mailbox = Mailbox()
    mailbox.put(SUCCEEDED)
    mailbox.put(STARTED)
    assert mailbox.take(10) == [SUCCEEDED]


async def test_the_first_terminal_outcome_stands() -> None:
    mailbox = Mailbox()
    mailbox.put(SUCCEEDED)
    mailbox.put(ObserveOutcome(ref=REF, job_uid="j", reason=Reason.LOST))
    assert mailbox.take(10) == [SUCCEEDED]


async def test_an_outcome_beats_an_absence() -> None:
    mailbox = Mailbox()
    mailbox.put(MISSING)
    mailbox.put(SUCCEEDED)
    mailbox.put(MISSING)
    assert mailbox.take(10) == [SUCCEEDED]


async def test_an_absence_comes_with_the_start_that_it_replaces() -> None:
    mailbox = Mailbox()
    mailbox.put(STARTED)
    mailbox.put(MISSING)
    assert mailbox.take(10) == [ObserveMissing(ref=REF, started=STARTED)]
    mailbox.put(ObserveStarted(ref=AttemptRef(run=1, step="a", attempt=2), job_uid="k", started_at=2))
    mailbox.put(ObserveMissing(ref=AttemptRef(run=1, step="a", attempt=3)))
    assert mailbox.take(10) == [ObserveMissing(ref=AttemptRef(run=1, step="a", attempt=3))]


async def test_news_of_a_newer_attempt_replaces_news_of_an_older_one_and_never_the_other_way() -> None:
    newer = ObserveStarted(ref=AttemptRef(run=1, step="a", attempt=2), job_uid="k", started_at=2)
    mailbox = Mailbox()
    mailbox.put(SUCCEEDED)
    mailbox.put(newer)
    mailbox.put(ObserveGone(ref=REF))
    assert mailbox.take(10) == [newer]


async def test_requests_come_first_and_timers_last() -> None:
    shutdown = RequestShutdown(run=1, mode=ShutdownMode.CANCEL)
    mailbox = Mailbox()
    mailbox.put(FireTimers())
    mailbox.put(SUCCEEDED)
    mailbox.put(shutdown)
    assert mailbox.take(10) == [shutdown, SUCCEEDED, FireTimers()]


async def test_timers_wait_until_every_observation_is_taken() -> None:
    other = ObserveOutcome(ref=AttemptRef(run=1, step="b", attempt=1), job_uid="k", reason=None)
    mailbox = Mailbox()
    mailbox.put(FireTimers())
    mailbox.put(SUCCEEDED)
    mailbox.put(other)
    assert mailbox.take(1) == [SUCCEEDED]
    assert mailbox.take(2) == [other, FireTimers()]
    assert mailbox.take(2) == []


@pytest.mark.looptime
async def test_a_lone_start_wakes_the_actor_within_the_lazy_second(looptime: looptime.LoopTimeEventLoop) -> None:
    mailbox = Mailbox()
    mailbox.put(STARTED)
    before = asyncio.get_running_loop().time()
    await mailbox.wait()
    assert asyncio.get_running_loop().time() - before == pytest.approx(LAZY_SECONDS)


@pytest.mark.looptime
async def test_anything_else_wakes_the_actor_at_once() -> None:
    mailbox = Mailbox()
    mailbox.put(STARTED)
    mailbox.put(FireTimers())
    before = asyncio.get_running_loop().time()
    await mailbox.wait()
    assert asyncio.get_running_loop().time() == before


async def test_an_emptied_mailbox_sleeps_again_and_a_nudge_wakes_it() -> None:
    mailbox = Mailbox()
    mailbox.put(SUCCEEDED)
    await mailbox.wait()
    mailbox.take(10)
    waiter = asyncio.ensure_future(mailbox.wait())
    await asyncio.sleep(0)
    assert not waiter.done()
    mailbox.nudge()
    await waiter


async def test_the_mailbox_holds_at_most_one_observation_per_step() -> None:
    mailbox = Mailbox()
    for attempt in range(1, 1_001):
        mailbox.put(ObserveMissing(ref=AttemptRef(run=1, step="a", attempt=attempt)))
    assert len(mailbox) == 1


@pytest.mark.looptime
@pytest.mark.parametrize("reminders", [[], [SUCCEEDED]])
async def test_a_nudge_hurries_neither_a_lone_start_nor_a_reminder(reminders: list[ObserveOutcome]) -> None:
    mailbox = Mailbox()
    mailbox.put(STARTED)
    for reminder in reminders:
        mailbox.remind(reminder)
    mailbox.nudge()
    await mailbox.wait()
    assert mailbox.take(10) == []
    await mailbox.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(LAZY_SECONDS)
    waited: list[Command] = [*reminders] or [STARTED]
    assert mailbox.take(10) == waited


async def test_a_start_and_a_reminder_go_along_with_whatever_comes_next() -> None:
    for tell, observed in ((Mailbox.put, STARTED), (Mailbox.remind, SUCCEEDED)):
        mailbox = Mailbox()
        tell(mailbox, observed)
        mailbox.put(FireTimers())
        assert mailbox.take(10) == [observed, FireTimers()]


async def test_what_is_heavy_with_outputs_is_taken_in_as_many_turns_as_it_needs() -> None:
    mailbox = Mailbox()
    heavy = [
        ObserveOutcome(
            ref=AttemptRef(run=1, step=f"s{number}", attempt=1), job_uid="j", reason=None, outputs={"o": "x" * 8_000}
        )
        for number in range(100)
    ]
    for command in heavy:
        mailbox.put(command)
    mailbox.put(FireTimers())
    first = mailbox.take(100)
    assert first == heavy[:33]  # 3 x 2,900 bytes each
    rest = [command for _ in range(4) for command in mailbox.take(100)]
    assert rest == [*heavy[33:], FireTimers()]


def test_of_words_about_several_attempts_of_a_step_each_is_heard() -> None:
    mailbox = Mailbox()
    words = [
        ResolveUnknown(ref=AttemptRef(run=1, step="a", attempt=attempt), decision=decision, by="ann")
        for attempt, decision in ((1, Resolution.FAIL), (2, Resolution.RETRY), (1, Resolution.SUCCEED))
    ]
    for word in words:
        mailbox.put(word)
    assert mailbox.take(100) == [words[2], words[1]]


@pytest.mark.looptime
async def test_what_has_waited_its_second_does_not_wait_for_what_came_after_it() -> None:
    other = ObserveStarted(ref=AttemptRef(run=1, step="b", attempt=1), job_uid="k", started_at=2)
    mailbox = Mailbox()
    mailbox.put(STARTED)
    await mailbox.wait()
    mailbox.put(other)
    assert mailbox.take(10) == [STARTED, other]


@pytest.mark.looptime
async def test_news_does_not_wait_because_of_a_reminder() -> None:
    newer = ObserveOutcome(ref=AttemptRef(run=1, step="a", attempt=2), job_uid="k", reason=None)
    mailbox = Mailbox()
    mailbox.remind(SUCCEEDED)
    mailbox.put(newer)
    await mailbox.wait()
    assert asyncio.get_running_loop().time() == 0
    assert mailbox.take(10) == [newer]


@pytest.mark.looptime
async def test_what_was_put_back_comes_again_when_it_has_waited_long_enough() -> None:
    mailbox = Mailbox()
    mailbox.put(SUCCEEDED)
    mailbox.put_back(mailbox.take(10), until=0.1)
    await mailbox.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
    assert mailbox.take(10) == [SUCCEEDED]


@pytest.mark.looptime
async def test_what_was_put_back_comes_with_whatever_is_urgent_and_after_a_nudge_it_stays() -> None:
    other = ObserveOutcome(ref=AttemptRef(run=1, step="b", attempt=1), job_uid="k", reason=None)
    mailbox = Mailbox(asyncio.get_running_loop().time)
    mailbox.put(SUCCEEDED)
    mailbox.put_back(mailbox.take(10), until=0.1)
    mailbox.nudge()
    await mailbox.wait()
    assert mailbox.take(10) == []
    mailbox.put(other)
    assert mailbox.heard_at == asyncio.get_running_loop().time() == 0  # of what is urgent alone
    assert mailbox.take(10) == [SUCCEEDED, other]


@pytest.mark.looptime
async def test_a_start_makes_nothing_that_was_put_back_wait_its_second() -> None:
    mailbox = Mailbox()
    mailbox.put(SUCCEEDED)
    mailbox.put_back(mailbox.take(10), until=0.1)
    mailbox.put(ObserveStarted(ref=AttemptRef(run=1, step="b", attempt=1), job_uid="k", started_at=2))
    await mailbox.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
