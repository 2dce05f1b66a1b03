"""A scripted HTTP server on this machine, and the transport to it: plainly, or under TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from kipu.shell.kube_http import Endpoint, HttpTransport, Request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Way = Callable[[int], Awaitable[int]]
GET = Request(method="GET", path="/x")


async def straight(port: int) -> int:
    """Nobody is between client and server."""
    return port


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    tls: ssl.SSLContext | None = None,
    way: Way = straight,
    connections_more: int = 0,
    **endpoint: object,
) -> AsyncIterator[HttpTransport]:
    """A transport to a server that answers everything by `handler`; `way` yields the port that leads to its port."""
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    server = f"{'https' if tls else 'http'}://127.0.0.1:{await way(runner.addresses[0][1])}"
    to = Endpoint(server=server, **endpoint)  # type: ignore[arg-type]
    transport = HttpTransport(to, connections_more=connections_more)
    try:
        yield transport
    finally:
        await transport.close()
        await runner.cleanup()
