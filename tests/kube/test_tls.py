"""The transport under TLS, to a server whose farewell never comes.

Closed politely, such a connection keeps its socket for 30 s: longer than a loop may live, and beyond the bound on
connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from e2e.chaos.certificate import issue
from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_http import HttpTransport
from tests.authority import make_authority, needs_openssl
from tests.kube.serving import GET, Handler, serving

pytestmark = needs_openssl


class Relay:
    """Between the client and the server. Once it is mute nothing of the server arrives any more, no farewell either."""

    def __init__(self) -> None:
        self.is_mute = False
        self.client_is_gone = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int) -> int:
        """The port that leads to `port`."""
        self._upstream = port
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        self._server.close()

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._writers += [to_client, to_server]
        self._tasks.add(asyncio.create_task(self._up(client, to_server)))
        self._tasks.add(asyncio.create_task(self._down(server, to_client)))

    async def _up(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        try:
            while some := await client.read(65536):
                to_server.write(some)
        except ConnectionError:
            pass  # a reset is an end, too
        self.client_is_gone.set()

    async def _down(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while some := await server.read(65536):
            if not self.is_mute:
                to_client.write(some)


@asynccontextmanager
async def served(folder: Path, handler: Handler) -> AsyncIterator[tuple[HttpTransport, Relay]]:
    """A transport that trusts the server behind the relay."""
    make_authority(folder)
    ca = (folder / "ca.crt").read_text()
    relay = Relay()
    async with serving(handler, tls=issue(folder, folder, ["IP:127.0.0.1"]), way=relay.start, ca=ca) as transport:
        try:
            yield transport, relay
        finally:
            await transport.close()
            await relay.close()


async def test_a_stream_that_is_left_is_cut(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a\n")
        await asyncio.Event().wait()  # the rest never comes
        return response

    async with served(tmp_path, handler) as (transport, relay):
        async with transport.stream(GET, timeout_seconds=5) as (_, lines):
            assert await anext(lines) == b"a"
            relay.is_mute = True
        await asyncio.wait_for(relay.client_is_gone.wait(), 5)


@pytest.mark.proof
async def test_a_request_past_its_deadline_is_cut(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()  # the rest never comes
        return web.Response()

    async with served(tmp_path, handler) as (transport, relay):
        sending = asyncio.create_task(transport.send(GET, timeout_seconds=0.5))
        await asyncio.wait_for(asked.wait(), 5)
        relay.is_mute = True
        with pytest.raises(Unanswered):
            await sending
        await asyncio.wait_for(relay.client_is_gone.wait(), 5)
