"""The fake cluster and our client on it, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
import uvloop

from kipu.shell.kube import Kube
from kipu.shell.meter import Meter
from tests.fakes.apiserver import ApiServer

Counts = Counter[tuple[str, str, str]]
REAL_TIME = ("test_http", "test_tls")  # over sockets of this machine


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The transport on the loop of the operator, and on that of `kipu` (ADR 0020); all else in virtual time."""
    theirs = {"uvloop": uvloop.new_event_loop} if item.path.stem in REAL_TIME else {}
    return {"asyncio": asyncio.new_event_loop, **theirs}


@pytest.fixture
async def server() -> ApiServer:
    return ApiServer(seed=5)


@pytest.fixture
def counts() -> Counts:
    """Replies by verb, resource and status; of watches that began anew, "restart", resource and reason."""
    return Counter()


@pytest.fixture
async def kube(server: ApiServer, counts: Counts) -> Kube:
    class Counting(Meter):
        def count_request(self, verb: str, resource: str, status: str, seconds: float | None = None) -> None:
            counts[verb, resource, status] += 1

        def count_watch_restart(self, resource: str, reason: str) -> None:
            counts["restart", resource, reason] += 1

    return Kube(server.connect(user="operator"), meter=Counting())
