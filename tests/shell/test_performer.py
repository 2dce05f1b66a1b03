"""Jobs are made and given up so that whatever comes late finds the name taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kipu.api import jobs
from kipu.core.commands import AttemptRef, Command, ObserveGone, ObserveRefused
from kipu.core.definition import Definition, Step
from kipu.core.events import Reason
from kipu.shell.kube import Kube
from kipu.shell.performer import Performer, Reports
from kipu.shell.plans import Plan
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Delayed, Fault, Status, TimeoutDone, TimeoutNotDone
from tests.fakes.nodes import Program
from tests.shell.operating import apply, step, until

pytestmark = pytest.mark.looptime
JOB = "w-a-0123456789abcdef"
REF = AttemptRef(run=1, step="a", attempt=1)


@dataclass
class Attempt:
    """One attempt as the performer is told of it, and what it has reported."""

    server: ApiServer
    told: list[Command] = field(default_factory=list)
    waited: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waits = asyncio.Event()  # set at the very moment at which it first has to wait
        self.performer = Performer(Kube(self.server.connect(user="operator")))
        self.uid = apply(self.server, step("a"))

    @property
    def plan(self) -> Plan:
        attempt = jobs.AttemptRef(
            namespace="default",
            workflow_name="w",
            workflow_uid=self.uid,
            run=1,
            step="a",
            attempt=1,
            job_name=JOB,
            intent="3:abc",
        )
        definition = Definition(steps=(Step(name="a", pod={"image": "busybox:1.36"}),))
        return Plan(
            namespace="default",
            workflow_uid=self.uid,
            ref=REF,
            job=JOB,
            intent=attempt.intent,
            manifest=lambda: jobs.job_manifest(definition, definition.steps[0], attempt),
            placeholder=lambda: jobs.placeholder_manifest(attempt),
            placeholder_job=lambda: jobs.placeholder_manifest(attempt),
        )

    @property
    def reports(self) -> Reports:
        return Reports(
            command=self.told.append,
            job_seen=lambda _view: None,
            created=lambda _job, _uid: None,
            waiting=self._waiting,
            tried=self.tried.append,
        )

    def _waiting(self, _step: str, why: str) -> None:
        self.waited.append(why)
        self.waits.set()

    async def ensure_job(self) -> None:
        await self.performer.ensure_job(self.plan, self.reports)

    async def ensure_no_job(self) -> None:
        await self.performer.ensure_no_job(self.plan, self.reports)

    @property
    def job(self) -> dict[str, Any]:
        found = self.server.get("jobs", "default", JOB)
        assert found is not None
        return found

    @property
    def is_placeholder(self) -> bool:
        found = self.server.get("jobs", "default", JOB)
        return found is not None and "kipu.dev/placeholder" in found["metadata"]["annotations"]


def creates(*faults: Fault | None) -> Callable[[int, Any], Fault | None]:
    """What befalls the first creates of a Job, one after another."""
    left = list(faults)

    def hook(_index: int, request: Any) -> Fault | None:
        is_create = request.method == "POST" and request.path.endswith("/jobs")
        return left.pop(0) if is_create and left else None

    return hook


def stranger(server: ApiServer) -> None:
    """A Job of somebody else under the attempt's name."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}}
    server.create({"kind": "Job", "metadata": {"name": JOB}, "spec": {"template": template}})


# -- making ------------------------------------------------------------------------------------------------


async def test_a_create_is_sent_until_it_is_answered() -> None:
    server = ApiServer()
    given = Attempt(server)
    server.faults = creates(TimeoutNotDone(seconds=1.0), TimeoutNotDone(seconds=1.0))
    await given.ensure_job()
    assert given.job["metadata"]["annotations"]["kipu.dev/intent"] == "3:abc"
    assert given.told == []


async def test_a_job_that_an_earlier_try_has_made_is_found_to_be_ours() -> None:
    server = ApiServer()
    given = Attempt(server)
    server.faults = creates(TimeoutDone(seconds=1.0))
    await given.ensure_job()
    assert given.told == []
    assert given.tried == [JOB]
    assert len(server.all("jobs")) == 1


