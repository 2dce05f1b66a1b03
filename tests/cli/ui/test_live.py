"""`kipu ui` over a cluster: what it asks, with whose rights, how often; and what it makes of what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import pytest

from kipu.cli import cluster as clusters
from kipu.cli import sealed
from kipu.cli.cluster import Cluster
from kipu.cli.errors import CannotTell
from kipu.cli.options import Where
from kipu.cli.ui import live as lives
from kipu.cli.ui import watching
from kipu.cli.ui.live import TAIL_BYTES_MAX, TAIL_LINES, Live
from kipu.cli.ui.source import NoSuchWorkflow
from kipu.eventlog.configmaps import ConfigMapLog
from tests.cli import exports
from tests.cli.api_server import ALL_WORKFLOWS, WORKFLOWS, ApiServer
from tests.cli.histories import STREAM
from tests.core.given import SECOND

KEY = (STREAM.namespace, STREAM.name)
PATH = f"{WORKFLOWS.format(STREAM.namespace)}/{STREAM.name}"
WATCHES_MAX = 5  # of one test: each that the server still answers waits for its end


class Pauses:
    """Taken at once, and remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def take(self, seconds: float) -> None:
        self.seconds.append(seconds)


PAUSES = Pauses()
wide = cache(exports.wide)
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def live(server: ApiServer) -> AsyncIterator[Live]:
    """Of a Workflow that is half done, with its watch under way."""
    exports.recorded(server, exports.half_done())
    source = Live(Cluster.connect(None, None), None, PAUSES.take)
    PAUSES.seconds.clear()
    await source.start()
    yield source
    await source.stop()
    for _ in range(WATCHES_MAX):
        server.changes.put(None)


def change(server: ApiServer, kind: str = "MODIFIED", version: str = "2", **status: object) -> dict[str, Any]:
    """What a watch says of the Workflow, as it is in the server now."""
    body = server.objects[PATH]
    body["metadata"]["resourceVersion"] = version
    body["status"] |= status
    told = {"type": kind, "object": body}
    server.changes.put(told)
    return told


async def heard(source: Live) -> dict[str, Any]:
    """The next change of the list."""
    with source.feed.listening() as listener:
        await listener.take()
        return await listener.take()


async def test_all_workflows_are_listed_that_may_be(live: Live, server: ApiServer) -> None:
    assert list(live.feed.summaries) == [KEY]
    assert live.label == f"all namespaces of {server.url}"
    assert server.asked[0] == ALL_WORKFLOWS


async def test_where_not_all_may_be_listed_those_of_the_context_s_namespace_are(server: ApiServer) -> None:
    exports.recorded(server, exports.half_done())
    server.refusals[ALL_WORKFLOWS] = (403, 'User "me" cannot list workflows at the cluster scope')
    source = lives.connect(Where())
    await source.start()
    await source.stop()
    assert (list(source.feed.summaries), source.label) == ([KEY], f"namespace default of {server.url}")


async def test_who_may_list_nothing_is_told_so(server: ApiServer) -> None:
    server.refusals["/apis"] = (403, 'User "me" cannot list workflows')
    with pytest.raises(
        CannotTell, match=r'no right to list .*namespaces/mine/workflows: User "me" cannot list workflows'
    ):
        await lives.connect(Where(namespace="mine")).start()
    with pytest.raises(CannotTell, match=r"no right to list .*namespaces/default/workflows"):
        await lives.connect(Where()).start()


async def test_a_change_is_told_as_the_watch_tells_it(live: Live, server: ApiServer) -> None:
    change(server, phase="Failed")
    told = await heard(live)
    assert [each["phase"] for each in told["changed"]] == ["Failed"]
    change(server, kind="DELETED", version="3")
    assert (await heard(live))["gone"] == [list(KEY)]


