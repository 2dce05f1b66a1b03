"""The life of `kipu ui`: listen, say where, open the browser, and end on Ctrl-C.

Promises: it listens on 127.0.0.1 alone. Must never print anything to stdout but the address.
"""

from __future__ import annotations

import asyncio
import os
import webbrowser

import click
from aiohttp import web

from ..commands import note
from ..errors import CannotTell
from .app import build
from .guard import Guard
from .source import Source

ADDRESS = "127.0.0.1"
GRACE_SECONDS = 1.0  # for answers that are on their way when it ends


async def listen(source: Source, guard: Guard, port: int) -> web.AppRunner:
    """Serve; the caller cleans the runner up. `port` 0: a free one. Raises CannotTell."""
    app = build(source, guard)
    # who is gone is waited for no more: its place among the listeners is free at once
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_SECONDS, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, ADDRESS, port).start()
    except OSError as error:
        await runner.cleanup()
        why = os.strerror(error.errno) if error.errno else str(error)
        raise CannotTell(f"cannot listen on port {port}: {why}; name another by --port") from error
    guard.port = runner.addresses[0][1]
    return runner


async def serve(source: Source, *, port: int, opens_browser: bool) -> None:
    """Until this task is cancelled. Raises KipuError where there is nothing to show."""
    guard = Guard()
    await source.start()
    try:
        runner = await listen(source, guard, port)
        try:
            click.echo(guard.url)
            note(f"{source.label}, on this machine alone; Ctrl-C ends")
            if opens_browser and not await asyncio.to_thread(webbrowser.open, guard.ticket_url):
                note("no browser was found: open the address above")
            await asyncio.Event().wait()
        finally:
            source.feed.close()
            await runner.cleanup()
    finally:
        await source.stop()
