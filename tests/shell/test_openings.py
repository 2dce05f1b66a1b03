"""Whose log is read next."""

from __future__ import annotations

import asyncio

from kipu.shell.kube_views import WorkflowView, decode_workflow
from kipu.shell.openings import Openings, Rank, rank_of


def workflow(created: str, **spec: object) -> WorkflowView:
    return decode_workflow({"metadata": {"name": "w", "uid": "u", "creationTimestamp": created}, "spec": spec})


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Row:
    """Sessions that open one after the other: each stays until it is told to leave."""

    def __init__(self, limit: int) -> None:
        self.openings = Openings(limit)
        self.begun: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def come(self, name: str, rank: Rank) -> None:
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._live(name, rank))

    async def _live(self, name: str, rank: Rank) -> None:
        with await self.openings.turn(rank):
            self.begun.append(name)
            await self._leave[name].wait()

    def let(self, name: str) -> None:
        self._leave[name].set()

    async def leave(self, name: str) -> None:
        self.let(name)
        await settle()


def test_the_highest_priority_comes_first_and_then_the_oldest() -> None:
    old, young = workflow("2026-01-01T00:00:00Z"), workflow("2026-01-01T00:00:01Z")
    urgent, lazy = workflow("2026-01-01T00:00:02Z", priority=1), workflow("2025-01-01T00:00:00Z", priority=-1)
    strange = workflow("2026-01-01T00:00:03Z", priority="high")
    row = [lazy, strange, young, urgent, old]
    assert sorted(row, key=rank_of) == [urgent, old, young, strange, lazy]


async def test_who_waits_is_served_by_rank_and_no_more_than_the_limit_at_once() -> None:
    row = Row(2)
    for name, rank in (("a", (0, 1)), ("b", (0, 2)), ("young", (0, 9)), ("old", (0, 3)), ("urgent", (-5, 9))):
        row.come(name, rank)
    await settle()
    assert row.begun == ["a", "b"]
    for name in ("a", "b", "urgent", "old", "young"):
        await row.leave(name)
    assert row.begun == ["a", "b", "urgent", "old", "young"]


async def test_who_is_cancelled_holds_nobody_up() -> None:
    row = Row(1)
    for number, name in enumerate(("first", "gone", "given", "last")):
        row.come(name, (0, number))
    await settle()
    row.tasks["gone"].cancel()
    await settle()
    row.let("first")
    await asyncio.sleep(0)  # its place is given to the next one, which has not run since
    row.tasks["given"].cancel()
    await settle()
    assert row.begun == ["first", "last"]
    await row.leave("last")
    row.come("after", (0, 0))
    await settle()
    assert row.begun == ["first", "last", "after"]
    await row.leave("after")


async def test_a_turn_that_is_closed_before_its_end_gives_back_one_place() -> None:
    openings, begun = Openings(1), list[int]()

    async def come(number: int) -> None:
        with await openings.turn((0, number)):
            begun.append(number)
            await asyncio.Event().wait()

    with await openings.turn((0, 0)) as turn:
        coming = [asyncio.create_task(come(number)) for number in (1, 2)]
        await settle()
        assert begun == []
        turn.close()
        await settle()
        assert begun == [1]
    await settle()
    assert begun == [1]
    for task in coming:
        task.cancel()