async def test_a_watch_that_is_too_old_has_the_list_read_anew(live: Live, server: ApiServer) -> None:
    server.objects[PATH]["status"]["phase"] = "Suspended"
    server.changes.put({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
    assert [each["phase"] for each in (await heard(live))["changed"]] == ["Suspended"]
    assert live.feed.trouble == ""


async def test_a_watch_that_breaks_is_told_and_tried_again_after_a_growing_wait(live: Live, server: ApiServer) -> None:
    server.refusals["/apis"] = (500, "etcd is away")
    with live.feed.listening() as listener:
        await listener.take()
        server.changes.put({"type": "ERROR", "object": {"message": "too old"}})
        assert "etcd is away; what is shown may be old" in str((await listener.take())["trouble"])
        while len(PAUSES.seconds) < 8:
            await asyncio.sleep(0)
        server.refusals.clear()
        while (await listener.take()).get("trouble") != "":
            pass
    assert PAUSES.seconds[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


async def test_more_workflows_than_can_be_shown_are_not_and_it_is_said(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "WORKFLOWS_MAX", 3)
    monkeypatch.setattr(clusters, "PAGE_OBJECTS", 2)
    names = [f"w-{number}" for number in range(5)]
    pages = {
        "": {"items": names[:2], "continue": "2"},
        "2": {"items": names[2:4], "continue": "4"},
        "4": {"items": names[4:], "continue": ""},
    }

    def answer(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        page = pages[query.get("continue", "")]
        items = [{"metadata": {"namespace": "n", "name": name, "uid": name}} for name in page["items"]]
        return 200, json.dumps(
            {"items": items, "metadata": {"continue": page["continue"], "resourceVersion": "1"}}
        ).encode()

    monkeypatch.setattr(server, "answer", answer)
    source = lives.connect(Where())
    await source.start()
    new = {"namespace": "n", "name": "new", "uid": "u", "resourceVersion": "2"}
    server.changes.put({"type": "ADDED", "object": {"metadata": new}})
    server.changes.put(None)
    assert [name for _, name in source.feed.summaries] == names[:4]
    assert source.feed.trouble == "only the first 4 workflows are shown: name a namespace by -n"
    await source.stop()


# -- histories -----------------------------------------------------------------------------------------------


async def test_a_log_is_read_once_and_again_when_it_has_moved(live: Live, server: ApiServer) -> None:
    first = await live.story(*KEY)
    asked = len(server.asked)
    assert await live.story(*KEY) is first
    assert len(server.asked) == asked
    before, more = first.position, exports.half_done()
    more.succeed("bottom", after=SECOND)
    server.objects = {path: body for path, body in server.objects.items() if CONFIG_MAPS not in path}
    exports.recorded(server, more)
    change(server)
    await heard(live)
    second = await live.story(*KEY)
    assert second is first  # it has grown
    assert second.position > before
    assert second.state.phase == "Succeeded"


async def test_a_namesake_is_another_story(live: Live, server: ApiServer) -> None:
    first = await live.story(*KEY)
    server.objects[PATH]["metadata"]["uid"] = "another"
    server.objects[PATH]["status"] = {}
    change(server)
    await heard(live)
    with pytest.raises(CannotTell, match="has no log yet"):
        await live.story(*KEY)
    assert first.stream == STREAM


async def test_sealed_objects_are_read_once(server: ApiServer) -> None:
    given, flow = wide()
    exports.recorded(server, flow, given)
    cluster = sealed.Sealed(Cluster.connect(None, None))
    for _ in range(2):
        assert await ConfigMapLog(cluster).load(STREAM) is not None
    chunks = [path for path, body in server.objects.items() if body.get("immutable")]
    assert len(chunks) >= 2
    assert [server.asked.count(path) for path in chunks] == [1] * len(chunks)
    cluster.forget()
    await ConfigMapLog(cluster).load(STREAM)
    assert [server.asked.count(path) for path in chunks] == [2] * len(chunks)


async def test_what_the_last_reading_did_not_ask_for_is_forgotten(server: ApiServer) -> None:
    given, flow = wide()
    exports.recorded(server, flow, given)
    cluster = sealed.Sealed(Cluster.connect(None, None))
    chunks = [path for path, body in server.objects.items() if body.get("immutable")]
    once, always = (path.rpartition("/")[2] for path in chunks[:2])
    for names in ((once, always), (always,), (once, always)):
        cluster.turn_over()
        for name in names:
            await cluster.get_config_map(STREAM.namespace, name)
    assert [server.asked.count(path) for path in chunks[:2]] == [2, 1]


async def test_no_more_of_them_is_kept_than_there_is_room_for(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, flow = wide()
    exports.recorded(server, flow, given)
    monkeypatch.setattr(sealed, "SEALED_BYTES_MAX", 10)
    cluster = sealed.Sealed(Cluster.connect(None, None))
    for _ in range(2):
        await ConfigMapLog(cluster).load(STREAM)
    chunks = [path for path, body in server.objects.items() if body.get("immutable")]
    assert [server.asked.count(path) for path in chunks] == [2] * len(chunks)


async def test_of_a_damaged_log_what_can_be_verified_is_shown_and_the_rest_is_said(
    live: Live, server: ApiServer
) -> None:
    server.objects.clear()
    given, flow = wide()
    exports.recorded(server, flow, given)
    chunks = json.loads(server.objects[exports.HEAD]["data"]["meta"])["chunks"]
    del server.objects[f"{exports.CONFIG_MAPS}/{chunks[-1]['name']}"]
    story = await live.story(*KEY)
    assert 0 < story.position < len(flow.log)
    assert story.notes[0].startswith(f"partial: verified up to position {story.position} of")


async def test_a_sealed_object_that_was_mended_is_read_again(live: Live, server: ApiServer) -> None:
    server.objects.clear()
    given, flow = wide()
    exports.recorded(server, flow, given)
    last = json.loads(server.objects[exports.HEAD]["data"]["meta"])["chunks"][-1]["name"]
    chunk = server.objects[f"{exports.CONFIG_MAPS}/{last}"]
    whole, chunk["binaryData"] = chunk["binaryData"], {"records": ""}
    change(server)
    await heard(live)
    assert (await live.story(*KEY)).position < len(flow.log)
    chunk["binaryData"] = whole
    story = await live.story(*KEY)
    assert (story.position, story.notes) == (len(flow.log), ())


async def test_so_many_histories_are_kept_and_no_more(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "STORIES_MAX", 1)
    first = await live.story(*KEY)
    told = live.feed.summaries[KEY]
    live.feed.change({("default", "other"): told | {"name": "other"}})
    with pytest.raises(CannotTell, match="no Workflow 'other'"):
        await live.story("default", "other")
    assert await live.story(*KEY) is not first


async def test_what_is_not_listed_is_never_asked_for(live: Live, server: ApiServer) -> None:
    asked = len(server.asked)
    with pytest.raises(NoSuchWorkflow):
        await live.story("kube-system", "secrets")
    assert len(server.asked) == asked


async def test_a_reading_is_followed_by_a_pause(live: Live) -> None:
    await live.story(*KEY)
    live.feed.change({KEY: live.feed.summaries[KEY] | {"position": 10_000}})  # as of a log that grows all the time
    for _ in range(3):
        await live.story(*KEY)
    assert PAUSES.seconds[0] == 0
    assert min(PAUSES.seconds[1:]) > 0.5 * lives.PACE_SECONDS_MIN


# -- logs of pods --------------------------------------------------------------------------------------------


async def test_the_end_of_a_pod_s_log_is_shown(live: Live, server: ApiServer) -> None:
    server.texts["/api/v1/namespaces/default/pods/some-pod/log"] = "one\ntwo\n"
    assert (await live.tail("default", "some-pod")).text == "one\ntwo\n"
    asked = server.queries["/api/v1/namespaces/default/pods/some-pod/log"]
    assert asked == {"container": "main", "tailLines": str(TAIL_LINES), "limitBytes": str(TAIL_BYTES_MAX)}


async def test_a_pod_that_is_gone_or_forbidden_is_said(live: Live, server: ApiServer) -> None:
    assert (await live.tail("default", "some-pod")).trouble == "the pod some-pod is gone, and its log with it"
    server.refusals["/api/v1/namespaces/default/pods"] = (403, 'User "me" cannot get pods/log')
    assert (await live.tail("default", "some-pod")).trouble == 'User "me" cannot get pods/log'


async def test_the_watch_ends_at_once_when_the_page_does(live: Live) -> None:
    await live.stop()  # and so does this test, within its time, though the server's watch says nothing
