"""A proxy between the operator's own transport and a plain server on this machine's loopback address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from e2e.chaos.faults import Faults, Kind, Waits
from e2e.chaos.proxy import Proxy
from kipu.shell.kube_http import Endpoint, HttpTransport, Request

AT_ONCE = Waits(silence=(0.0, 0.0), patience=0.0, watch_life=0.0, stall=(0.0, 0.0), long_stall=0.0)
LOOPBACK = "127.0.0.1"
JOBS = "/apis/batch/v1/namespaces/one/jobs"
CREATE = Request(method="POST", path=JOBS, body=b'{"kind":"Job"}')
WATCH = Request(method="GET", path=JOBS, query={"watch": "true"})


@dataclass
class Upstream:
    """What the server was asked, and what its watches are to say. It answers every request by its number."""

    asked: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    lines: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)  # an empty one ends the watch

    async def serve(self, request: web.Request) -> web.StreamResponse:
        async with self.changed:
            self.asked.append((request.method, request.raw_path, await request.read(), dict(request.headers)))
            self.changed.notify_all()
        if "watch" not in request.query:
            return web.json_response({"number": len(self.asked)}, status=201, headers={"X-Kept": "yes"})
        response = web.StreamResponse()
        await response.prepare(request)
        while line := await self.lines.get():
            await response.write(line)
        return response

    async def was_asked(self, times: int) -> None:
        """Once so many requests have come."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.asked) >= times)


@dataclass
class World:
    """The three of them."""

    upstream: Upstream
    proxy: Proxy
    transport: HttpTransport

    async def create(self) -> int:
        """A write; the number that its answer has. Raises Unanswered."""
        reply = await self.transport.send(CREATE, timeout_seconds=20)
        return reply.status


@asynccontextmanager
async def world(*kinds: Kind, per_mille: int = 1000, waits: Waits = AT_ONCE, seed: int = 1) -> AsyncIterator[World]:
    """A world whose proxy draws faults of these kinds; none where none is named."""
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    faults = Faults(seed, waits=waits, per_mille=dict.fromkeys(kinds, per_mille), is_calm=not kinds)
    proxy = Proxy(f"http://{LOOPBACK}:{runner.addresses[0][1]}", faults)
    port = await proxy.start(LOOPBACK, 0)
    transport = HttpTransport(Endpoint(server=f"http://{LOOPBACK}:{port}", token="a-token"))
    try:
        yield World(upstream, proxy, transport)
    finally:
        await transport.close()
        await proxy.close()
        await runner.cleanup()
