"""What the fake cluster promises its tests beyond the conformance suite: faults, nodes, records, determinism."""

from __future__ import annotations

import asyncio

import looptime
import pytest

from kipu.eventlog.ports import Unanswered
from kipu.shell.kube import Kube
from kipu.shell.kube_views import JobView, PodView
from tests.conformance.world import config_map, job
from tests.fakes.admission import Attempt
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Json
from tests.fakes.faults import CrashAfter, CrashBefore, Fault
from tests.fakes.nodes import EVICTION_SECONDS, Program
from tests.fakes.refusals import Refused

pytestmark = pytest.mark.looptime


def cluster(program: Program) -> tuple[ApiServer, Kube]:
    """Every pod runs `program`."""
    server = ApiServer(seed=3, programs=lambda pod: program)
    return server, Kube(server.connect(user="operator"))


async def started(kube: Kube, seconds: float = 1.0) -> PodView:
    """The one pod of Job a, `seconds` after its creation."""
    assert (await kube.create_job("default", job("a", Program()))).status == 201
    await asyncio.sleep(seconds)
    (pod,) = await kube.list_pods("default", "")
    return pod


async def ended(kube: Kube) -> JobView:
    view = await kube.get_job("default", "a")
    while view is None or not any(each.type in ("Complete", "Failed") for each in view.status.conditions):
        await asyncio.sleep(0.1)
        view = await kube.get_job("default", "a")
    return view


@pytest.mark.parametrize("kind", [CrashBefore, CrashAfter])
async def test_a_crash_calls_back_and_never_answers(kind: type[CrashBefore] | type[CrashAfter]) -> None:
    server, kube = cluster(Program())
    task = asyncio.ensure_future(kube.create_config_map("default", config_map("a")))

    def crash() -> None:
        task.cancel()

    server.faults = lambda index, request: kind(crash=crash)
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(server.all("configmaps")) == (kind is CrashAfter)


async def test_faults_count_the_writes_of_each_user_apart() -> None:
    server, kube = cluster(Program())
    asked: list[tuple[int, str]] = []

    def hook(index: int, request: object) -> Fault | None:
        asked.append((index, type(request).__name__))
        return None

    server.faults = hook
    other = Kube(server.connect(user="tester", faulty=False))
    for name in ("a", "b"):
        await other.create_config_map("default", config_map(f"{name}-other"))
        await kube.create_config_map("default", config_map(name))
        await kube.get_config_map("default", name)
    assert [index for index, _ in asked] == [0, 1, 1, 2]


async def test_every_write_is_recorded_with_its_user() -> None:
    server, kube = cluster(Program(run_seconds=0))
    await started(kube)
    await ended(kube)
    users = {sent.user for sent in server.requests if sent.is_write}
    assert users == {"operator", "job-controller", "kubelet"}
    assert [sent.method for sent in server.writes("operator")] == ["POST"]


async def test_executions_count_what_really_ran() -> None:
    server, kube = cluster(Program(run_seconds=2, exit_code=5))
    pod = await started(kube)
    (execution,) = server.executions
    assert (execution.job, execution.pod_uid, execution.ended) == ("a", pod.metadata.uid, None)
    await ended(kube)
    assert (execution.exit_code, (execution.ended or 0) - execution.started) == (5, 2_000)


@pytest.mark.parametrize(
    ("program", "phase", "why"),
    [
        (Program(waiting="ImagePullBackOff"), "Pending", "ImagePullBackOff"),
        (Program(unschedulable="0/3 nodes are available"), "Pending", "Unschedulable"),
    ],
)
async def test_a_pod_that_cannot_start_says_why_and_goes_when_deleted(program: Program, phase: str, why: str) -> None:
    server, kube = cluster(program)
    pod = await started(kube)
    waiting = [each.state.waiting.reason for each in pod.status.container_statuses if each.state.waiting]
    unmet = [each.reason for each in pod.status.conditions if each.status == "False"]
    assert (pod.status.phase, [*waiting, *unmet]) == (phase, [why])
    view = await kube.get_job("default", "a")
    assert view is not None
    await kube.delete_job("default", "a", view.metadata.uid)
    while server.all("jobs"):
        await asyncio.sleep(0.1)
    assert server.all("pods") == []
    assert server.executions == []


async def test_a_lost_node_is_silent_until_it_is_back() -> None:
    server, kube = cluster(Program(run_seconds=5))
    await started(kube)
    server.nodes.lose("node-1")
    await asyncio.sleep(60)
    assert server.executions[0].ended is not None  # it ran to its end
    (pod,) = await kube.list_pods("default", "")
    assert pod.status.phase == "Running"
    server.nodes.recover("node-1")
    view = await ended(kube)
    assert view.status.succeeded == 1


async def test_a_node_that_stays_lost_has_its_pods_evicted_but_not_removed() -> None:
    server, kube = cluster(Program(run_seconds=5))
    await started(kube)
    server.nodes.lose("node-1")
    await asyncio.sleep(EVICTION_SECONDS + 60)
    (pod,) = await kube.list_pods("default", "")
    assert pod.metadata.deletion_timestamp is not None
    assert "DisruptionTarget" in {each.type for each in pod.status.conditions}
    server.nodes.recover("node-1")
    await asyncio.sleep(5)
    assert await kube.list_pods("default", "") == []


