"""External steps without a cluster: held back until their start is recorded, and never run twice in silence."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kipu.core.errors import TransientError
from kipu.core.events import AttemptFailed, AttemptUnknown, Event, Reason, Resolution, StepStarted, UnknownResolved
from kipu.core.state import State
from kipu.eventlog.file import FileLog
from kipu.eventlog.ports import Head, Recorded, StreamId
from kipu.shell.local_attempts import Attempt
from tests.shell.local_world import World, heard, step
from tests.shell.test_local_engine import killed_in_the_middle, over
from tests.shell.test_local_kills import assert_none_is_left

pytestmark = pytest.mark.proof

RUNS = 'echo "ran $KIPU_ATTEMPT" >> notes'
HANGS_ONCE = f'{RUNS}; [ "$KIPU_ATTEMPT" != 1 ] || {{ echo up > up; sleep 300; }}'


class Cut(FileLog):
    """A log that goes away when a start is to be recorded: before it is, or after."""

    def __init__(
        self, root: Path, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None
    ) -> None:
        super().__init__(root)
        self._before, self._after = before, after

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[Head, tuple[Recorded, ...]]:
        starts = any(isinstance(event, StepStarted) for event in events)
        if starts and self._before is not None:
            self._before()
            raise TransientError("no space is left")
        found = await super().append(stream, expected, events, ts=ts, spec_hash=spec_hash)
        if starts and self._after is not None:
            self._after()
            raise TransientError("no space is left")
        return found


def external(script: str = HANGS_ONCE, **fields: Any) -> dict[str, Any]:
    return step("pay", script, effects="External", **fields)


def notes(folder: Path) -> list[str]:
    path = folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def attempt_of(world: World) -> Attempt:
    (folder,) = world.run.attempts.iterdir()
    return Attempt(folder)


def kill_warden(world: World) -> None:
    claim = attempt_of(world).claim()
    assert claim is not None
    assert claim.warden is not None
    os.kill(claim.warden.pid, signal.SIGKILL)


async def lost(world: World) -> State:
    """Let the step run once, and nobody learn how it ended."""
    up = world.fifo("up")
    life = asyncio.create_task(world.live())
    await heard(up)
    kill_warden(world)
    return await asyncio.wait_for(life, 20)


# -- the start -------------------------------------------------------------------------------------------------


async def test_it_runs_once_its_start_is_recorded_with_who_runs_it(tmp_path: Path) -> None:
    world = World(tmp_path, external(RUNS), step("after", "true", dependsOn=["pay"]))
    assert str((await world.live()).phase) == "Succeeded"
    assert notes(tmp_path) == ["ran 1"]
    assert world.kinds(step="pay") == ["StepScheduled", "StepStarted", "StepSucceeded"]
    assert_none_is_left(tmp_path)


async def test_it_does_not_run_when_its_start_cannot_be_recorded(tmp_path: Path) -> None:
    world = World(tmp_path, external(RUNS))
    with pytest.raises(TransientError):
        await world.live(log=Cut(world.run.log, before=lambda: None, after=None))
    assert_none_is_left(tmp_path)
    assert notes(tmp_path) == []
    assert str((await world.live()).phase) == "Succeeded", "it had not begun, and so is tried again"
    assert notes(tmp_path) == ["ran 2"]


async def test_an_engine_that_dies_between_the_record_and_the_release_is_followed_by_one_that_releases(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, external(RUNS))

    with pytest.raises(TransientError):
        await world.live(log=Cut(world.run.log, after=world.forsake))
    assert notes(tmp_path) == []
    assert str((await world.live()).phase) == "Succeeded"
    assert notes(tmp_path) == ["ran 1"]
    assert_none_is_left(tmp_path)


async def test_one_that_runs_is_taken_up_and_not_begun_again(tmp_path: Path) -> None:
    world = World(tmp_path, external(f"{RUNS}; echo up > up; read line < go"))
    up, go = world.fifo("up"), world.fifo("go")
    await killed_in_the_middle(world, up)
    life = asyncio.create_task(world.live())
    await asyncio.to_thread(go.write_text, "go\n")
    assert str((await life).phase) == "Succeeded"
    assert notes(tmp_path) == ["ran 1"]


async def test_an_exit_code_is_its_own_word_and_it_is_tried_again(tmp_path: Path) -> None:
    retry = {"maxAttempts": 2, "backoff": {"initial": "1ms"}}
    world = World(tmp_path, external(f'{RUNS}; [ "$KIPU_ATTEMPT" = 2 ]', retry=retry))
    assert str((await world.live()).phase) == "Succeeded"
    assert notes(tmp_path) == ["ran 1", "ran 2"]


# -- what nobody knows -----------------------------------------------------------------------------------------


async def test_nobody_knows_how_one_ended_whose_warden_was_killed_and_the_run_waits_for_a_word(tmp_path: Path) -> None:
    world = World(tmp_path, external(), step("after", "true", dependsOn=["pay"]))
    state = await lost(world)
    assert (str(state.phase), [str(each.phase) for each in state.steps]) == ("Running", ["Unknown", "Pending"])
    assert [event.reason for event in world.of(AttemptUnknown)] == [Reason.LOST]
    assert_none_is_left(tmp_path)
    again = await world.live()
    assert str(again.phase) == "Running", "nobody has said anything yet"
    assert notes(tmp_path) == ["ran 1"]


@pytest.mark.parametrize(
    ("word", "phase", "ran"),
    [
        (Resolution.SUCCEED, "Succeeded", ["ran 1"]),
        (Resolution.FAIL, "Failed", ["ran 1"]),
        (Resolution.RETRY, "Succeeded", ["ran 1", "ran 2"]),
    ],
)
async def test_a_word_on_the_command_line_says_what_became_of_it(
    tmp_path: Path, word: Resolution, phase: str, ran: list[str]
) -> None:
    world = World(tmp_path, external())
    await lost(world)
    assert str((await world.live(words={"pay": word, "other": Resolution.FAIL})).phase) == phase
    assert notes(tmp_path) == ran
    (resolved,) = world.of(UnknownResolved)
    assert (resolved.attempt, resolved.decision) == (1, word)
    assert resolved.by
    assert_none_is_left(tmp_path)


async def test_a_word_in_the_file_says_what_became_of_it(tmp_path: Path) -> None:
    world = World(tmp_path, external())
    await lost(world)
    world.spec["resolutions"] = [{"step": "pay", "attempt": 1, "decision": "Succeed", "by": "me"}]
    assert str((await world.live()).phase) == "Succeeded"
    assert [event.by for event in world.of(UnknownResolved)] == ["me"]
    assert notes(tmp_path) == ["ran 1"]


@pytest.mark.parametrize(
    ("policy", "phase", "ran"), [("Fail", "Failed", ["ran 1"]), ("Retry", "Succeeded", ["ran 1", "ran 2"])]
)
async def test_a_policy_decides_without_anybody(tmp_path: Path, policy: str, phase: str, ran: list[str]) -> None:
    retry = {"maxAttempts": 2, "backoff": {"initial": "1ms"}}
    world = World(tmp_path, external(onUnknown=policy, retry=retry))
    assert str((await lost(world)).phase) == phase
    assert notes(tmp_path) == ran


async def test_one_that_was_killed_has_not_said_how_far_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, external(f"{RUNS}; kill -KILL $$", retry={"maxAttempts": 3}))
    state = await world.live()
    assert [str(each.phase) for each in state.steps] == ["Unknown"]
    (unknown,) = world.of(AttemptUnknown)
    assert unknown.message == "killed by signal 9 (SIGKILL)"
    assert notes(tmp_path) == ["ran 1"]


async def test_one_that_took_too_long_is_taken_down_and_nobody_knows(tmp_path: Path) -> None:
    template = {"spec": {"terminationGracePeriodSeconds": 0}}
    script = f"{RUNS}; trap '' TERM; sleep 300"
    world = World(tmp_path, external(script, attemptTimeout="300ms", template=template, retry={"maxAttempts": 3}))
    state = await world.live()
    assert [str(each.phase) for each in state.steps] == ["Unknown"]
    assert [event.reason for event in world.of(AttemptUnknown)] == [Reason.TIMED_OUT]
    assert notes(tmp_path) == ["ran 1"]
    assert_none_is_left(tmp_path)


async def test_one_that_was_taken_down_with_its_engine_is_not_tried_again_in_silence(tmp_path: Path) -> None:
    world = World(tmp_path, external())
    up = world.fifo("up")
    life = asyncio.create_task(world.live())
    await heard(up)
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    state = await world.live()
    assert [str(each.phase) for each in state.steps] == ["Unknown"]
    assert notes(tmp_path) == ["ran 1"]


async def test_an_end_while_no_engine_ran_is_its_own_word(tmp_path: Path) -> None:
    world = World(tmp_path, external(f"{RUNS}; echo up > up"))
    await killed_in_the_middle(world, world.fifo("up"))
    claim = attempt_of(world).claim()
    assert claim is not None
    assert claim.warden is not None
    await over(claim.warden)
    assert str((await world.live()).phase) == "Succeeded"
    assert notes(tmp_path) == ["ran 1"]


async def test_all_that_can_go_on_goes_on_before_the_run_waits_for_a_word(tmp_path: Path) -> None:
    others = (
        step("slow", 'sleep 0.2; [ "$KIPU_ATTEMPT" = 2 ]', retry={"maxAttempts": 2, "backoff": {"initial": "50ms"}}),
        {"name": "wait", "wait": {"duration": "300ms"}},
        step("shard", "true", dependsOn=["wait"], forEach={"count": 3}),
    )
    world = World(tmp_path, external("kill -KILL $$"), *others)
    state = await world.live(processes_max=1)
    phases = [str(each.phase) for each in state.steps[:4]]
    assert phases == ["Unknown", "Succeeded", "Succeeded", "Succeeded"]


async def test_a_deadline_that_has_passed_ends_what_waits_for_a_word(tmp_path: Path) -> None:
    world = World(tmp_path, external("kill -KILL $$"), timeout="1s")
    state = await world.live()
    while not state.is_terminal:
        state = await world.live()
    assert (str(state.phase), state.end_reason) == ("Failed", "TimedOut")


async def test_a_shutdown_that_is_asked_for_ends_what_waits_for_a_word(tmp_path: Path) -> None:
    world = World(tmp_path, external("kill -KILL $$"))
    assert not (await world.live()).is_terminal
    world.spec["shutdown"] = {"mode": "Cancel"}
    assert str((await world.live()).phase) == "Cancelled"
    assert world.of(AttemptFailed) == []
