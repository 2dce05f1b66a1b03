"""The client's calls on the fake: what is sent, what is retried, what an answer means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kipu.eventlog.ports import Unanswered
from kipu.shell import kube as client
from kipu.shell.kube import READ_TRIES_MAX, Kube
from kipu.shell.kube_http import Reply, Request
from tests.conformance.world import config_map, job
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Delayed, Duplicated, Fault, Status, TimeoutDone, TimeoutNotDone
from tests.fakes.nodes import Program
from tests.kube.conftest import Counts

pytestmark = pytest.mark.looptime
NOBODY = "00000000-0000-4000-8000-000000000000"


def always(server: ApiServer, fault: Fault, times: int = 1_000) -> None:
    """The next `times` requests suffer `fault`."""
    left = iter(range(times))
    server.faults = lambda index, request: fault if next(left, None) is not None else None


def elapsed(begun: float) -> float:
    return asyncio.get_running_loop().time() - begun


# -- writes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [409, 422, 429, 500, 503, 504])
async def test_a_write_is_sent_once_and_every_status_is_an_answer(
    server: ApiServer, kube: Kube, counts: Counts, code: int
) -> None:
    always(server, Status(code=code, reason="Because", retry_after_seconds=1))
    answer = await kube.create_config_map("default", config_map("a"))
    assert (answer.status, answer.reason) == (code, "Because")
    assert counts == {("create", "configmaps", str(code)): 1}


async def test_a_write_without_an_answer_is_unanswered_and_not_sent_again(
    server: ApiServer, kube: Kube, counts: Counts
) -> None:
    always(server, TimeoutDone())
    with pytest.raises(Unanswered):
        await kube.create_config_map("default", config_map("a"))
    assert counts == {("create", "configmaps", "unanswered"): 1}
    assert len(server.writes("operator")) == 1
    assert server.get("configmaps", "default", "a") is not None


async def test_who_may_not_write_sends_no_write_and_reads_on(server: ApiServer, counts: Counts) -> None:
    may_write = True
    kube = Kube(server.connect(user="operator"), may_write=lambda: may_write)
    created = await kube.create_job("default", job("a", Program(), suspend=True))
    uid = str(created.body["metadata"]["uid"])  # type: ignore[index]
    may_write = False
    for refused in (
        kube.create_config_map("default", config_map("a")),
        kube.patch_config_map("default", "a", []),
        kube.delete_job("default", "a", uid),
        kube.patch_workflow_status("default", "a", NOBODY, {}, resource_version="1"),
        kube.create_event("default", {}),
    ):
        with pytest.raises(Unanswered, match="does not lead"):
            await refused
    assert len(server.writes("operator")) == 1
    assert await kube.get_job("default", "a") is not None


async def test_a_lost_write_is_not_done_and_a_delayed_one_lands_later(server: ApiServer, kube: Kube) -> None:
    always(server, TimeoutNotDone(seconds=3), times=1)
    with pytest.raises(Unanswered):
        await kube.create_config_map("default", config_map("a"))
    assert server.all("configmaps") == []
    always(server, Delayed(seconds=5), times=1)
    with pytest.raises(Unanswered):
        await kube.create_config_map("default", config_map("a"))
    assert server.all("configmaps") == []
    await asyncio.sleep(6)
    assert len(server.all("configmaps")) == 1


async def test_a_duplicated_create_is_one_object(server: ApiServer, kube: Kube) -> None:
    always(server, Duplicated(seconds=1), times=1)
    assert (await kube.create_config_map("default", config_map("a"))).status == 201
    await asyncio.sleep(2)
    assert [sent.status for sent in server.writes("operator")] == [201, 409]


async def test_a_jobs_delete_always_names_its_uid_and_is_foreground(server: ApiServer, kube: Kube) -> None:
    created = await kube.create_job("default", job("a", Program(), suspend=True))
    uid = str(created.body["metadata"]["uid"])  # type: ignore[index]
    await kube.delete_job("default", "a", uid)
    body = server.writes("operator")[-1].body
    assert body is not None
    assert json.loads(body) == {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}


async def test_a_config_maps_delete_always_names_its_uid(server: ApiServer, kube: Kube) -> None:
    created = await kube.create_config_map("default", config_map("a"))
    uid = str(created.body["metadata"]["uid"])  # type: ignore[index]
    assert (await kube.delete_config_map("default", "a", NOBODY)).status == 409
    assert (await kube.delete_config_map("default", "a", uid)).status == 200
    body = server.writes("operator")[-1].body
    assert body is not None
    assert json.loads(body) == {"preconditions": {"uid": uid}}
    assert server.all("configmaps") == []


async def test_a_status_that_the_schema_refuses_is_not_taken_for_a_namesake(kube: Kube) -> None:
    refusal = {"code": 422, "reason": "Invalid", "message": "bad", "details": {"causes": [{"field": "status.phase"}]}}
    scripted = Kube(_Scripted(422, json.dumps(refusal).encode()))
    answer = await scripted.patch_workflow_status("n", "a", NOBODY, {}, resource_version="1")
    assert (answer.status, answer.reason, answer.message) == (422, "Invalid", "bad")


async def test_names_are_quoted_in_paths(server: ApiServer, kube: Kube) -> None:
    assert (await kube.get_config_map("default", "a/../b?c#d%e")).status == 404
    assert server.requests[-1].path == "/api/v1/namespaces/default/configmaps/a%2F..%2Fb%3Fc%23d%25e"


async def test_an_answer_that_is_no_object_is_told_as_it_is(server: ApiServer) -> None:
    answer = await Kube(_Scripted(502, b"<html>Bad Gateway")).create_job("default", {})
    assert (answer.status, answer.reason) == (502, "")
    assert answer.body == {"message": "<html>Bad Gateway"}
    with pytest.raises(Unanswered):
        await Kube(_Scripted(201, b"<html>hello")).create_job("default", {})
    with pytest.raises(Unanswered):
        await Kube(_Scripted(200, b"[]")).get_config_map("default", "a")


class _Scripted:
    """A Transport that always answers the same."""

    def __init__(self, status: int, body: bytes) -> None:
        self._reply = Reply(status=status, headers={}, body=body)

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        return self._reply

    @asynccontextmanager
    async def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        yield self._reply.status, _nothing()

    async def close(self) -> None: ...


async def _nothing() -> AsyncIterator[bytes]:
    lines: tuple[bytes, ...] = ()
    for line in lines:
        yield line


@pytest.mark.parametrize(("told", "seconds"), [(None, 0.0), (3, 3.0), (86_400, 10.0)])
async def test_a_write_that_is_told_to_come_again_later_is_answered_only_then(
    server: ApiServer, kube: Kube, told: int | None, seconds: float
) -> None:
    """Priority and fairness says so: whoever tries again at the answer does not come too early."""
    always(server, Status(code=429, retry_after_seconds=told), times=1)
    begun = asyncio.get_running_loop().time()
    assert (await kube.create_job("default", job("a", Program()))).status == 429
    assert seconds <= elapsed(begun) < seconds + 0.1
    assert await kube.get_job("default", "a") is None


# -- reads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Status(code=500), Status(code=503), Status(code=429), TimeoutNotDone()])
async def test_a_read_tries_again_until_it_is_answered(
    server: ApiServer, kube: Kube, counts: Counts, fault: Fault
) -> None:
    await kube.create_job("default", job("a", Program(), suspend=True))
    always(server, fault, times=READ_TRIES_MAX - 1)
    view = await kube.get_job("default", "a")
    assert view is not None
    assert sum(count for (verb, _, _), count in counts.items() if verb == "get") == READ_TRIES_MAX


@pytest.mark.parametrize("fault", [Status(code=500), TimeoutNotDone()])
async def test_a_read_gives_up_after_a_bound(server: ApiServer, kube: Kube, counts: Counts, fault: Fault) -> None:
    always(server, fault)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(Unanswered):
        await kube.get_job("default", "a")
    assert sum(counts.values()) == READ_TRIES_MAX
    assert elapsed(begun) < 2.0


async def test_a_read_waits_as_long_as_it_is_told_to_but_not_for_ever(server: ApiServer, kube: Kube) -> None:
    always(server, Status(code=429, retry_after_seconds=3), times=1)
    begun = asyncio.get_running_loop().time()
    assert await kube.get_job("default", "a") is None
    assert 3.0 <= elapsed(begun) < 3.1
    always(server, Status(code=429, retry_after_seconds=86_400), times=1)
    begun = asyncio.get_running_loop().time()
    assert await kube.get_job("default", "a") is None
    assert 10.0 <= elapsed(begun) < 10.1


async def test_a_refused_read_proves_no_absence(server: ApiServer, kube: Kube, counts: Counts) -> None:
    always(server, Status(code=403, reason="Forbidden"))
    with pytest.raises(Unanswered, match="403 Forbidden"):
        await kube.get_job("default", "a")
    with pytest.raises(Unanswered, match="403 Forbidden"):
        await kube.list_pods("default", "")
    assert counts == {("get", "jobs", "403"): 1, ("list", "pods", "403"): 1}


async def test_a_config_map_is_read_once(server: ApiServer, kube: Kube, counts: Counts) -> None:
    """The log itself decides what to do next."""
    always(server, Status(code=500))
    assert (await kube.get_config_map("default", "a")).status == 500
    assert counts == {("get", "configmaps", "500"): 1}


async def test_no_read_names_a_version(server: ApiServer, kube: Kube) -> None:
    await kube.get_config_map("default", "a")
    await kube.get_job("default", "a")
    await kube.get_workflow("default", "a")
    await kube.list_pods("default", "x=y")
    await kube.list_workflows()
    await kube.list_config_maps("default", "x=y")
    paths = [sent.path for sent in server.requests]
    assert len(paths) == 6
    assert not any("resourceVersion" in path for path in paths)


async def test_a_long_list_is_read_in_pages(server: ApiServer, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LIST_LIMIT", 3)
    for number in range(10):
        server.create({"kind": "Workflow", "metadata": {"name": f"w{number}"}})
    views = await kube.list_workflows()
    assert [view.metadata.name for view in views] == [f"w{number}" for number in range(10)]
    assert len(server.requests) == 10 + 4


async def test_a_list_whose_token_expires_begins_anew_a_bounded_number_of_times(
    server: ApiServer, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LIST_LIMIT", 2)
    for number in range(3):
        server.create({"kind": "Workflow", "metadata": {"name": f"w{number}"}})
    expiries = iter(range(2))

    def expiring(index: int, request: Request) -> Fault | None:
        if "continue" in request.query and next(expiries, None) is not None:
            return Status(code=410, reason="Expired")
        return None

    server.faults = expiring
    assert len(await kube.list_workflows()) == 3
    expiries = iter(range(100))
    with pytest.raises(Unanswered, match="expired"):
        await kube.list_workflows()


async def test_pods_are_listed_by_label(server: ApiServer, kube: Kube) -> None:
    for name in ("a", "b"):
        await kube.create_job("default", job(name, Program()))
    await asyncio.sleep(1)
    (pod,) = await kube.list_pods("default", "batch.kubernetes.io/job-name in (b)")
    assert pod.metadata.labels.job_name == "b"
    assert await kube.list_pods("elsewhere", "") == []


async def test_the_crd_is_awaited_by_discovery(server: ApiServer, kube: Kube) -> None:
    assert await kube.serves_workflows()
    server.wire.serves_workflows = False
    assert not await kube.serves_workflows()


async def test_a_partition_answers_nothing(server: ApiServer) -> None:
    transport = server.connect(user="operator")
    transport.is_cut = True
    with pytest.raises(Unanswered):
        await Kube(transport).create_config_map("default", config_map("a"))
    assert server.requests == []
