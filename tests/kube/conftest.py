"""The fake cluster and our client on it, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
import uvloop

from kipu.shell.kube import Kube
from tests.fakes.apiserver import ApiServer

Counts = Counter[tuple[str, str, str]]
OVER_SOCKETS = ("test_http.py", "test_tls.py")  # the rest runs in virtual time, which uvloop does not know


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The transport on the loop that ships, and on the one that the tests of everything else have (ADR 0018)."""
    plain = {"asyncio": asyncio.new_event_loop}
    return plain | {"uvloop": uvloop.new_event_loop} if item.path.name in OVER_SOCKETS else plain


@pytest.fixture
async def server() -> ApiServer:
    return ApiServer(seed=5)


@pytest.fixture
def counts() -> Counts:
    """Replies by verb, resource and status."""
    return Counter()


@pytest.fixture
async def kube(server: ApiServer, counts: Counts) -> Kube:
    def count(verb: str, resource: str, status: str) -> None:
        counts[verb, resource, status] += 1

    return Kube(server.connect(user="operator"), on_reply=count)
