"""The operator that ships, over the fake API server in virtual time (looptime): begun, killed, begun again at will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from kipu.core.evolve import fold
from kipu.core.state import State
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import History, StreamId
from kipu.shell.engine import Engine
from kipu.shell.kube import Kube
from kipu.shell.kube_owned import OwnedKube
from kipu.shell.main import compose
from kipu.shell.ownership import Owns, everything
from kipu.shell.settings import Settings
from kipu.shell.telemetry import Telemetry
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import FaultHook
from tests.fakes.front import feed

PATIENCE_SECONDS = 600.0  # of virtual time


def step(name: str, *needs: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "script": "true", "dependsOn": list(needs), **fields}


def apply(server: ApiServer, *steps: Mapping[str, Any], name: str = "w", **spec: Any) -> str:
    """Create a Workflow; its uid."""
    fields = {field.rstrip("_"): value for field, value in spec.items()}  # `finally` is a word of Python's
    body = {"defaults": {"image": "busybox:1.36"}, "steps": list(steps), **fields}
    created = server.create({"kind": "Workflow", "metadata": {"name": name}, "spec": body})
    return str(created["metadata"]["uid"])


@asynccontextmanager
async def operator(
    server: ApiServer,
    identity: str = "one",
    faults: FaultHook | None = None,
    owns: Owns = everything,
    telemetry: Telemetry | None = None,
    **settings: Any,
) -> AsyncIterator[Engine]:
    """One life of it. At its end it is killed: no farewell."""
    telemetry = telemetry or Telemetry()
    kube = OwnedKube(server.connect(user=identity, faults=faults), meter=telemetry)
    settings_ = Settings(identity=identity, **settings)
    engine = compose(kube, ConfigMapLog(kube), settings_, server.clock, telemetry, owns)
    tasks = [asyncio.create_task(engine.run()), asyncio.create_task(feed(kube, engine))]
    try:
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    """Wait, in virtual time, until this is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.1)


def status(server: ApiServer, name: str = "w") -> dict[str, Any]:
    return dict((server.get("workflows", "default", name) or {}).get("status", {}))


def condition(server: ApiServer, kind: str, name: str = "w") -> dict[str, Any]:
    found = [each for each in status(server, name).get("conditions", []) if each["type"] == kind]
    return dict(found[0]) if found else {}


async def ended(server: ApiServer, name: str = "w") -> str:
    """Its phase, once it has ended."""
    await until(lambda: condition(server, "Finished", name).get("status") == "True")
    return str(status(server, name)["phase"])


async def history(server: ApiServer, uid: str, name: str = "w") -> History:
    log = ConfigMapLog(Kube(server.connect(user="judge", faulty=False)))
    found = await log.load(StreamId(namespace="default", name=name, uid=uid))
    assert found is not None
    return found


async def replayed(server: ApiServer, uid: str, name: str = "w") -> State:
    records = (await history(server, uid, name)).records
    return fold((record.event, record.ts) for record in records)
