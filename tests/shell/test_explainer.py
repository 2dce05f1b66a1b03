"""Why an attempt has not started: said in the cluster's words while it holds, and asked for only where it is late."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from kipu.api.jobs import MANAGED_BY, MANAGED_BY_LABEL
from kipu.eventlog.ports import StreamId
from kipu.shell.explainer import LATE_SECONDS, NOTICES_READ_MAX, PAUSE_SECONDS, Explainer, telling
from kipu.shell.kube_http import Reply, Request
from kipu.shell.kube_pending import NoticeView, PendingKube
from kipu.shell.kube_views import AttemptMetadata, JobView, Labels, Metadata
from kipu.shell.observer import Observer
from tests.fakes.apiserver import ApiServer, Sent
from tests.fakes.faults import TimeoutNotDone
from tests.fakes.nodes import Program
from tests.fakes.transport import FakeTransport
from tests.shell.operating import apply, ended, operator, status, step, until

pytestmark = pytest.mark.looptime
SHOWN_SECONDS = 5.0  # what was promised
PENDING = "status.phase=Pending"
TRUE_SECONDS = 0.5  # by then the fake cluster says it
PULL = Program(waiting='ImagePullBackOff: Back-off pulling image "nobody/has:this"')
SECRET = Program(waiting='CreateContainerConfigError: secret "nope" not found')
NODES = Program(unschedulable="0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
MOUNT = Program(notice='FailedMount: MountVolume.SetUp failed for volume "v" : secret "nope" not found')


def inquiries(server: ApiServer, user: str = "one") -> list[Sent]:
    """Every request of this replica that only asks why."""
    asked = ("/pods?", "status.phase%3DPending"), ("/events?", "regarding.uid")
    return [
        sent
        for sent in server.requests
        if sent.user == user and sent.method == "GET" and any(all(part in sent.path for part in each) for each in asked)
    ]


def said(server: ApiServer, step_: str = "a") -> str:
    """What the list of running steps says of this one."""
    return next(
        (str(each.get("message", "")) for each in status(server).get("running", []) if each["step"] == step_), ""
    )


def refuses_pods(server: ApiServer) -> None:
    hard = {"count/pods": "0"}
    quota = {"kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}}
    server.create(quota)


STUCK = [
    pytest.param(PULL, PULL.waiting, id="image"),
    pytest.param(SECRET, SECRET.waiting, id="secret"),
    pytest.param(NODES, f"Unschedulable: {NODES.unschedulable}", id="nodes"),
    pytest.param(MOUNT, MOUNT.notice, id="volume"),
]


@pytest.mark.parametrize("fields", [{}, {"startTimeout": "1h"}], ids=["no timeout", "startTimeout"])
@pytest.mark.parametrize(("program", "words"), STUCK)
async def test_what_holds_a_pod_up_is_shown_within_five_seconds(
    program: Program, words: str, fields: dict[str, str]
) -> None:
    server = ApiServer(programs=lambda _: program)
    apply(server, step("a", **fields))
    async with operator(server):
        await until(lambda: said(server))
        assert server.time() <= TRUE_SECONDS + SHOWN_SECONDS
        shown = status(server)
        assert (said(server), shown["reason"], shown["message"]) == (words, "Waiting", f"step 'a': {words}")
        assert shown["phase"] == "Running"


async def test_a_job_that_gets_no_pod_is_explained_by_what_its_controller_said() -> None:
    server = ApiServer()
    refuses_pods(server)
    await asyncio.sleep(1)  # the quota holds
    apply(server, step("a"))
    async with operator(server):
        began = server.time()
        await until(lambda: said(server))
        assert server.time() - began <= TRUE_SECONDS + SHOWN_SECONDS
        assert said(server).startswith("FailedCreate: Error creating: pods ")
        assert "exceeded quota: few" in said(server)


async def test_a_job_that_a_quota_refuses_is_explained_without_an_inquiry() -> None:
    server = ApiServer()
    hard = {"count/jobs.batch": "0"}
    server.create({"kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}})
    await asyncio.sleep(1)
    apply(server, step("a"))
    async with operator(server):
        await asyncio.sleep(SHOWN_SECONDS)
        assert "exceeded quota: few" in said(server)
        await asyncio.sleep(30)
        assert "exceeded quota: few" in said(server)
    assert inquiries(server) == []


@pytest.mark.parametrize(("program", "words"), STUCK)
async def test_once_its_pod_runs_nothing_is_said_any_more(program: Program, words: str) -> None:
    def once_stuck(_: Any) -> Program:
        fields = {name: getattr(program, name) for name in ("waiting", "unschedulable", "notice")}
        return Program(run_seconds=60.0, stuck_seconds=20.0, **fields)

    server = ApiServer(programs=once_stuck)
    apply(server, step("a"))
    async with operator(server):
        await until(lambda: said(server) == words)
        await until(lambda: server.executions)
        await asyncio.sleep(SHOWN_SECONDS)
        assert said(server) == ""
        assert "message" not in status(server)
        asked = len(inquiries(server))
        assert await ended(server) == "Succeeded"
    assert len(inquiries(server)) == asked


async def test_a_run_in_which_nothing_is_late_asks_nothing() -> None:
    server = ApiServer(programs=lambda _: Program(run_seconds=7.0))
    apply(server, *(step(f"s{n}", **({"dependsOn": [f"s{n - 1}"]} if n else {})) for n in range(5)), step("wide"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert inquiries(server) == []


async def test_an_external_step_is_explained_although_its_start_is_recorded_before_its_pod_is_there() -> None:
    server = ApiServer(programs=lambda _: PULL)
    apply(server, step("a", effects="External"))
    async with operator(server):
        await until(lambda: said(server))
        assert server.time() <= TRUE_SECONDS + SHOWN_SECONDS
        assert said(server) == PULL.waiting


async def test_whoever_takes_over_explains_it_too() -> None:
    server = ApiServer(programs=lambda _: PULL)
    apply(server, step("a"))
    async with operator(server, "one"):
        await until(lambda: server.all("pods"))
    assert inquiries(server, "one") == []
    async with operator(server, "two"):
        await until(lambda: said(server) == PULL.waiting)
    assert inquiries(server, "two")


async def test_an_attempt_that_was_given_up_is_explained_no_longer() -> None:
    server = ApiServer(programs=lambda _: PULL)
    apply(server, step("a", startTimeout="10s"))
    async with operator(server):
        await until(lambda: said(server) == PULL.waiting)
        assert await ended(server) == "Failed"
        asked = len(inquiries(server))
        await asyncio.sleep(60)
    assert len(inquiries(server)) == asked
    assert PULL.waiting in status(server)["failed"][0]["message"]


# -- what it costs --------------------------------------------------------------------------------------------


async def test_while_something_is_late_it_is_asked_for_no_more_often_than_said() -> None:
    server = ApiServer(programs=lambda _: MOUNT)
    apply(server, *(step(f"s{n}") for n in range(20)))
    async with operator(server):
        await asyncio.sleep(60)
    pods = [sent.time for sent in inquiries(server) if "/pods" in sent.path]
    notices = [sent.time for sent in inquiries(server) if "/events" in sent.path]
    assert min(later - earlier for earlier, later in pairwise(pods)) >= PAUSE_SECONDS
    assert 20 <= len(pods) <= 60 / PAUSE_SECONDS
    assert len(notices) <= NOTICES_READ_MAX * len(pods)
    assert all(said(server, f"s{n}") == MOUNT.notice for n in range(20))


@pytest.mark.proof
async def test_what_is_told_once_is_read_again_ever_more_rarely() -> None:
    server = ApiServer(programs=lambda _: MOUNT)
    apply(server, step("a"))
    async with operator(server):
        await asyncio.sleep(600)
    assert 10 <= len([sent for sent in inquiries(server) if "/events" in sent.path]) <= 15


async def test_an_api_server_that_is_slow_is_asked_less_often() -> None:
    server = ApiServer(programs=lambda _: PULL, latency_seconds=1.0)
    apply(server, step("a"))
    async with operator(server):
        await until(lambda: said(server))
        await asyncio.sleep(60)
    assert len(inquiries(server)) <= 14


async def test_a_request_that_fails_is_silent_and_counted_and_the_run_goes_on() -> None:
    def lost(_index: int, request: Any) -> TimeoutNotDone | None:
        return TimeoutNotDone(seconds=0.5) if request.query.get("fieldSelector") == PENDING else None

    slow = Program(run_seconds=1.0, start_seconds=20.0)
    server = ApiServer(programs=lambda pod: PULL if step_of(pod) == "a" else slow)
    server.faults = lambda index, request: lost(index, request) if server.time() < 20 else None
    apply(server, step("a"), step("b"), step("c", "b"))
    async with operator(server) as engine:
        await asyncio.sleep(19)
        counted = engine._services.telemetry.inquiries
        assert counted.labels(result="failed")._value.get() >= 3
        assert counted.labels(result="answered")._value.get() == 0
        assert said(server) == ""
        await until(lambda: said(server) == PULL.waiting)
        await until(lambda: status(server)["counts"]["succeeded"] == 2)


class OneAtATime(FakeTransport):
    """Counts what is under way at once."""

    under_way = most = 0

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await super().send(request, timeout_seconds=timeout_seconds)
        finally:
            self.under_way -= 1


@pytest.mark.proof
async def test_a_thousand_late_attempts_cost_as_many_requests_as_a_few() -> None:
    server = ApiServer(programs=lambda _: NODES)
    transport = OneAtATime(server, "one", faulty=False, faults=None)
    kube = PendingKube(transport)
    observer, told = Observer(kube), dict[str, str]()
    explainer = Explainer(kube, observer, lambda _: None)
    for number in range(1_000):
        uid, job = f"w{number % 3}", f"job-{number:04}"
        labels = {MANAGED_BY_LABEL: MANAGED_BY, "kipu.dev/workflow-uid": uid, "batch.kubernetes.io/job-name": job}
        pod = {"kind": "Pod", "metadata": {"name": job, "labels": labels}, "spec": {"containers": [{"name": "main"}]}}
        server.create(pod)
        observer.saw_job(JobView(metadata=AttemptMetadata(name=job, uid=job, labels=Labels(workflow_uid=uid))))
        stream = StreamId(namespace="default", name=uid, uid=uid)
        explainer.expect(stream, job, job, told.__setitem__)
    running = asyncio.create_task(explainer.run())
    await until(lambda: len(told) == 1_000)
    assert server.time() <= LATE_SECONDS + 2 * PAUSE_SECONDS
    await asyncio.sleep(60)
    running.cancel()
    assert set(told.values()) == {f"Unschedulable: {NODES.unschedulable}"}
    assert transport.most == 1
    assert len(inquiries(server)) <= server.time() / PAUSE_SECONDS


def step_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["kipu.dev/step"])


# -- which notice tells ---------------------------------------------------------------------------------------


def notice(reason: str, at: str, *, kind: str = "Warning", **fields: Any) -> NoticeView:
    return NoticeView(metadata=Metadata(), type=kind, reason=reason, note="n", deprecated_last_timestamp=at, **fields)


@pytest.mark.parametrize(
    ("notices", "words"),
    [
        ([], ""),
        ([notice("FailedMount", "2026-11-24T03:00:05Z")], "FailedMount: n"),
        ([notice("Old", "2026-11-24T03:00:05Z"), notice("New", "2026-11-24T03:00:06Z")], "New: n"),
        ([notice("FailedMount", "2026-11-24T03:00:05Z"), notice("Pulled", "2026-11-24T03:00:06Z", kind="Normal")], ""),
        ([notice("Pulling", "2026-11-24T03:00:06Z", kind="Normal")], "Pulling: n"),
        (
            [
                NoticeView(metadata=Metadata(), type="Normal", reason="Scheduled", event_time="2026-11-24T03:00:05.9Z"),
                notice("FailedMount", "2026-11-24T03:00:05Z"),
            ],
            "FailedMount: n",
        ),
    ],
)
def test_the_last_notice_tells_if_it_is_a_warning_or_a_pull(notices: list[NoticeView], words: str) -> None:
    assert telling(notices) == words
    assert telling(notices[::-1]) == words
