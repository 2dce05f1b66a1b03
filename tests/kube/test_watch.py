"""List and watch under every fault: nothing lost, nothing twice, no end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from kipu.shell import kube as client
from kipu.shell.keepsakes import trimmed
from kipu.shell.kube import Kube
from kipu.shell.kube_http import Request
from kipu.shell.kube_views import AttemptMetadata, JobView, Labels, WorkflowView
from kipu.shell.watch import JOBS, SILENCE_SECONDS, WORKFLOWS, Change, list_and_watch
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Fault, Status, TimeoutNotDone
from tests.fakes.watching import End

pytestmark = pytest.mark.looptime
PATIENCE_SECONDS = 86_400.0  # of virtual time: a feed that will never tell fails its test instead of hanging in it


class Feed:
    """One list-and-watch, with what it has told so far."""

    def __init__(self, kube: Kube, label_selector: str = "") -> None:
        self.told: list[tuple[str, str]] = []  # change and name, but for Synced
        self.syncs = 0
        self.names: set[str] = set()  # what its reader believes to be there
        self._news = asyncio.Event()
        self._changes = list_and_watch(kube, WORKFLOWS, label_selector=label_selector)
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._read(self._changes))

    async def _read(self, changes: AsyncIterator[Change[WorkflowView]]) -> None:
        async for change in changes:
            if change.view is None:
                self.syncs += 1
            else:
                self.told.append((change.kind, change.view.metadata.name))
                (self.names.discard if change.kind == "Deleted" else self.names.add)(change.view.metadata.name)
            self._news.set()

    async def until(self, *, names: str | None = None, syncs: int = 0) -> None:
        """Until it believes in just these names (of one letter each) and has synced so often."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (names is not None and self.names != set(names)) or self.syncs < syncs:
                self._news.clear()
                await self._news.wait()

    async def synced(self) -> None:
        """Begin, and go on once a and b are told and the watch has stood for a while."""
        self.begin()
        await self.until(names="ab", syncs=1)
        await asyncio.sleep(2)

    async def close(self) -> None:
        assert self._task is not None
        assert not self._task.done()
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def feed(server: ApiServer, kube: Kube) -> AsyncIterator[Feed]:
    """Of a cluster with the Workflows a and b. Not begun: virtual time begins with the test's body."""
    create(server, "ab")
    feed = Feed(kube)
    yield feed
    await feed.close()


def create(server: ApiServer, names: str, **labels: str) -> None:
    for name in names:
        server.create({"kind": "Workflow", "metadata": {"name": name, "labels": labels}, "spec": {"n": 0}})


def edit(server: ApiServer, name: str, number: int = 1) -> None:
    server.update("workflows", "default", name, lambda body: {**body, "spec": {"n": number}})


def delete(server: ApiServer, name: str) -> None:
    server.delete("workflows", "default", name)


def lists_and_watches(server: ApiServer) -> tuple[int, int]:
    paths = [sent.path for sent in server.requests if sent.user == "operator" and sent.method == "GET"]
    watches = [path for path in paths if "watch=true" in path]
    return len(paths) - len(watches), len(watches)


def fail_watches(server: ApiServer, fault: Fault, times: int) -> None:
    """The next `times` watch requests suffer `fault`."""
    left = iter(range(times))

    def hook(index: int, request: Request) -> Fault | None:
        return fault if request.query.get("watch") and next(left, None) is not None else None

    server.faults = hook