@pytest.mark.parametrize("code", [403, 404, 429, 500, 503])
async def test_a_refusal_that_may_pass_is_waited_for_and_told(code: int) -> None:
    server = ApiServer()
    given = Attempt(server)
    server.faults = creates(Status(code=code), Status(code=code))
    await given.ensure_job()
    assert given.told == []
    assert given.waited[-1] == ""
    assert all(f"{code}" in why for why in given.waited[:-1])
    assert given.tried == [JOB, JOB]
    assert given.job


async def test_a_job_that_is_refused_for_good_fails_its_attempt() -> None:
    server = ApiServer()
    given = Attempt(server)
    server.faults = creates(Status(code=422, reason="Invalid"))
    await given.ensure_job()
    assert [type(command) for command in given.told] == [ObserveRefused]
    assert server.get("jobs", "default", JOB) is None


async def test_a_job_that_only_has_the_name_is_not_adopted() -> None:
    server = ApiServer()
    given = Attempt(server)
    stranger(server)
    await given.ensure_job()
    (refused,) = given.told
    assert isinstance(refused, ObserveRefused)
    assert refused.reason is Reason.JOB_NAME_TAKEN


# -- giving up -----------------------------------------------------------------------------------------------


async def test_a_job_that_only_has_the_name_is_not_deleted() -> None:
    server = ApiServer()
    given = Attempt(server)
    stranger(server)
    before = given.job
    await given.ensure_no_job()
    assert given.told == [ObserveGone(ref=REF)]
    assert given.job["metadata"]["uid"] == before["metadata"]["uid"]
    assert "deletionTimestamp" not in given.job["metadata"]


async def test_a_create_that_comes_after_the_attempt_was_given_up_finds_the_name_taken() -> None:
    server = ApiServer()
    given = Attempt(server)
    server.faults = creates(Delayed(seconds=30.0))
    task = asyncio.create_task(given.ensure_job())
    await given.waits.wait()  # before its next try
    task.cancel()
    await given.ensure_no_job()
    assert server.time() < 30
    await asyncio.sleep(60)
    assert given.is_placeholder
    assert server.executions == []


async def test_the_placeholder_stays_however_often_the_attempt_is_given_up() -> None:
    server = ApiServer()
    given = Attempt(server)
    await given.ensure_job()
    uids = []
    for _ in range(2):  # as after a restart
        await given.ensure_no_job()
        uids.append(given.job["metadata"]["uid"])
    assert given.is_placeholder
    assert uids[0] == uids[1]


async def test_an_attempt_is_gone_only_when_no_pod_of_it_runs_though_its_job_is_gone() -> None:
    server = ApiServer(programs=lambda _pod: Program(run_seconds=100.0))
    given = Attempt(server)
    await given.ensure_job()
    await until(lambda: server.executions)
    server.delete("jobs", "default", JOB, propagationPolicy="Orphan")
    task = asyncio.create_task(given.ensure_no_job())
    await until(lambda: given.is_placeholder)
    await asyncio.sleep(30)
    assert given.told == []
    assert "1 pod(s) still ending" in given.waited[-1]
    await task
    assert given.told == [ObserveGone(ref=REF)]
    assert server.time() > 100


async def test_a_create_that_lands_between_the_deletion_and_the_placeholder_is_found_and_taken_down_too() -> None:
    """`make chaos`, seed 21: the leader was stopped while it sent the create, and resumed 27 s later."""
    server = ApiServer(programs=lambda _pod: Program(run_seconds=100.0))
    given = Attempt(server)
    await given.ensure_job()
    await until(lambda: server.executions)
    left = [given.plan.manifest()]

    def lands_first(_index: int, request: Any) -> Fault | None:
        if request.method == "POST" and request.path.endswith("/jobs") and left:
            server.create(dict(left.pop()))
        return None

    server.faults = lands_first
    await given.ensure_no_job()
    assert given.is_placeholder
    assert left == []
    assert given.told == [ObserveGone(ref=REF)]
    assert all(execution.ended is not None for execution in server.executions)
    begun = len(server.executions)
    await asyncio.sleep(60)
    assert len(server.executions) == begun
