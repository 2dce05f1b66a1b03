"""The loop that the simulation rests on: virtual time, lanes that stop and die, and the same run from the same seed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys

import pytest

from tests.simulation.loop import Loop, Spinning, Standstill
from tests.simulation.main import one_of
from tests.simulation.world import run

SEEDS = range(16)  # with one replica and with three, with leases, third parties and restores among them


async def tick(said: list[str], word: str, times: int = 5) -> None:
    try:
        for _ in range(times):
            said.append(word)
            await asyncio.sleep(1.0)
    finally:
        said.append(f"{word} ends")


def test_time_moves_only_when_nothing_is_ready() -> None:
    loop, said = Loop(0), list[str]()
    loop.run_until_complete(tick(said, "a"))
    assert loop.time() == 5.0
    loop.bury()


def test_a_lane_that_is_stopped_runs_nothing_until_it_is_resumed_and_then_is_late() -> None:
    loop, said = Loop(0), list[str]()
    loop.begin("a", tick(said, "a"))
    loop.call_later(1.5, loop.stop_lane, "a")
    loop.call_later(9.0, lambda: said.append("resumed"))
    loop.call_later(9.0, loop.resume_lane, "a")
    loop.run_until_complete(_wait(20.0))
    assert said == ["a", "a", "resumed", "a", "a", "a", "a ends"]
    loop.bury()


def test_a_lane_that_is_killed_never_runs_again_not_even_its_finally() -> None:
    loop, said = Loop(0), list[str]()
    loop.begin("a", tick(said, "a"))
    loop.call_later(1.5, loop.stop_lane, "a")
    loop.run_until_complete(_wait(20.0))
    assert said == ["a", "a"]
    loop.bury()  # only after the run
    assert said == ["a", "a", "a ends"]


def test_what_is_buried_cannot_be_killed_once_more() -> None:
    loop, said = Loop(0), list[str]()

    async def die_at_the_end() -> None:
        try:
            await tick(said, "a")
        finally:
            loop.stop_lane("a")
            await asyncio.sleep(1.0)
            said.append("buried")

    loop.begin("a", die_at_the_end())
    loop.run_until_complete(_wait(2.5))
    loop.bury()
    assert said[-2:] == ["a ends", "buried"]


def test_a_lane_is_stopped_before_the_very_handle_that_was_asked_for() -> None:
    loop, said = Loop(0), list[str]()
    loop.begin("a", tick(said, "a"))
    loop.at_handle("a", 2, lambda: loop.stop_lane("a"))
    loop.run_until_complete(_wait(20.0))
    assert loop.handles["a"] == 2
    loop.bury()


def test_what_a_lane_begins_is_in_that_lane() -> None:
    loop, said = Loop(0), list[str]()

    async def begins() -> None:
        task = asyncio.create_task(tick(said, "child"))
        asyncio.get_running_loop().call_later(3.0, said.append, "timer")
        await task

    loop.begin("a", begins())
    loop.call_later(0.5, loop.stop_lane, "a")
    loop.run_until_complete(_wait(20.0))
    assert said == ["child"]
    loop.bury()


def test_lanes_take_turns_by_the_seed_and_each_keeps_its_own_order() -> None:
    orders = set()
    for seed in range(20):
        loop, said = Loop(seed), list[str]()
        for lane in ("a", "b"):
            loop.begin(lane, tick(said, lane, times=4))
        loop.run_until_complete(_wait(9.0))
        loop.bury()
        assert [word for word in said if word[0] == "a"] == ["a", "a", "a", "a", "a ends"]
        orders.add(tuple(said))
    assert len(orders) > 5


def test_whoever_waits_for_ever_is_found_and_so_is_a_loop_that_spins() -> None:
    loop = Loop(0)
    with pytest.raises(Standstill):
        loop.run_until_complete(asyncio.Event().wait())
    loop.bury()
    loop = Loop(0)
    with pytest.raises(Spinning):
        loop.run_until_complete(_spin())
    loop.bury()


async def _wait(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _spin() -> None:
    while True:
        await asyncio.sleep(0)


# -- the same seed, the same run ---------------------------------------------------------------------------


def digest(seed: int) -> str:
    """Of every request of a run: when, who, what, with which body and which answer."""
    scenario, script = one_of(seed, depth=4)
    sent = run(scenario, script, seed).requests
    text = "\n".join(f"{s.time!r} {s.user} {s.method} {s.path} {int(s.status)} {s.body!r}" for s in sent)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.simulation
def test_the_same_seed_gives_the_same_requests_byte_for_byte_in_every_process() -> None:
    here = [digest(seed) for seed in SEEDS]
    assert len(set(here)) == len(here)
    code = f"from tests.simulation.test_loop import digest; print(*[digest(s) for s in range({len(SEEDS)})])"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        asked = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert asked.stdout.split() == here
