"""However often the operator is killed, and however much goes wrong: a sub-workflow step ends as if nothing had been.

Every single point is tried by `test_crash_points` (nested, nested-shutdown); here it comes thick. In virtual time
(looptime). What happened is read from the store and from the programs that ran, not from what the operator says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from kipu.core.events import StepScheduled, StepSucceeded
from kipu.shell.kube_http import Request
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Change, Json
from tests.fakes.faults import (
    ANSWERS,
    CrashAfter,
    CrashBefore,
    Fault,
)
from tests.fakes.nodes import Program
from tests.shell.nesting import children, edit, nested, running, template
from tests.shell.operating import apply, condition, history, operator, status, step, until

pytestmark = [pytest.mark.looptime, pytest.mark.simulation]

DOWN_SECONDS = 1.0
STORIES = ("retry", "cancel")
FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")
Kill = tuple[int, type[CrashBefore] | type[CrashAfter]]  # at which of its writes, and on which side of it


class World:
    """A Workflow with a step whose first child fails and whose second does not; or one that is cancelled on the way."""

    def __init__(self, story: str) -> None:
        self.story, self.violations = story, list[str]()
        self.server = ApiServer(seed=5, programs=self._program)
        self.server.etcd.listeners.append(self._stored)
        template(self.server, step("one"), step("two", "one"), finally_=[step("tidy")])
        retry = {"maxAttempts": 2, "backoff": {"initial": "1s", "jitter": "None"}}
        self.uid = apply(self.server, nested("train", retry=retry), step("after", "train"))

    def _program(self, pod: Json) -> Program:
        name = pod["metadata"]["labels"]["kipu.dev/step"]
        if self.story == "cancel" and name == "one":
            return Program(run_seconds=500.0, stop_seconds=3.0)
        first = not any(run.step == "two" for run in self.server.executions)
        return Program(run_seconds=2.0, exit_code=int(name == "two" and first))

    def _stored(self, change: Change) -> None:
        """At most one child of a step that has not ended: I8."""
        if change.key.plural != "workflows":
            return
        found = [each for each in children(self.server) if each.get("status", {}).get("phase") not in FINISHED]
        live = [each for each in found if "kipu.dev/placeholder" not in each["metadata"]["annotations"]]
        if len(live) > 1:
            self.violations.append(f"{len(live)} children at once")

    async def unfold(self) -> None:
        """What a person does meanwhile, and then until the end."""
        if self.story == "cancel":
            await until(lambda: self.server.executions)
            if not (self.server.get("workflows", "default", "w") or {})["spec"].get("shutdown"):
                edit(self.server, shutdown={"mode": "Cancel"})
        await until(lambda: condition(self.server, "Finished").get("status") == "True")

    async def judge(self) -> list[str]:
        found, server = list(self.violations), self.server
        records = (await history(server, self.uid)).records
        scheduled = {f"{r.position}:{r.hash}": r.event for r in records if isinstance(r.event, StepScheduled)}
        succeeded = [r.event.step for r in records if isinstance(r.event, StepSucceeded)]
        if len(succeeded) != len(set(succeeded)):
            found.append(f"a step has succeeded twice: {succeeded}")
        for each in children(server):
            intent = scheduled.get(each["metadata"]["annotations"]["kipu.dev/intent"])
            if intent is None or intent.job != each["metadata"]["name"]:
                found.append(f"no record asks for {each['metadata']['name']}")
        if running(server):
            found.append(f"still running: {running(server)}")
        expected = {"retry": ("Succeeded", ["Failed", "Succeeded"]), "cancel": ("Cancelled", ["Cancelled"])}
        ended = status(server)["phase"], [each["status"]["phase"] for each in children(server)]
        if ended != expected[self.story]:
            found.append(f"ended as {ended}")
        programs = [run.step for run in server.executions]
        clean = {"retry": ["one", "two", "tidy", "one", "two", "tidy", "after"], "cancel": ["one", "tidy"]}
        if programs != clean[self.story]:
            found.append(f"ran {programs}")
        return found


async def live(world: World, kills: Sequence[Kill]) -> None:
    """One life after another, each killed at one of its writes, and a last one until the end."""
    async with asyncio.TaskGroup() as group:
        story = group.create_task(world.unfold())
        for number, kill in enumerate(kills):
            died = asyncio.Event()

            def crash(index: int, request: Request, _died: asyncio.Event = died, _kill: Kill = kill) -> Fault | None:
                is_it = index == _kill[0] and request.method != "GET"
                return _kill[1](crash=_died.set) if is_it else None

            async with operator(world.server, f"life-{number}", faults=crash):
                dying = asyncio.create_task(died.wait())
                await asyncio.wait([dying, story], return_when=asyncio.FIRST_COMPLETED)
                dying.cancel()
            if story.done():
                return
            await asyncio.sleep(DOWN_SECONDS)

        async with operator(world.server, "last"):
            await story


@pytest.mark.parametrize("story", STORIES)
async def test_without_a_fault_it_ends_right(story: str) -> None:
    world = World(story)
    await live(world, [])
    assert await world.judge() == []


@pytest.mark.parametrize("seed", range(20))
async def test_it_is_killed_again_and_again(seed: int) -> None:
    rng = random.Random(seed)
    world = World(rng.choice(STORIES))
    sides: tuple[type[CrashBefore] | type[CrashAfter], ...] = (CrashBefore, CrashAfter)
    await live(world, [(rng.randrange(14), rng.choice(sides)) for _ in range(7)])
    assert await world.judge() == []


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("answer", list(ANSWERS))
@pytest.mark.parametrize("offset", range(3))
async def test_any_answer_to_any_third_write_changes_nothing(offset: int, answer: str, story: str) -> None:
    world = World(story)

    def third(index: int, request: Request) -> Fault | None:
        return ANSWERS[answer]() if index % 3 == offset and request.method != "GET" else None

    async with operator(world.server, faults=third):
        await world.unfold()
    assert await world.judge() == []


@pytest.mark.parametrize("story", STORIES)
async def test_two_that_both_believe_to_lead_create_no_child_twice(story: str) -> None:
    world = World(story)
    async with operator(world.server, "one"), operator(world.server, "two"):
        await world.unfold()
    assert await world.judge() == []