async def test_changes_are_told_in_their_order(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    edit(server, "a")
    create(server, "c")
    delete(server, "b")
    edit(server, "c")
    await feed.until(names="ac")
    await asyncio.sleep(1)
    listed = [("Added", "a"), ("Added", "b")]
    assert feed.told == [*listed, ("Modified", "a"), ("Added", "c"), ("Deleted", "b"), ("Modified", "c")]
    assert feed.syncs == 1


@pytest.mark.parametrize("how", [End.CLOSED, End.RESET])
async def test_a_watch_that_is_cut_resumes_without_a_list(server: ApiServer, feed: Feed, how: End) -> None:
    await feed.synced()
    assert server.end_watches(how) == 1
    edit(server, "a")
    delete(server, "b")
    create(server, "c")
    await feed.until(names="ac")
    assert feed.told[2:] == [("Modified", "a"), ("Deleted", "b"), ("Added", "c")]
    assert lists_and_watches(server) == (1, 2)


async def test_the_end_that_the_server_set_is_followed_by_the_next_watch(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    await asyncio.sleep(3_600)
    create(server, "c")
    await feed.until(names="abc")
    lists, watches = lists_and_watches(server)
    assert lists == 1
    assert 3_600 / 648 <= watches <= 3_600 / 540 + 2


async def test_a_mute_watch_is_given_up_and_nothing_is_lost(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    edit(server, "a")
    await asyncio.sleep(1)
    server.end_watches(End.MUTE)
    create(server, "c")
    delete(server, "b")
    begun = asyncio.get_running_loop().time()
    await feed.until(names="ac")
    assert asyncio.get_running_loop().time() - begun < SILENCE_SECONDS + 1


async def test_a_quiet_watch_is_kept_alive_by_bookmarks(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    await asyncio.sleep(500)
    assert lists_and_watches(server) == (1, 1)


async def test_bookmarks_spare_a_list_after_a_compaction(server: ApiServer, feed: Feed) -> None:
    """The version moves on although nothing of the selection changes."""
    await feed.synced()
    for number in range(5):
        server.create({"kind": "ConfigMap", "metadata": {"name": f"other-{number}"}})
    await asyncio.sleep(61)
    server.etcd.compact()
    server.end_watches(End.CLOSED)
    create(server, "c")
    await feed.until(names="abc")
    assert lists_and_watches(server) == (1, 2)


@pytest.mark.parametrize("form", ["event", "status"])
async def test_410_means_a_new_list_and_the_vanished_are_told(server: ApiServer, feed: Feed, form: str) -> None:
    await feed.synced()
    if form == "status":
        fail_watches(server, Status(code=410, reason="Expired"), times=1)
    server.end_watches(End.CLOSED)
    delete(server, "b")
    edit(server, "a")
    create(server, "c")
    if form == "event":
        server.etcd.compact()
    await feed.until(names="ac", syncs=2)
    assert sorted(feed.told[2:]) == [("Added", "c"), ("Deleted", "b"), ("Modified", "a")]
    assert lists_and_watches(server)[0] == 2


async def test_a_deletion_is_told_once(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    delete(server, "b")
    await feed.until(names="a")
    fail_watches(server, Status(code=410, reason="Expired"), times=1)
    server.end_watches(End.CLOSED)
    await feed.until(syncs=2)
    assert feed.told.count(("Deleted", "b")) == 1


async def test_a_new_list_does_not_repeat_what_is_known(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    fail_watches(server, Status(code=410, reason="Expired"), times=1)
    server.end_watches(End.CLOSED)
    await feed.until(syncs=2)
    assert feed.told == [("Added", "a"), ("Added", "b")]


async def test_a_namesake_after_a_gap_is_a_new_object_and_the_old_one_is_deleted(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    server.end_watches(End.CLOSED)
    delete(server, "b")
    create(server, "b")
    server.etcd.compact()
    await feed.until(syncs=2)
    assert feed.told[2:] == [("Added", "b"), ("Deleted", "b")]


async def test_another_error_event_resumes(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    server.watches[0].fail(500, "InternalError", "etcd is away")
    create(server, "c")
    await feed.until(names="abc")
    assert lists_and_watches(server) == (1, 2)


async def test_a_broken_line_resumes(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    server.watches[0].say_raw(b'{"type":"ADDED","object":{"metadata":{"name":"hal')
    create(server, "c")
    await feed.until(names="abc")
    assert feed.told[2:] == [("Added", "c")]
    assert lists_and_watches(server) == (1, 2)


async def test_a_version_that_is_refused_again_and_again_is_dropped(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    fail_watches(server, Status(code=500), times=3)
    server.end_watches(End.CLOSED)
    await feed.until(syncs=2)
    create(server, "c")
    await feed.until(names="abc")
    assert lists_and_watches(server)[0] == 2


@pytest.mark.proof
@pytest.mark.parametrize("fault", [Status(code=403), Status(code=503), Status(code=429), TimeoutNotDone()])
async def test_hours_of_refusal_do_not_end_it_and_do_not_hammer(server: ApiServer, feed: Feed, fault: Fault) -> None:
    await feed.synced()
    refused = Counter[str]()

    def hook(index: int, request: Request) -> Fault | None:
        refused[request.path] += 1
        return fault

    server.faults = hook
    server.end_watches(End.RESET)
    await asyncio.sleep(3_600)
    create(server, "c")
    delete(server, "a")
    server.faults = lambda index, request: None
    await feed.until(names="bc")
    assert sum(refused.values()) < 3_600  # at most 5 s apart once it fails, four tries a list


async def test_a_server_that_closes_at_once_is_not_hammered(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    begun = lists_and_watches(server)[1]
    for _ in range(600):
        server.end_watches(End.CLOSED)
        await asyncio.sleep(0.1)
    assert lists_and_watches(server)[1] - begun < 60
    create(server, "c")
    await feed.until(names="abc")


async def test_an_expired_continue_token_begins_the_list_anew(
    server: ApiServer, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LIST_LIMIT", 2)
    create(server, "abcde")
    compactions = iter(range(2))

    def hook(index: int, request: Request) -> Fault | None:
        if "continue" in request.query and next(compactions, None) is not None:
            server.update("workflows", "default", "a", lambda body: {**body, "spec": {"n": body["spec"]["n"] + 1}})
            server.etcd.compact()
        return None

    server.faults = hook
    feed = Feed(kube)
    feed.begin()
    await feed.until(names="abcde", syncs=1)
    assert sorted(name for kind, name in feed.told if kind == "Added") == list("abcde")
    assert lists_and_watches(server)[0] == 2 + 2 + 3  # two lists broken off at their second page, and a whole one
    await feed.close()


async def test_a_deletion_during_the_pages_of_a_list_is_told_by_the_watch(
    server: ApiServer, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LIST_LIMIT", 1)
    create(server, "abc")

    def hook(index: int, request: Request) -> Fault | None:
        if "continue" in request.query and server.get("workflows", "default", "c") is not None:
            delete(server, "c")
        return None

    server.faults = hook
    feed = Feed(kube)
    feed.begin()
    await feed.until(names="ab", syncs=1)
    assert ("Added", "c") in feed.told
    assert feed.told[-1] == ("Deleted", "c")
    await feed.close()


async def test_a_restored_store_that_falls_silent_is_noticed(server: ApiServer, feed: Feed) -> None:
    """Its versions are behind ours, so the API server says nothing at all, not even by bookmarks."""
    await feed.synced()
    revision = server.etcd.revision
    create(server, "cd")
    edit(server, "a")
    await feed.until(names="abcd")
    server.end_watches(End.CLOSED)
    server.etcd.restore(revision)
    await feed.until(names="ab", syncs=2)
    assert {("Deleted", "c"), ("Deleted", "d"), ("Modified", "a")} <= set(feed.told)


async def test_a_restored_store_that_counts_backwards_is_noticed_at_once(server: ApiServer, feed: Feed) -> None:
    await feed.synced()
    revision = server.etcd.revision
    create(server, "cd")
    await feed.until(names="abcd")
    server.etcd.restore(revision)
    edit(server, "a")
    begun = asyncio.get_running_loop().time()
    await feed.until(names="ab", syncs=2)
    assert asyncio.get_running_loop().time() - begun < 1.0


async def test_after_a_restore_under_a_live_server_lists_tell_the_lost_future_and_a_read_of_one_does_not(
    server: ApiServer, kube: Kube, feed: Feed
) -> None:
    """Design 02, measured: etcd alone was restored; the API server's watch cache knows nothing of it."""
    await feed.synced()
    revision = server.etcd.revision
    create(server, "c")
    delete(server, "b")
    await feed.until(names="ac")
    future = server.etcd.revision
    server.etcd.restore(revision, under_a_live_server=True)
    assert sorted(view.metadata.name for view in await kube.list_workflows()) == ["a", "c"]
    assert await kube.get_workflow("default", "b") is not None
    assert await kube.get_workflow("default", "c") is None
    # What is written while the versions come again is never told; once they have passed, it is.
    create(server, "d")
    await asyncio.sleep(600)
    assert server.etcd.revision <= future
    assert feed.names == {"a", "c"}
    for number in range(future - server.etcd.revision):
        edit(server, "a", number + 1)
    create(server, "e")
    await feed.until(names="ace")
    # Only a new API server tells the truth, and only to who has to list again.
    server.etcd.restart_server()
    server.end_watches(End.RESET)
    edit(server, "a", 99)
    server.etcd.compact()
    await feed.until(names="abde")


async def test_what_leaves_the_selection_is_told_as_deleted(server: ApiServer, kube: Kube) -> None:
    create(server, "a", app="kipu")
    create(server, "b", app="other")
    feed = Feed(kube, label_selector="app=kipu")
    feed.begin()
    await feed.until(names="a", syncs=1)
    server.update("workflows", "default", "a", _labelled("other"))
    server.update("workflows", "default", "b", _labelled("kipu"))
    await feed.until(names="b")
    assert feed.told == [("Added", "a"), ("Deleted", "a"), ("Added", "b")]
    await feed.close()


def _labelled(app: str):  # type: ignore[no-untyped-def]
    return lambda body: {**body, "metadata": {**body["metadata"], "labels": {"app": app}}}


async def test_a_deleted_view_is_the_last_one_seen(server: ApiServer, kube: Kube) -> None:
    create(server, "a")
    changes = list_and_watch(kube, WORKFLOWS)
    assert [(await anext(changes)).kind for _ in range(2)] == ["Added", "Synced"]
    edit(server, "a", 7)
    assert (await anext(changes)).kind == "Modified"
    server.end_watches(End.CLOSED)
    delete(server, "a")
    server.etcd.compact()
    deleted = await anext(changes)
    assert deleted.kind == "Deleted"
    assert deleted.view is not None
    assert deleted.view.spec == {"n": 7}
    await changes.aclose()


async def test_of_an_object_that_vanished_unseen_its_trace_is_told(server: ApiServer, kube: Kube) -> None:
    """Of tens of thousands of Jobs no more is remembered than who they were."""
    labels = {"app.kubernetes.io/managed-by": "kipu", "kipu.dev/workflow-uid": "w"}
    pod = {"containers": [{"name": "main", "image": "busybox:1.36"}], "restartPolicy": "Never"}
    server.create({"kind": "Job", "metadata": {"name": "a", "labels": labels}, "spec": {"template": {"spec": pod}}})
    changes = list_and_watch(kube, JOBS, trace=trimmed)
    added = await anext(changes)
    assert (await anext(changes)).kind == "Synced"
    server.end_watches(End.CLOSED)
    server.delete("jobs", "default", "a", propagationPolicy="Background")
    server.etcd.compact()
    deleted = await anext(changes)
    assert added.view is not None
    who = AttemptMetadata(
        name="a",
        uid=added.view.metadata.uid,
        resource_version=added.view.metadata.resource_version,
        labels=Labels(workflow_uid="w", job_name="a"),
    )
    assert deleted == Change(kind="Deleted", view=JobView(metadata=who))
    await changes.aclose()


async def test_closing_the_iterator_closes_its_watch(server: ApiServer, kube: Kube) -> None:
    create(server, "ab")
    changes = list_and_watch(kube, WORKFLOWS)
    for _ in range(3):
        await anext(changes)
    edit(server, "a")
    await anext(changes)
    assert len(server.watches) == 1
    await changes.aclose()
    assert server.watches == []


async def test_every_reply_is_counted_and_why_a_watch_began_anew(
    server: ApiServer, feed: Feed, counts: Counter[tuple[str, str, str]]
) -> None:
    await feed.synced()
    fail_watches(server, Status(code=410, reason="Expired"), times=1)
    server.end_watches(End.CLOSED)
    await feed.until(syncs=2)
    await asyncio.sleep(1)
    assert counts == {
        ("list", "workflows", "200"): 2,
        ("watch", "workflows", "200"): 2,
        ("watch", "workflows", "410"): 1,
        ("restart", "workflows", "Closed"): 1,
        ("restart", "workflows", "Failed"): 1,
    }
