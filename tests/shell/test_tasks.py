"""What goes on beside a session's turns: begun once, in turn where there is much of it, and never after its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kipu.shell.tasks import TRIES_AT_ONCE_MAX, Tasks, Work

pytestmark = pytest.mark.looptime


class Creates:
    """Work that waits until it is told to go on, and says when it begins."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.may_end = asyncio.Event()

    def numbered(self, number: int) -> Work:
        async def work() -> None:
            self.begun.append(number)
            await self.may_end.wait()

        return work


async def begin(tasks: Tasks, creates: Creates, count: int) -> None:
    for number in range(count):
        tasks.in_turn(str(number), creates.numbered(number))
    await asyncio.sleep(0)


async def test_no_more_than_so_many_try_at_once_and_all_come_to_their_turn() -> None:
    tasks, creates, count = Tasks(), Creates(), 3 * TRIES_AT_ONCE_MAX
    async with tasks:
        await begin(tasks, creates, count)
        assert creates.begun == list(range(TRIES_AT_ONCE_MAX))
        creates.may_end.set()
        await asyncio.sleep(1)
        assert creates.begun == list(range(count))


async def test_who_has_tried_and_waits_holds_nobody_up() -> None:
    tasks, creates = Tasks(), Creates()
    async with tasks:
        await begin(tasks, creates, TRIES_AT_ONCE_MAX + 2)
        for _ in range(2):  # the second time it says nothing new
            tasks.tried("0")
        await asyncio.sleep(0)
        assert creates.begun == list(range(TRIES_AT_ONCE_MAX + 1))
        assert "0" in tasks


async def test_what_waits_for_its_turn_is_under_way_and_begins_once() -> None:
    tasks, creates, last = Tasks(), Creates(), str(TRIES_AT_ONCE_MAX)
    async with tasks:
        await begin(tasks, creates, TRIES_AT_ONCE_MAX + 1)
        assert last in tasks
        tasks.in_turn(last, creates.numbered(-1))
        tasks.once(last, creates.numbered(-1))
        creates.may_end.set()
        await asyncio.sleep(1)
    assert creates.begun == list(range(TRIES_AT_ONCE_MAX + 1))


async def test_what_is_dropped_in_the_row_never_begins() -> None:
    tasks, creates, last = Tasks(), Creates(), str(TRIES_AT_ONCE_MAX)
    async with tasks:
        await begin(tasks, creates, TRIES_AT_ONCE_MAX + 1)
        tasks.drop(last)
        assert last not in tasks
        creates.may_end.set()
        await asyncio.sleep(1)
    assert creates.begun == list(range(TRIES_AT_ONCE_MAX))


async def test_what_is_dropped_at_its_first_try_makes_room() -> None:
    tasks, creates = Tasks(), Creates()
    async with tasks:
        await begin(tasks, creates, TRIES_AT_ONCE_MAX + 1)
        tasks.drop("0")
        await asyncio.sleep(0)
        assert creates.begun == list(range(TRIES_AT_ONCE_MAX + 1))


async def test_what_was_dropped_and_has_begun_anew_is_under_way() -> None:
    tasks, creates = Tasks(), Creates()
    async with tasks:
        await begin(tasks, creates, 1)
        tasks.drop("0")
        tasks.once("0", creates.numbered(1))
        await asyncio.sleep(1)
        assert "0" in tasks
    assert creates.begun == [0, 1]


async def fail() -> None:
    raise ValueError("a contradiction")


async def until_a_task_has_failed(tasks: Tasks, _creates: Creates) -> None:
    tasks.once("fault", fail)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(1)  # a request that is cut off takes its time


async def until_some_have_ended(_tasks: Tasks, creates: Creates) -> None:
    creates.may_end.set()
    await asyncio.sleep(0)
    await fail()


@pytest.mark.parametrize("until", [until_a_task_has_failed, until_some_have_ended])
async def test_nothing_begins_once_the_session_ends(until: Callable[[Tasks, Creates], Awaitable[None]]) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    creates = Creates()

    async def session() -> None:
        tasks = Tasks()
        async with tasks:
            await begin(tasks, creates, TRIES_AT_ONCE_MAX + 5)
            await until(tasks, creates)

    with pytest.raises(ExceptionGroup):
        await session()
    await asyncio.sleep(1)
    assert not faults
    assert len(creates.begun) == TRIES_AT_ONCE_MAX
