"""The operator's own HTTP server: /livez, /readyz, /metrics.

`/livez` fails only when the engine's loop is dead or kopf's thread is, not when there is much to do.
`/readyz` says that a complete list of Jobs, Pods and Workflows was folded once.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from .telemetry import Telemetry

Check = Callable[[], str]  # what is wrong, or ""


async def serve(port: int, *, live: Check, ready: Check, telemetry: Telemetry) -> web.AppRunner:
    """Listen on all addresses (the kubelet asks from outside the pod); the caller cleans the runner up."""

    async def probe(check: Check) -> web.Response:
        fault = check()
        return web.Response(status=503 if fault else 200, text=f"{fault or 'ok'}\n")

    async def livez(_request: web.Request) -> web.Response:
        return await probe(live)

    async def readyz(_request: web.Request) -> web.Response:
        return await probe(ready)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=telemetry.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
