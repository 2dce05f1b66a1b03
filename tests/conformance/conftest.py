"""The suite's one fixture: the same world on the fake (in virtual time, punctual and late) and on a real API server."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from dataclasses import fields

import pytest

from kipu.shell.kube import Kube
from kipu.shell.kube_http import HttpTransport
from tests.conformance.world import World, program_of
from tests.fakes.apiserver import ApiServer
from tests.fakes.informers import Lags

FAKE = pytest.param("fake", marks=pytest.mark.looptime)
LATE = pytest.param("late", marks=pytest.mark.looptime)  # the fake, with controllers that are seconds behind
LATE_SECONDS = 3.0
REAL = pytest.param("real", marks=pytest.mark.cluster)


@pytest.fixture(params=[FAKE, LATE, REAL])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A namespace of its own for each test; the real one is deleted after it."""
    if request.param in ("fake", "late"):
        late = Lags(**{each.name: LATE_SECONDS for each in fields(Lags)})
        server = ApiServer(seed=11, programs=program_of, lags=late if request.param == "late" else Lags())
        transport = server.connect(user="conformance")
        yield World(kube=Kube(transport), transport=transport, namespace="conformance", fake=server)
        assert server.etcd.is_intact()
        return
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    async for each in _real():
        yield each


async def _real() -> AsyncIterator[World]:
    transport = HttpTransport.from_environment()
    name = f"kipu-conformance-{random.Random().randrange(16**8):08x}"
    world = World(kube=Kube(transport), transport=transport, namespace=name)
    created = await world.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert created.status == 201, created.body
    try:
        yield world
    finally:
        deleted = await world.call("DELETE", f"/api/v1/namespaces/{name}")
        assert deleted.status == 200, deleted.body
        await transport.close()


@pytest.fixture
async def workflows(world: World) -> World:
    """The same world, where the CRD is served."""
    if not await world.kube.serves_workflows():
        pytest.skip("the CRD is not installed")
    return world
