"""Wherever the operator is killed, and whatever becomes of its writes: each time has one Workflow, and none is lost.

In virtual time (looptime). Every write of a clean run is a point at which it is killed, before and after; it is begun
anew a second later. What was created is counted in the store, not read from what the operator says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kipu.shell.kube_http import Request
from tests.fakes.faults import (
    ANSWERS,
    CrashAfter,
    CrashBefore,
    Delayed,
    Fault,
    FaultHook,
)
from tests.shell.cron_world import World, minute

pytestmark = [pytest.mark.looptime, pytest.mark.proof]

TIMES = 3
END_SECONDS = 60.0 * TIMES + 50
DOWN_SECONDS = 1.0
RUN_SECONDS = {"Allow": 90.0, "Forbid": 10.0, "Replace": 500.0}
Kill = tuple[int, type[CrashBefore] | type[CrashAfter]]  # at which of its writes, and on which side of it


def world_of(policy: str, **spec: Any) -> World:
    world = World(run_seconds=RUN_SECONDS[policy])
    world.apply(concurrencyPolicy=policy, successfulWorkflowsHistoryLimit=0, failedWorkflowsHistoryLimit=0, **spec)
    return world


def violations(world: World, policy: str) -> list[str]:
    found = [f"{name} was created {times} times" for name, times in world.created.items() if times > 1]
    missing = {minute(number) for number in range(1, TIMES + 1)} - {*world.created}
    found += [f"{name} is missing" for name in missing]
    found += [f"{name} was made for no time" for name in world.created if name not in _due()]
    if world.most_active > {"Allow": 2, "Forbid": 1, "Replace": 2}[policy]:
        found.append(f"{world.most_active} were active at once")
    status = world.status()
    if status.get("lastScheduleTime") != f"2026-01-01T00:0{TIMES}:00Z":
        found.append(f"the status says {status.get('lastScheduleTime')}")
    active = [each["metadata"]["name"] for each in world.server.all("workflows") if not each.get("status")]
    if [each["name"] for each in status["active"]] != active:
        found.append(f"the status says that {status['active']} are active")
    newest = world.server.get("workflows", "default", minute(TIMES))
    if newest and newest["spec"].get("shutdown"):
        found.append("the newest one was cancelled")
    return found


def _due() -> set[str]:
    return {minute(number) for number in range(1, TIMES + 1)}


async def live(world: World, kills: Sequence[Kill]) -> None:
    """One life after another, each killed at one of its writes, and a last one until the end."""
    for number, (place, side) in enumerate(kills):
        died = asyncio.Event()

        def crash(
            index: int, request: Request, _died: asyncio.Event = died, _kill: Kill = (place, side)
        ) -> Fault | None:
            is_it = index == _kill[0] and request.method != "GET"
            return _kill[1](crash=_died.set) if is_it else None

        async with world.serving(f"life-{number}", crash):
            over = END_SECONDS - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(died.wait(), max(0.0, over))
            except TimeoutError:
                return
        await asyncio.sleep(DOWN_SECONDS)
    async with world.serving("last"):
        await world.until(END_SECONDS)


async def writes_of_a_clean_run(policy: str) -> int:
    world = world_of(policy)
    await live(world, [])
    assert violations(world, policy) == []
    return len(world.server.writes("last"))


CLEAN_WRITES = {"Allow": 8, "Forbid": 8, "Replace": 9}  # at least: the next test says when this is no longer so


@pytest.mark.parametrize("policy", list(CLEAN_WRITES))
async def test_a_clean_run_makes_about_so_many_writes(policy: str) -> None:
    assert CLEAN_WRITES[policy] <= await writes_of_a_clean_run(policy) <= CLEAN_WRITES[policy] + 4


@pytest.mark.parametrize("side", [CrashBefore, CrashAfter])
@pytest.mark.parametrize("policy", list(CLEAN_WRITES))
@pytest.mark.parametrize("place", range(13))
async def test_it_is_killed_at_every_write(policy: str, place: int, side: type[CrashBefore] | type[CrashAfter]) -> None:
    world = world_of(policy)
    await live(world, [(place, side)])
    assert violations(world, policy) == []


@pytest.mark.parametrize("seed", range(20))
async def test_it_is_killed_again_and_again(seed: int) -> None:
    rng = random.Random(seed)
    policy = rng.choice(list(CLEAN_WRITES))
    world = world_of(policy)
    sides: tuple[type[CrashBefore] | type[CrashAfter], ...] = (CrashBefore, CrashAfter)
    await live(world, [(rng.randrange(4), rng.choice(sides)) for _ in range(6)])
    assert violations(world, policy) == []


@pytest.mark.parametrize("policy", list(CLEAN_WRITES))
@pytest.mark.parametrize("answer", list(ANSWERS))
@pytest.mark.parametrize("offset", range(3))
async def test_any_answer_to_any_third_write_changes_nothing(offset: int, answer: str, policy: str) -> None:
    world = world_of(policy)
    async with world.serving("last", _every_third(offset, ANSWERS[answer])):
        await world.until(END_SECONDS)
    assert violations(world, policy) == []


def _every_third(offset: int, fault: Callable[[], Fault]) -> FaultHook:
    return lambda index, request: fault() if index % 3 == offset and request.method != "GET" else None


async def test_two_that_both_believe_to_lead_create_no_time_twice() -> None:
    world = world_of("Allow")
    async with world.serving("one"), world.serving("two"):
        await world.until(END_SECONDS)
    assert violations(world, "Allow") == []


async def test_a_create_that_is_carried_out_late_finds_its_name_taken_although_the_run_is_long_over() -> None:
    world = World(run_seconds=1.0)
    world.apply(schedule="1 * * * *", successfulWorkflowsHistoryLimit=0)
    is_first = True

    def late(_index: int, request: Request) -> Fault | None:
        nonlocal is_first
        is_create = request.method == "POST" and request.path.endswith("/workflows")
        found = Delayed(seconds=55.0) if is_create and is_first else None
        is_first = is_first and not is_create
        return found

    async with world.serving(faults=late):
        await world.until(600)
    assert world.created == {minute(1): 1}
