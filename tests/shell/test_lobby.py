"""Who waits to be opened says so; the engine's own tests show it from without."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import pytest

from kipu.shell.kube import Kube
from kipu.shell.kube_http import Request
from kipu.shell.kube_views import decode_workflow
from kipu.shell.lobby import PATIENCE_SECONDS, Lobby
from kipu.shell.openings import Openings
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Fault, Status

pytestmark = pytest.mark.looptime


async def test_a_status_that_is_refused_holds_up_no_other() -> None:
    server, tries = ApiServer(), Counter[str]()

    def refuse(_number: int, request: Request) -> Fault | None:
        name = request.path.split("/")[-2]
        tries[name] += 1
        return Status(code=403) if name == "c" else None

    views = {
        name: decode_workflow(
            server.create({"kind": "Workflow", "metadata": {"name": name}, "spec": {"priority": priority}})
        )
        for name, priority in (("a", 3), ("b", 2), ("c", 1))
    }
    lobby = Lobby(Kube(server.connect(user="one", faults=refuse)), Openings(0), statuses_per_second=10.0)
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(lobby.run())]
    tasks += [asyncio.create_task(lobby.turn(partial(views.__getitem__, name))) for name in views]
    await asyncio.sleep(10 * PATIENCE_SECONDS)
    shown = {name: (server.get("workflows", "default", name) or {}).get("status", {}).get("reason") for name in views}
    assert shown == {"a": "Waiting", "b": "Waiting", "c": None}
    assert (tries["a"], tries["b"]) == (1, 1)
    assert 3 <= tries["c"] <= 10  # again and again, but not at once
    assert lobby.waiting().count == 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert lobby.waiting().count == 0


async def test_whoever_comes_later_has_as_much_patience() -> None:
    server = ApiServer()
    views = [decode_workflow(server.create({"kind": "Workflow", "metadata": {"name": n}, "spec": {}})) for n in "ab"]
    lobby = Lobby(Kube(server.connect(user="one")), Openings(0), statuses_per_second=10.0)
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(lobby.run())]
    for number in range(2):
        tasks.append(asyncio.create_task(lobby.turn(partial(views.__getitem__, number))))
        await asyncio.sleep(0.9 * PATIENCE_SECONDS)
    await asyncio.sleep(0.15 * PATIENCE_SECONDS)
    assert [write.path.split("/")[-2] for write in server.writes("one")] == ["a"]
    await asyncio.sleep(2 * PATIENCE_SECONDS)
    assert [write.path.split("/")[-2] for write in server.writes("one")] == ["a", "b"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
