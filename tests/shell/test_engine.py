"""Which Workflows have an actor, and what becomes of one whose session has ended in an error."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from typing import Any

import pytest

from kipu.shell.actor import Actor
from kipu.shell.engine import OPENING_MAX, RESTART_SECONDS_MAX, failures_in_a_row
from kipu.shell.kube_http import Request
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Fault, FaultHook, TimeoutNotDone
from tests.fakes.nodes import Program
from tests.shell.operating import apply, condition, ended, operator, status, step, until

pytestmark = pytest.mark.looptime


def edit(server: ApiServer, **spec: Any) -> None:
    server.update("workflows", "default", "w", lambda w: {**w, "spec": {**w["spec"], **spec}})


def late_once(method: str, part: str, seconds: float) -> tuple[FaultHook, set[tuple[str, bytes | None]]]:
    """The first of each such request is never answered, and given up after so long; which they were."""
    seen = set[tuple[str, bytes | None]]()

    def late(_number: int, request: Request) -> Fault | None:
        key = (request.path, request.body)
        if request.method != method or part not in request.path or key in seen:
            return None
        seen.add(key)
        return TimeoutNotDone(seconds=seconds)

    return late, seen


async def test_a_workflow_whose_log_was_damaged_stops_with_a_condition_and_nothing_is_written_but_that() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=30.0))
    uid = apply(server, step("a"), step("b", "a"))
    async with operator(server, "first"):
        await until(lambda: server.executions)
        await asyncio.sleep(5)

    def forge(stored: dict[str, Any]) -> dict[str, Any]:
        return {
            **stored,
            "data": {**stored["data"], "tail": stored["data"]["tail"].replace('"step":"a"', '"step":"b"')},
        }

    server.update("configmaps", "default", f"kipu-log-{uid}", forge)
    async with operator(server, "second"):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
        await asyncio.sleep(120)
    assert condition(server, "Stalled")["reason"] == "CorruptionError"
    assert {write.path.rpartition("/")[2] for write in server.writes("second")} == {"status"}
    assert {run.step for run in server.executions} == {"a"}


async def test_a_log_of_a_later_version_is_left_as_it_is_until_that_one_is_back() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=30.0))
    uid = apply(server, step("a"), step("b", "a"))
    async with operator(server, "newer"):
        await until(lambda: server.executions)
        await asyncio.sleep(5)
    (mine,) = [each for each in server.all("configmaps") if each["metadata"]["name"] == f"kipu-log-{uid}"]
    meta, tail = mine["data"]["meta"], mine["data"]["tail"].replace('"type":"StepStarted"', '"type":"StepTeleported"')
    theirs = {"meta": meta, "tail": tail, "digest": hashlib.sha256(f"{meta}\n{tail}".encode()).hexdigest()}
    server.update("configmaps", "default", f"kipu-log-{uid}", lambda stored: {**stored, "data": theirs})
    async with operator(server, "older"):
        await until(lambda: condition(server, "Stalled").get("status") == "True")
        await asyncio.sleep(120)
    assert condition(server, "Stalled")["reason"] == "UnknownEvent"
    assert "StepTeleported v1 was written by a later version of Kipu; upgrade to it again" in status(server)["message"]
    assert {write.path.rpartition("/")[2] for write in server.writes("older")} == {"status"}
    server.update("configmaps", "default", f"kipu-log-{uid}", lambda stored: {**stored, "data": mine["data"]})
    async with operator(server, "newer again"):
        assert await ended(server) == "Succeeded"
    assert [run.step for run in server.executions] == ["a", "b"]


async def test_an_edit_after_the_end_is_shown_as_one_that_changes_nothing() -> None:
    server = ApiServer()
    apply(server, step("a"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
        await asyncio.sleep(5)
        edit(server, parallelism=3)
        await until(lambda: status(server)["observedGeneration"] == 2)
    assert condition(server, "SpecChanged")["status"] == "True"
    assert status(server)["phase"] == "Succeeded"


def test_sessions_that_fail_at_once_are_counted() -> None:
    assert failures_in_a_row(8, lived_seconds=1.0) == 9
    assert failures_in_a_row(8, lived_seconds=RESTART_SECONDS_MAX) == 9


def test_a_session_that_lived_well_is_followed_soon_whatever_was_before() -> None:
    """A workflow of days loses a race for its log now and then: its tenth conflict is no reason to wait for 30 s."""
    assert failures_in_a_row(8, lived_seconds=RESTART_SECONDS_MAX + 1) == 1


async def test_an_urgent_one_that_comes_last_does_not_wait_until_all_others_are_open() -> None:
    server = ApiServer()
    for number in range(3 * OPENING_MAX):
        apply(server, step("one"), name=f"w{number:02}")
    urgent = apply(server, step("one"), name="z", priority=1)
    async with operator(server):
        await ended(server, "z")
    claims = [each.path + str(each.body) for each in server.writes("one") if each.path.endswith("/configmaps")]
    before = next(number for number, claim in enumerate(claims) if urgent in claim)
    assert OPENING_MAX <= before < 2 * OPENING_MAX


async def test_a_workflow_begins_only_when_one_before_it_has_claimed_its_log() -> None:
    """Else hundreds that are new would ask for everything at once, and steps that have ended would wait for them."""
    server, (late, claimed) = ApiServer(), late_once("POST", "/configmaps", 5.0)
    names = [f"w{number}" for number in range(3 * OPENING_MAX)]
    for name in names:
        apply(server, step("one"), name=name)
    async with operator(server, faults=late):
        await asyncio.sleep(4.0)
        assert len(claimed) == OPENING_MAX
        for name in names:
            assert await ended(server, name) == "Succeeded"


async def test_of_what_is_over_the_observer_forgets_the_jobs_and_the_engine_the_actor() -> None:
    server = ApiServer(programs=lambda pod: Program(run_seconds=1.0 if "-a-" in pod["metadata"]["name"] else 60.0))
    uid = apply(server, step("a"), step("b", "a"))

    def actors() -> list[Actor]:
        gc.collect()
        return [each for each in gc.get_objects() if isinstance(each, Actor) and each.stream.uid == uid]

    async with operator(server) as engine:
        await until(lambda: len(server.executions) == 2)
        await asyncio.sleep(10.0)  # so long its first Job still changes: its condition, its finalizers
        known = engine.observer.known(uid).values()
        assert [seen.job.metadata.labels.step for seen in known if seen.job is not None] == ["b"]
        assert len(actors()) == 1
        assert await ended(server) == "Succeeded"
        await until(lambda: not actors())


async def test_who_waits_long_to_be_taken_up_says_so_first_who_waits_longest() -> None:
    """Thousands at once: that nothing has happened yet to most of them is nobody's fault, but has a reason."""
    server, (late, _) = ApiServer(), late_once("POST", "/configmaps", 10.0)
    names = [f"w{number}" for number in range(3 * OPENING_MAX)]
    for priority, name in enumerate(names):
        apply(server, step("one"), name=name, priority=priority)
    async with operator(server, faults=late) as engine:
        await asyncio.sleep(1.0)
        assert not any(status(server, name) for name in names)  # so soon nobody asks
        assert engine.census().waiting["Opening"].count == len(names) - OPENING_MAX
        await asyncio.sleep(5.0)
        told = [write.path.split("/")[-2] for write in server.writes("one") if write.path.endswith("/status")]
        assert told == sorted(told, key=names.index)  # the lowest priority first, and each once
        assert len(told) == len(names) - OPENING_MAX
        why = f"the highest priority first, then the oldest; others that wait: {len(told) - 1}"
        for name in told:
            shown = {"phase": "Pending", "reason": "Waiting", "message": f"waits to be taken up: {why}"}
            assert status(server, name) == shown
        assert 5.0 < engine.census().waiting["Opening"].oldest_seconds < 7.0
        server.delete("workflows", "default", told[0])
        for name in {*names} - {told[0]}:
            assert await ended(server, name) == "Succeeded"
            assert "message" not in status(server, name)


