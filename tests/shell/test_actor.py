"""An actor's session: what comes first, what waits for what, and two of them at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from kipu.api.status import project
from kipu.core.events import StepScheduled, StepStarted, StepSucceeded, StreamClaimed
from kipu.core.evolve import fold
from kipu.eventlog.ports import EventLog, History, StreamId
from kipu.shell.actor import Actor
from kipu.shell.company import COMPANY_MAX
from kipu.shell.engine import Engine
from kipu.shell.kube_views import decode_workflow
from kipu.shell.mailbox import LAZY_SECONDS
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import TimeoutNotDone
from tests.fakes.nodes import Program
from tests.shell.nesting import by_step
from tests.shell.operating import apply, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime
RETRY = {"maxAttempts": 3, "backoff": {"initial": "60s", "jitter": "None"}}
LONG = Program(run_seconds=20.0)


def flaky_fails_once(pod: dict[str, Any]) -> Program:
    labels = pod["metadata"]["labels"]
    fails = labels["kipu.dev/step"] == "flaky" and labels["kipu.dev/attempt"] == "1"
    return Program(run_seconds=1.0, exit_code=int(fails))


async def test_every_session_begins_with_a_claim_and_makes_no_job_before_it() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=20.0))
    uid = apply(server, step("a"), step("b", "a"))
    async with operator(server, "first"):
        await until(lambda: server.executions)
    async with operator(server, "second"):
        assert await ended(server) == "Succeeded"
    claims = [r for r in (await history(server, uid)).records if isinstance(r.event, StreamClaimed)]
    assert [record.epoch for record in claims] == [1, 2]
    assert [record.event.writer for record in claims if isinstance(record.event, StreamClaimed)] == ["first", "second"]
    for replica in ("first", "second"):
        writes = server.writes(replica)
        assert "/configmaps" in writes[0].path
        assert any("/jobs" in write.path for write in writes)


async def test_while_a_step_waits_for_its_retry_the_others_go_on_and_a_shutdown_is_heard() -> None:
    server = ApiServer(programs=flaky_fails_once)
    apply(server, step("flaky", retry=RETRY), step("a"), step("b", "a"), step("c", "b"))
    async with operator(server):
        await until(lambda: len({run.step for run in server.executions if run.exit_code == 0}) == 3)
        assert server.time() < 30

        def shut_down(workflow: dict[str, Any]) -> dict[str, Any]:
            workflow["spec"]["shutdown"] = {"mode": "Cancel", "run": 1}
            return workflow

        server.update("workflows", "default", "w", shut_down)
        assert await ended(server) == "Cancelled"
    assert server.time() < 40


async def test_two_operators_at_once_do_no_harm() -> None:
    """There is no lease between them: the log alone tells who may decide."""
    server = ApiServer(programs=flaky_fails_once)
    retry = {"maxAttempts": 3, "backoff": {"initial": "2s", "jitter": "None"}}
    steps = [step("a"), step("b", "a"), step("c", "a"), step("flaky", "a", retry=retry), step("d", "b", "c", "flaky")]
    uid = apply(server, *steps)
    async with operator(server, "one"), operator(server, "two"):
        assert await ended(server) == "Succeeded"
    ran = Counter((run.step, run.attempt) for run in server.executions)
    once = dict.fromkeys([("a", "1"), ("b", "1"), ("c", "1"), ("flaky", "1"), ("flaky", "2"), ("d", "1")], 1)
    assert ran == once
    records = (await history(server, uid)).records
    assert Counter(r.event.step for r in records if isinstance(r.event, StepScheduled))["flaky"] == 2
    assert (await replayed(server, uid)).is_terminal


async def test_a_pod_that_finished_while_the_operator_was_down_beats_a_deadline_that_passed_meanwhile() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=5.0))
    uid = apply(server, step("a", attemptTimeout="10s"))
    async with operator(server, "first"):
        await until(lambda: status(server).get("counts", {}).get("running"))
    await asyncio.sleep(600)
    asked = 0

    def late_lists(_index: int, request: Any) -> TimeoutNotDone | None:
        """The first list of pods gets no answer: a timer that waits for none would be first."""
        nonlocal asked
        asked += request.path.endswith("/pods")
        return TimeoutNotDone(seconds=1.0) if request.path.endswith("/pods") and asked == 1 else None

    server.faults = late_lists
    async with operator(server, "second"):
        assert await ended(server) == "Succeeded"
    assert asked >= 2
    assert len(server.executions) == 1
    assert (await replayed(server, uid)).steps[0].attempts == 1


async def test_what_is_shown_all_along_is_what_a_replay_of_the_log_shows() -> None:
    """Nothing but the fold may have written the state that the status was made from."""
    server = ApiServer(programs=flaky_fails_once)
    retry = {"maxAttempts": 3, "backoff": {"initial": "2s", "jitter": "None"}}
    uid = apply(server, step("a"), step("flaky", "a", retry=retry), step("b", "flaky"))
    shown: dict[int, dict[str, Any]] = {}

    def look(*_change: object) -> None:
        if (position := status(server).get("log", {}).get("position")) is not None:
            shown[position] = status(server)

    server.etcd.listeners.append(look)
    async with operator(server):
        assert await ended(server) == "Succeeded"
        await asyncio.sleep(5)
    records = (await history(server, uid)).records
    assert len(shown) >= 5
    for position, seen in shown.items():
        state = fold((record.event, record.ts) for record in records[:position])
        last = records[position - 1]
        told = project(state, generation=1, log_position=position, log_hash=last.hash, waiting={}, spec_changed=False)
        assert seen == {key: value for key, value in told.items() if value is not None}


async def test_a_job_that_was_deleted_while_the_operator_was_down_is_lost_and_tried_again() -> None:
    server = ApiServer(programs=lambda pod: Program(run_seconds=500.0 if is_first(pod) else 1.0))
    uid = apply(server, step("a", retry={"maxAttempts": 2, "backoff": {"initial": "1s", "jitter": "None"}}))
    async with operator(server, "first"):
        await until(lambda: status(server).get("counts", {}).get("running"))
    (job,) = server.all("jobs")
    server.delete("jobs", "default", job["metadata"]["name"], propagationPolicy="Foreground")
    await until(lambda: server.all("jobs") == [])
    async with operator(server, "second"):
        assert await ended(server) == "Succeeded"
    assert (await replayed(server, uid)).steps[0].attempts == 2


def is_first(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"]["labels"]["kipu.dev/attempt"] == "1")


class ReadLong:
    """A log of which a read takes so long that something happens meanwhile."""

    def __init__(self, log: EventLog, meanwhile: Callable[[], None]) -> None:
        self._log, self._meanwhile = log, meanwhile
        self.append, self.archive, self.sweep = log.append, log.archive, log.sweep

    async def load(self, stream: StreamId) -> History | None:
        history = await self._log.load(stream)
        self._meanwhile()
        return history


async def test_a_status_that_comes_while_the_log_is_read_is_no_witness_against_it() -> None:
    """It shows what another session has committed since the read began."""
    server = ApiServer(programs=lambda _: Program(run_seconds=20.0))
    apply(server, step("a"))
    async with operator(server) as engine:
        await until(lambda: status(server).get("phase") == "Running")
        known = decode_workflow(server.get("workflows", "default", "w") or {})
        further = {**known.status, "log": {"position": 1_000, "hash": "0" * 64}}
        newer = msgspec.structs.replace(known, status=further)
        services = engine._services
        actor = Actor(known, replace(services, log=ReadLong(services.log, lambda: actor.changed(newer))))
        await actor.open()
        assert actor.head is not None
        assert actor.head.position < 1_000


async def test_the_echo_of_its_own_status_makes_it_write_nothing() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=20.0))
    apply(server, step("a"), step("b"), step("c", "a"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    statuses = [msgspec.json.decode(each.body or b"") for each in server.writes("one") if "/status" in each.path]
    versions = [operations[1]["value"] for operations in statuses]
    assert len(versions) == len(set(versions))  # none was sent that changed nothing
    assert (
        len(versions) == 6
    )  # accepted, two run, one has ended, both and the last one is made, it runs, all have ended


async def test_a_change_that_asks_for_nothing_new_does_not_make_a_start_come_before_it_has_company() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=20.0))
    uid = apply(server, step("a"))

    def labelled(workflow: dict[str, Any]) -> dict[str, Any]:
        return workflow | {"metadata": {**workflow["metadata"], "labels": {"team": "red"}}}

    async def is_started() -> bool:
        return any(isinstance(record.event, StepStarted) for record in (await history(server, uid)).records)

    async with operator(server):
        await until(lambda: server.executions)
        server.update("workflows", "default", "w", labelled)
        await asyncio.sleep(0.3)
        assert not await is_started()
        await asyncio.sleep(LAZY_SECONDS)
        assert await is_started()


async def test_the_later_sights_of_an_end_do_not_make_the_next_start_come_before_it_has_company() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=0.05))
    uid = apply(server, *(step(f"s{n}", **({"dependsOn": [f"s{n - 1}"]} if n else {})) for n in range(10)))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    kinds = [type(record.event) for record in (await history(server, uid)).records]
    assert kinds.count(StepScheduled) == 10
    assert StepStarted not in kinds  # each has ended before its start had waited long enough


async def test_a_status_that_somebody_else_has_written_is_put_right() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=20.0))
    apply(server, step("a"))
    async with operator(server):
        await until(lambda: status(server).get("running"))
        await asyncio.sleep(5.0)  # by now nothing else is to be written

        def forged(workflow: dict[str, Any]) -> dict[str, Any]:
            return workflow | {"status": {**workflow["status"], "phase": "Succeeded"}}

        server.update("workflows", "default", "w", forged, status=True)
        await until(lambda: status(server)["phase"] == "Running")
        assert server.time() < 15


async def recorded(server: ApiServer, uid: str, kind: type[StepScheduled] | type[StepSucceeded]) -> dict[str, int]:
    """When what is said of each step was committed, in milliseconds."""
    records = (await history(server, uid)).records
    return {record.event.step: record.ts for record in records if isinstance(record.event, kind)}


async def test_ends_that_let_nothing_start_are_recorded_with_the_one_that_does() -> None:
    server = ApiServer(programs=by_step(a=Program(run_seconds=2.0), b=Program(run_seconds=2.05), c=LONG))
    uid = apply(server, step("a"), step("b"), step("c"), step("d", "a", "b"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    ends = await recorded(server, uid, StepSucceeded)
    assert ends["a"] == ends["b"] == (await recorded(server, uid, StepScheduled))["d"]


async def idle(_engine: Engine) -> None:
    """Nothing else happens."""


async def end_of_a(
    *others: str, places: int = 100, meanwhile: Callable[[Engine], Coroutine[Any, Any, None]] = idle
) -> int:
    """How long after the end of its container that of step a is committed, in milliseconds. `x` runs in another one."""
    server = ApiServer(programs=by_step(a=Program(run_seconds=2.0), c=LONG))
    uid = apply(server, step("a"), *(step(name) for name in others if name != "x"))
    async with operator(server, parallelism=places) as engine, asyncio.TaskGroup() as group:
        task = group.create_task(meanwhile(engine))
        await until(lambda: server.executions)
        if "x" in others:
            apply(server, step("x"), name="other")
            assert await ended(server, "other") == "Succeeded"
        assert await ended(server) == "Succeeded"
        task.cancel()
    (over,) = (run.ended for run in server.executions if run.step == "a")
    assert over is not None
    return (await recorded(server, uid, StepSucceeded))["a"] - over


async def test_an_end_that_gets_no_company_is_recorded_a_tenth_of_a_second_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = await end_of_a("c")
    monkeypatch.setattr("kipu.shell.company.COMPANY_SECONDS", 0.0)
    assert later - await end_of_a("c") == 100


async def test_no_end_waits_that_is_the_last_or_for_whose_place_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [await end_of_a(), await end_of_a("c", "x", places=2)]
    monkeypatch.setattr("kipu.shell.company.COMPANY_SECONDS", 0.0)
    assert found == [await end_of_a(), await end_of_a("c", "x", places=2)]


async def test_what_waits_for_company_waits_no_longer_because_of_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kipu.shell.company.COMPANY_SECONDS", 1.0)
    quiet = await end_of_a("c")

    async def nudge(engine: Engine) -> None:
        while True:
            await asyncio.sleep(0.3)
            for entry in engine._entries.values():
                if entry.actor is not None:
                    entry.actor._mailbox.nudge()

    nudged = await end_of_a("c", meanwhile=nudge)
    assert nudged == quiet


async def test_fifty_ends_are_company_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kipu.shell.company.COMPANY_SECONDS", 5.0)

    def program(pod: dict[str, Any]) -> Program:
        return Program(run_seconds=20.0 if pod["metadata"]["labels"]["kipu.dev/index"] == "0" else 2.0)

    server = ApiServer(programs=program)
    uid = apply(server, step("a", forEach={"count": 80}))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    found = await recorded(server, uid, StepSucceeded)
    delays = [found[run.step] - run.ended for run in server.executions if run.ended is not None and run.step != "a[0]"]
    assert len(delays) == 79
    assert sum(delay < 2_000 for delay in delays) >= COMPANY_MAX
    assert max(delays) > 4_500  # of those that were too few for that