async def test_an_evicted_pod_says_so_and_fails() -> None:
    server, kube = cluster(Program(run_seconds=600))
    pod = await started(kube)
    phases: list[tuple[str, bool]] = []

    def note(change: object) -> None:
        body: Json | None = server.get("pods", "default", pod.metadata.name)
        if body is not None:
            target = any(each["type"] == "DisruptionTarget" for each in body["status"]["conditions"])
            phases.append((body["status"]["phase"], target))

    server.etcd.listeners.append(note)
    server.nodes.evict("default", pod.metadata.name)
    view = await ended(kube)
    assert view.status.failed == 1
    assert ("Failed", True) in phases


async def test_a_preempted_pod_says_so_and_fails() -> None:
    server, kube = cluster(Program(run_seconds=600))
    pod = await started(kube)
    server.nodes.preempt("default", pod.metadata.name)
    (pod,) = await kube.list_pods("default", "")
    assert [each.reason for each in pod.status.conditions if each.type == "DisruptionTarget"] == [
        "PreemptionByScheduler"
    ]
    assert pod.metadata.deletion_timestamp is not None
    view = await ended(kube)
    assert view.status.failed == 1


async def test_a_kubelet_short_of_memory_fails_a_pod_and_leaves_it_there() -> None:
    server, kube = cluster(Program(run_seconds=600))
    pod = await started(kube)
    server.nodes.evict_under_pressure("default", pod.metadata.name)
    view = await ended(kube)
    assert view.status.failed == 1
    (pod,) = await kube.list_pods("default", "")
    assert (pod.status.phase, pod.status.reason) == ("Failed", "Evicted")
    assert [each.reason for each in pod.status.conditions if each.type == "DisruptionTarget"] == [
        "TerminationByKubelet"
    ]
    assert pod.metadata.deletion_timestamp is None


async def test_a_create_may_lose_to_another_one_under_the_same_quota() -> None:
    """Rare on a real server, which tries three times first; the words are those of its quota evaluator."""
    server, kube = cluster(Program())
    server.create({"kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "5"}}})
    await asyncio.sleep(1)
    server.admission.contends = iter([True, False]).__next__
    lost = await kube.create_config_map("default", config_map("a"))
    assert (lost.status, lost.reason) == (409, "Conflict")
    assert 'Operation cannot be fulfilled on resourcequotas "few"' in lost.message
    assert (await kube.create_config_map("default", config_map("a"))).status == 201


async def test_a_create_that_fails_has_used_its_quota_until_it_is_counted_again() -> None:
    """The quota is used before the store is asked; the quota controller counts every five minutes."""
    server, kube = cluster(Program())
    server.create({"kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "2"}}})
    await asyncio.sleep(1)
    for status in (201, 409, 403):
        assert (await kube.create_config_map("default", config_map("a"))).status == status
    await asyncio.sleep(300)
    assert (await kube.create_config_map("default", config_map("b"))).status == 201


async def test_after_a_restore_the_controllers_take_up_what_is_there_again() -> None:
    """They are started anew with the store: what they wrote in the lost future binds them no longer."""
    server, kube = cluster(Program(run_seconds=5))
    await started(kube)
    revision = server.etcd.revision
    first = await ended(kube)
    server.restore(revision)
    restored = await kube.get_job("default", "a")
    assert restored is not None
    assert not restored.status.conditions
    async with asyncio.timeout(600):
        again = await ended(kube)
    assert [each.type for each in again.status.conditions] == [each.type for each in first.status.conditions]
    assert (again.status.succeeded, len(server.executions)) == (1, 1)


async def test_a_policy_sees_who_writes_what() -> None:
    server, kube = cluster(Program(run_seconds=0))
    seen: list[tuple[str, str, str]] = []

    def note(attempt: Attempt) -> Refused | None:
        seen.append((attempt.user, attempt.verb, attempt.kind.plural))
        return attempt.denied("guard", "no", reason="Forbidden") if attempt.name == "b" else None

    server.admission.policies.append(note)
    assert (await kube.create_config_map("default", config_map("a"))).status == 201
    assert (await kube.create_config_map("default", config_map("b"))).status == 403
    await started(kube)
    await ended(kube)
    assert seen[:2] == [("operator", "create", "configmaps")] * 2
    assert {("job-controller", "create", "pods"), ("kubelet", "update", "pods")} <= set(seen)


async def test_a_cut_off_user_is_unanswered_and_the_others_are_not() -> None:
    server, kube = cluster(Program())
    transport = server.connect(user="second")
    second = Kube(transport)
    transport.is_cut = True
    with pytest.raises(Unanswered):
        await second.create_config_map("default", config_map("a"))
    assert (await kube.create_config_map("default", config_map("a"))).status == 201
    transport.is_cut = False
    assert (await second.get_config_map("default", "a")).status == 200


def test_the_same_seed_gives_the_same_history() -> None:
    assert _history(1) == _history(1)
    assert _history(1) != _history(2)


def _history(seed: int) -> list[tuple[float, str, str, str]]:
    """Of a world of its own, to the last bit of every time."""
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(_six_jobs(seed))
    finally:
        loop.close()


async def _six_jobs(seed: int) -> list[tuple[float, str, str, str]]:
    server = ApiServer(seed=seed)
    kube = Kube(server.connect(user="operator"))
    await asyncio.gather(*(kube.create_job("default", job(name, Program())) for name in "abcdef"))
    await asyncio.sleep(10)
    assert len(server.executions) == 6
    return [(sent.time, sent.user, sent.method, sent.path) for sent in server.requests]
