"""Runs without a cluster, with real processes: how they end, and what an engine takes up from the one before it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import (
    AttemptAbandoned,
    AttemptFailed,
    Event,
    Reason,
    ShutdownRequested,
    StepFailed,
    StepScheduled,
    StepStarted,
    StepSucceeded,
)
from kipu.core.state import State
from kipu.eventlog.file import FileLog
from kipu.eventlog.ports import Head, History, Recorded, StreamId
from kipu.shell.clock import SystemClock
from kipu.shell.local_attempts import Attempt
from kipu.shell.local_processes import Process, identify, is_alive, relatives
from tests.shell.local_world import World, heard, step
from tests.shell.test_local_kills import assert_none_is_left

pytestmark = pytest.mark.proof

HANGS = "sleep 300"


class Broken(FileLog):
    """A log whose disk is full after so many appends."""

    def __init__(self, root: Path, appends: int) -> None:
        super().__init__(root)
        self._left = appends

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[Head, tuple[Recorded, ...]]:
        self._left -= 1
        if self._left < 0:
            raise TransientError("no space is left")
        return await super().append(stream, expected, events, ts=ts, spec_hash=spec_hash)


class Later(SystemClock):
    """The machine's clock, an hour on."""

    def now(self) -> int:
        return super().now() + 3_600_000


def only_attempt(world: World) -> Attempt:
    (folder,) = world.run.attempts.iterdir()
    return Attempt(folder)


async def killed_in_the_middle(world: World, fifo: Path) -> None:
    """Let an engine live until its step speaks, then no longer: as SIGKILL leaves it, but for what only we see."""
    life = asyncio.create_task(world.live())
    await heard(fifo)
    world.forsake()
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life