async def test_one_that_runs_already_and_waits_to_be_taken_over_keeps_what_its_status_says() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=600.0))
    names = [f"w{number}" for number in range(2 * OPENING_MAX)]
    for name in names:
        apply(server, step("one"), name=name)
    async with operator(server, "first"):
        await until(lambda: all(status(server, name).get("phase") == "Running" for name in names))
    before = {name: status(server, name) for name in names}
    late, _ = late_once("GET", "/configmaps/kipu-log-", 10.0)
    async with operator(server, "second", faults=late):
        await until(lambda: any(status(server, name).get("reason") == "Waiting" for name in names))
        queued = [name for name in names if status(server, name).get("reason") == "Waiting"]
        for name in queued:
            shown = status(server, name)
            assert shown.pop("reason") + shown.pop("message")
            assert shown == {key: value for key, value in before[name].items() if key not in ("reason", "message")}
        await until(lambda: not any(status(server, name).get("reason") == "Waiting" for name in names))


async def test_after_a_takeover_the_urgent_and_the_oldest_come_first() -> None:
    server = ApiServer()
    ages = {"d": 0, "b": 0, "a": 0, "c": 5}  # priorities, in the order of their creation; lists come by name
    for name, priority in ages.items():
        apply(server, step("one"), step("two", "one"), name=name, priority=priority)
        await asyncio.sleep(1.0)  # a creationTimestamp has whole seconds
    leads = False
    async with operator(server, owns=lambda _uid: leads, parallelism=1) as engine:
        await engine.synced()
        await asyncio.sleep(5.0)
        leads = True
        engine.ownership_changed()
        for name in ages:
            await ended(server, name)
    names = {each["metadata"]["uid"]: each["metadata"]["name"] for each in server.all("workflows")}
    first, *others = [names[run.workflow_uid] for run in server.executions]
    by_rank = list("ccddbbaa")
    assert first in by_rank[: 2 * OPENING_MAX]  # of those that open together: whoever has read its log first
    by_rank.remove(first)
    assert others == by_rank
