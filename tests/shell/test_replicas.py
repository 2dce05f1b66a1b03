"""Two replicas as they ship: what becomes of a run when the leader is stopped, cut off, killed or asked to end.

In virtual time (looptime)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kipu.shell.kube_http import Request
from tests.fakes.faults import Fault
from tests.shell.replicas import CANCEL, DIAMOND, STEPS, Case, Process, World, claims, violations
from tests.shell.stopping import StoppableLoop, run_virtually

pytestmark = pytest.mark.proof

LEASE_SECONDS, DEADLINE_SECONDS, RETRY_SECONDS = 15.0, 10.0, 2.4
POINTS = [0, 1, 3, 6, 9]  # how many programs have ended when it happens
FIRST, SECOND = "kipu-a", "kipu-b"


@pytest.mark.parametrize("point", POINTS)
def test_a_leader_that_is_stopped_past_its_lease_and_resumed_does_nothing_more(point: int) -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=point)
        await world.begin()
        await world.until(lambda: world.has_come_to(point) and world.server.all("jobs"))
        stopped_at = loop.time()
        loop.stop_process(FIRST)
        await asyncio.sleep(1.0 + LEASE_SECONDS + RETRY_SECONDS + point)  # the run may be over, or go on
        assert world.standby.figure("kipu_leader") == 1
        resumed_at = loop.time()
        loop.resume_process(FIRST)
        history = await world.finished()
        assert violations(world, history) == []
        assert [writer for writer, _ in claims(history)] == [FIRST, SECOND]
        assert claims(history)[1][1] - stopped_at <= LEASE_SECONDS + RETRY_SECONDS
        assert world.writes(FIRST, since=resumed_at) == []
        assert (world.leader.figure("kipu_leader"), world.leader.figure("kipu_workflows_active")) == (0, 0)
        await world.close()

    run_virtually(story)


@pytest.mark.parametrize("point", POINTS)
def test_a_leader_that_is_cut_off_stops_at_its_deadline_and_stands_by_when_it_is_back(point: int) -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=point)
        await world.begin()
        await world.until(lambda: world.has_come_to(point) and world.server.all("jobs"))
        world.leader.cut(True)
        await asyncio.sleep(DEADLINE_SECONDS + 0.1)
        assert (world.leader.figure("kipu_leader"), world.leader.figure("kipu_workflows_active")) == (0, 0)
        await asyncio.sleep(LEASE_SECONDS)
        world.leader.cut(False)
        history = await world.finished()
        assert violations(world, history) == []
        assert [writer for writer, _ in claims(history)] == [FIRST, SECOND]
        await world.close()

    run_virtually(story)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_leader_is_followed_by_the_standby(point: int) -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=point)
        await world.begin()
        await world.until(lambda: world.has_come_to(point) and world.server.all("jobs"))
        killed_at = loop.time()
        await world.leader.die()
        history = await world.finished()
        assert violations(world, history) == []
        assert [writer for writer, _ in claims(history)] == [FIRST, SECOND]
        assert claims(history)[1][1] - killed_at <= LEASE_SECONDS + RETRY_SECONDS
        await world.close()

    run_virtually(story)


@pytest.mark.parametrize("point", POINTS)
def test_a_leader_that_is_asked_to_end_hands_over_at_once(point: int) -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=point)
        await world.begin()
        await world.until(lambda: world.has_come_to(point) and world.server.all("jobs"))
        asked_at = loop.time()
        await world.leader.end()
        history = await world.finished()
        assert violations(world, history) == []
        assert [writer for writer, _ in claims(history)] == [FIRST, SECOND]
        assert claims(history)[1][1] - asked_at <= RETRY_SECONDS + 0.1
        await world.close()

    run_virtually(story)


def test_a_replica_that_lost_its_lease_to_nobody_goes_on_in_the_same_process() -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=1)
        await world.begin()
        await world.until(lambda: world.has_come_to(1))
        for process in (world.leader, world.standby):
            process.cut(True)
        await asyncio.sleep(60)
        assert world.leader.figure("kipu_leader") == world.standby.figure("kipu_leader") == 0
        for process in (world.leader, world.standby):
            process.cut(False)
        history = await world.finished()
        assert violations(world, history) == []
        assert len(claims(history)) == 2
        await world.close()

    run_virtually(story)


def test_a_standby_writes_nothing_and_knows_everything() -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=1)
        await world.begin()
        await world.until(lambda: world.has_come_to(len(STEPS) // 2))
        assert world.writes(SECOND) == []
        assert world.standby.replica.engine.is_synced
        assert world.standby.figure("kipu_workflows_active") == 0
        read_before = len([sent for sent in world.server.requests if sent.user == SECOND])
        await world.leader.end()
        await world.until(lambda: world.writes(SECOND))
        # It lists what CronWorkflows own, and nothing else: it opens the one log, and claims it.
        assert len([sent for sent in world.server.requests if sent.user == SECOND]) - read_before <= 4
        history = await world.finished()
        assert violations(world, history) == []
        await world.close()

    run_virtually(story)


def test_a_workflow_whose_time_has_passed_is_deleted_by_whoever_leads() -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=1, case=replace(DIAMOND, spec={"ttlAfterFinished": "1m"}))
        await world.begin()
        await world.finished()
        await world.leader.end()
        await world.until(lambda: world.server.get("workflows", "default", "w") is None)
        assert not [write for write in world.writes(FIRST) if write.startswith("DELETE")]
        assert world.writes(SECOND) == ["DELETE /apis/kipu.dev/v1alpha1/namespaces/default/workflows/w"]
        await world.close()

    run_virtually(story)


def test_of_a_finished_workflow_neither_leader_nor_standby_keeps_the_jobs_in_mind() -> None:
    async def story(loop: StoppableLoop) -> None:
        world = World(loop, seed=1, case=DIAMOND)
        await world.begin()
        await world.finished()
        restarted = Process(world, "kipu-c")  # it lists them all
        await asyncio.sleep(5)
        for process in (world.leader, world.standby, restarted):
            observer = process.replica.engine.observer
            assert observer.listen(world.uid, lambda name, sighting, gone: None) == {}
        await restarted.die()
        await world.close()

    run_virtually(story)


# -- at every request ------------------------------------------------------------------------------------------


async def stopped_at(loop: StoppableLoop, case: Case, nth: int) -> int:
    """The leader is stopped while its n-th request is under way, and resumed when another one leads.

    Returns how many requests it has sent.
    """
    world = World(loop, seed=1, case=case)
    await world.begin()
    sent, is_stopped = 0, asyncio.Event()

    def hook(index: int, request: Request) -> Fault | None:
        nonlocal sent
        if sent == nth:
            loop.stop_process(FIRST)
            is_stopped.set()
        sent += 1
        return None

    world.server.faults = hook
    if nth >= 0:
        await is_stopped.wait()
        await asyncio.sleep(LEASE_SECONDS + RETRY_SECONDS + 1)
        assert world.standby.figure("kipu_leader") == 1
        resumed_at = loop.time()
        loop.resume_process(FIRST)
    history = await world.finished()
    assert violations(world, history) == [], nth
    if nth >= 0:
        assert world.writes(FIRST, since=resumed_at) == [], nth
    await world.close()
    return sent


@pytest.mark.simulation
@pytest.mark.parametrize("case", [DIAMOND, CANCEL], ids=["diamond", "cancel"])
def test_a_leader_that_is_stopped_at_any_of_its_requests_does_nothing_more(case: Case) -> None:
    requests = run_virtually(lambda loop: stopped_at(loop, case, -1))
    for nth in range(requests):
        run_virtually(lambda loop, nth=nth: stopped_at(loop, case, nth))  # type: ignore[misc]
    print(f"stopped leader, {case.end}: {requests} points")