async def over(process: Process) -> None:
    """Wait until it has ended; somebody else waits for it as its parent."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    await asyncio.to_thread(select.select, [descriptor], [], [])
    os.close(descriptor)


# -- ends ----------------------------------------------------------------------------------------------------


async def test_items_run_with_their_values_and_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    script = 'echo "$KIPU_STEP $KIPU_INDEX $KIPU_ITEM" >> notes; [ "$KIPU_INDEX$KIPU_ATTEMPT" != 11 ]'
    retry = {"maxAttempts": 2, "backoff": {"initial": "1ms", "jitter": "None"}}
    for_each = {"items": ["a", {"b": "$(HOME)"}, 3], "parallelism": 1}
    world = World(
        tmp_path, step("shard", script, forEach=for_each, retry=retry), step("join", "true", dependsOn=["shard"])
    )
    assert (await world.live()).phase == "Succeeded"
    told = ["shard 0 a", *['shard 1 {"b":"$(HOME)"}'] * 2, "shard 2 3"]
    assert sorted((tmp_path / "notes").read_text().splitlines()) == told
    assert world.kinds()[-5:-3] == ["StepSucceeded", "StepCompleted"]
    assert not world.engine._orders


async def test_steps_run_in_the_order_of_their_needs(tmp_path: Path) -> None:
    note = 'echo "$KIPU_STEP" >> notes'
    world = World(
        tmp_path, step("last", note, dependsOn=["middle"]), step("middle", note, dependsOn=["a"]), step("a", note)
    )
    assert str((await world.live()).phase) == "Succeeded"
    assert (tmp_path / "notes").read_text() == "a\nmiddle\nlast\n"
    assert_none_is_left(tmp_path)


async def test_a_step_that_fails_is_tried_again_with_another_number_and_the_same_key(tmp_path: Path) -> None:
    script = 'echo "$KIPU_IDEMPOTENCY_KEY" >> keys; echo "$KIPU_ATTEMPT_ID" >> ids; [ "$KIPU_ATTEMPT" = 3 ]'
    retry = {"maxAttempts": 3, "backoff": {"initial": "10ms"}}
    world = World(tmp_path, step("a", script, retry=retry))
    assert str((await world.live()).phase) == "Succeeded"
    assert [failed.exit_code for failed in world.of(AttemptFailed)] == [1, 1]
    assert len(set((tmp_path / "keys").read_text().split())) == 1
    assert len(set((tmp_path / "ids").read_text().split())) == 3


async def test_a_program_that_is_not_there_fails_its_step_with_127_and_its_name(tmp_path: Path) -> None:
    world = World(tmp_path, {"name": "a", "command": ["no-such-program"]})
    assert str((await world.live()).phase) == "Failed"
    (failed,) = world.of(AttemptFailed)
    assert (failed.exit_code, failed.reason) == (127, Reason.EXIT_CODE)
    assert failed.message.startswith("cannot run 'no-such-program': No such file")


async def test_a_failure_is_recorded_with_the_end_of_what_was_printed(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "seq 200; echo gone wrong >&2; exit 3"))
    await world.live()
    (failed,) = world.of(AttemptFailed)
    assert (failed.log_tail or "").split("\n") == [*map(str, range(122, 201)), "gone wrong"]


async def test_a_program_killed_by_a_signal_has_the_exit_code_that_the_kubelet_shows(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "kill -KILL $$"))
    await world.live()
    (failed,) = world.of(AttemptFailed)
    assert (failed.exit_code, failed.message) == (137, "killed by signal 9 (SIGKILL)")


async def test_no_more_processes_run_at_once_than_are_allowed(tmp_path: Path) -> None:
    script = "mkdir taken || exit 1; rmdir taken"
    world = World(tmp_path, *(step(f"s{number}", script) for number in range(4)))
    assert str((await world.live(processes_max=1)).phase) == "Succeeded"


async def test_an_attempt_that_takes_too_long_is_taken_down_with_all_that_it_has_started(tmp_path: Path) -> None:
    script = f"(setsid {HANGS}) & trap '' TERM; {HANGS} & {HANGS}"
    template = {"spec": {"terminationGracePeriodSeconds": 0}}
    world = World(tmp_path, step("a", script, startTimeout="1h", attemptTimeout="300ms", template=template))
    assert str((await world.live()).phase) == "Failed"
    assert [failed.reason for failed in world.of(AttemptFailed)] == [Reason.TIMED_OUT]
    assert_none_is_left(tmp_path)


async def test_a_workflow_that_takes_too_long_has_timed_out(tmp_path: Path) -> None:
    state = await World(tmp_path, step("a", HANGS), timeout="200ms").live()
    assert (str(state.phase), state.end_reason) == ("Failed", "TimedOut")
    assert_none_is_left(tmp_path)


async def test_cancelled_means_that_nothing_is_left_and_each_program_had_its_time(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", f"trap 'echo ended > note; exit 1' TERM; echo up > up; {HANGS} & wait"))
    up = world.fifo("up")
    life = asyncio.create_task(world.live())
    await heard(up)
    world.engine.cancel()
    assert str((await life).phase) == "Cancelled"
    assert (tmp_path / "note").read_text() == "ended\n"
    assert_none_is_left(tmp_path)


async def test_cancelled_twice_leaves_no_more_time(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", f"trap '' TERM; echo up > up; {HANGS}"))
    up = world.fifo("up")
    life = asyncio.create_task(world.live())
    await heard(up)

    def again(event: Event) -> None:
        if isinstance(event, AttemptAbandoned):
            world.engine.cancel()

    world.on = again
    world.engine.cancel()
    assert str((await asyncio.wait_for(life, 20)).phase) == "Cancelled"
    assert [request.mode.value for request in world.of(ShutdownRequested)] == ["Cancel", "Terminate"]
    assert_none_is_left(tmp_path)


# -- one engine after the other ------------------------------------------------------------------------------


async def test_a_warden_that_still_runs_is_taken_up(tmp_path: Path) -> None:
    world = World(
        tmp_path, step("a", "echo up > up; read line < go; echo ran >> notes"), step("b", "true", dependsOn=["a"])
    )
    up, go = world.fifo("up"), world.fifo("go")
    await killed_in_the_middle(world, up)
    life = asyncio.create_task(world.live())
    await asyncio.to_thread(go.write_text, "go\n")
    assert str((await life).phase) == "Succeeded"
    assert (tmp_path / "notes").read_text() == "ran\n"
    assert len(world.of(StepScheduled)) == 2
    assert_none_is_left(tmp_path)


async def test_an_end_while_no_engine_ran_counts(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "echo up > up; exit 5"))
    await killed_in_the_middle(world, world.fifo("up"))
    claim = only_attempt(world).claim()
    assert claim is not None
    assert claim.warden is not None
    await over(claim.warden)
    assert str((await world.live()).phase) == "Failed"
    assert [failed.exit_code for failed in world.of(AttemptFailed)] == [5]


async def test_an_end_that_was_written_beats_a_deadline_that_has_passed_since(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "echo up > up", attemptTimeout="10m", timeout="20m"), timeout="30m")
    await killed_in_the_middle(world, world.fifo("up"))
    attempt = only_attempt(world)
    claim = attempt.claim()
    assert claim is not None
    assert claim.warden is not None
    await over(claim.warden)
    assert attempt.end() is not None
    assert str((await world.live(clock=Later())).phase) == "Succeeded"


async def test_an_attempt_whose_warden_was_killed_is_lost_and_gone_before_the_next_begins(tmp_path: Path) -> None:
    script = f'[ "$KIPU_ATTEMPT" = 1 ] || exit 0; (setsid {HANGS}) & echo up > up; {HANGS}'
    world = World(tmp_path, step("a", script, retry={"maxAttempts": 2, "backoff": {"initial": "1ms"}}))
    up = world.fifo("up")
    life = asyncio.create_task(world.live())
    await heard(up)
    claim = only_attempt(world).claim()
    assert claim is not None
    assert claim.warden is not None
    assert claim.program is not None

    def gone(event: Event) -> None:
        if isinstance(event, AttemptFailed):
            assert claim.program is not None
            assert not is_alive(claim.program)

    world.on = gone
    os.kill(claim.warden.pid, signal.SIGKILL)
    assert str((await life).phase) == "Succeeded"
    assert [failed.reason for failed in world.of(AttemptFailed)] == [Reason.LOST]
    assert_none_is_left(tmp_path)


async def test_what_ran_when_the_machine_went_down_costs_no_try(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", '[ "$KIPU_ATTEMPT" != 1 ] || { echo up > up; sleep 300; }'))
    await killed_in_the_middle(world, world.fifo("up"))
    attempt = only_attempt(world)
    claim = attempt.claim()
    assert claim is not None
    assert claim.warden is not None
    for pid in (claim.warden.pid, *relatives(f"KIPU_POD_UID={attempt.folder.name}", None)):
        os.kill(pid, signal.SIGKILL)
    await over(claim.warden)
    path = attempt.folder / "claim"
    path.write_text(path.read_text().replace(claim.warden.boot, "another-boot"))
    assert str((await world.live()).phase) == "Succeeded"
    assert [failed.reason for failed in world.of(AttemptFailed)] == [Reason.DISRUPTED]


async def test_modules_that_lie_where_steps_run_are_not_taken_for_python_s_own(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert str((await World(tmp_path, step("a", "true")).live()).phase) == "Succeeded"
    finally:
        os.chdir(here)


async def test_an_engine_that_cannot_go_on_takes_its_steps_down_and_the_next_tries_them_again(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", 'echo ran >> notes; [ "$KIPU_ATTEMPT" != 1 ] || sleep 300'), step("b", "true"))
    with pytest.raises(TransientError, match="no space"):
        await world.live(log=Broken(world.run.log, 1))
    assert_none_is_left(tmp_path)
    assert str((await world.live()).phase) == "Succeeded"
    reasons = [failed.reason for failed in world.of(AttemptFailed)]
    assert reasons in ([], [Reason.DISRUPTED])  # it may have been stopped before it had begun
    assert len(world.of(StepSucceeded)) == 2


async def test_an_attempt_that_is_given_up_before_it_began_can_never_begin(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "echo ran >> notes"), timeout="1h")

    def cancel(event: Event) -> None:
        if isinstance(event, StepScheduled):
            world.engine.cancel()

    world.on = cancel
    assert str((await world.live()).phase) == "Cancelled"
    claim = only_attempt(world).claim()
    assert claim is not None
    ran = (tmp_path / "notes").exists()
    assert ran or claim.warden is None or only_attempt(world).end() is not None
    assert_none_is_left(tmp_path)


async def test_a_log_that_does_not_ask_for_what_was_begun_was_rolled_back(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "true"))
    await world.live()
    for path in world.run.log.glob("*/*.log"):
        path.unlink()
    with pytest.raises(CorruptionError, match="rolled back"):
        await world.live()


async def test_a_rerun_runs_again_what_has_not_succeeded_and_what_is_named(tmp_path: Path) -> None:
    note = 'echo "$KIPU_STEP $KIPU_RUN" >> notes'
    world = World(tmp_path, step("a", note), step("b", f'{note}; [ "$KIPU_RUN" != 1 ]', dependsOn=["a"]))
    assert str((await world.live()).phase) == "Failed"
    assert str((await world.live(rerun_from=())).phase) == "Succeeded"
    state = await world.live(rerun_from=("a",))
    assert (str(state.phase), state.run) == ("Succeeded", 3)
    assert (tmp_path / "notes").read_text().splitlines() == ["a 1", "b 1", "b 2", "a 3", "b 3"]


async def test_a_rerun_that_is_cancelled_before_its_log_is_read_is_cancelled(tmp_path: Path) -> None:
    class Early(FileLog):
        async def load(self, stream: StreamId) -> History | None:
            world.engine.cancel()
            return await super().load(stream)

    world = World(tmp_path, step("a", '[ "$KIPU_RUN" != 1 ] || exit 1; sleep 300'))
    assert str((await world.live()).phase) == "Failed"
    assert str((await world.live(log=Early(world.run.log), rerun_from=())).phase) == "Cancelled"
    assert_none_is_left(tmp_path)


async def test_a_run_that_has_ended_stays_as_it_ended(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", "echo ran >> notes"))
    first = await world.live()
    world.events.clear()
    again: State = await world.live()
    assert (again.position, world.events) == (first.position, [])
    assert (tmp_path / "notes").read_text() == "ran\n"


async def test_a_warden_that_never_comes_up_fails_the_step_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kipu.shell.local_performer.WARDEN", "import sys; sys.exit('no memory')")
    monkeypatch.setattr("kipu.shell.local_performer.BACKOFF_SECONDS", 0.0)
    world = World(tmp_path, step("a", "true"))
    assert str((await world.live()).phase) == "Failed"
    (failed,) = world.of(StepFailed)
    assert failed.reason is Reason.INVALID_JOB
    assert failed.message == "its process could not be started in 5 tries: no memory"


async def test_a_start_is_recorded_with_who_runs_it(tmp_path: Path) -> None:
    world = World(tmp_path, step("a", f"echo up > up; {HANGS}"))
    up = world.fifo("up")
    life = asyncio.create_task(world.live())
    await heard(up)
    world.on = lambda event: world.engine.cancel() if isinstance(event, StepStarted) else None
    await life
    claim = only_attempt(world).claim()
    assert claim is not None
    assert claim.warden is not None
    assert identify(claim.warden.pid) != claim.warden
    (started,) = world.of(StepStarted)
    assert started.job_uid == f"{claim.warden.boot}-{claim.warden.pid}-{claim.warden.started}"
    assert started.started_at == claim.started_at
