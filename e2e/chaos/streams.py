"""A watch on its way through the proxy, until what is drawn for it befalls it.

Promises: a client gets whole lines, in order, none twice; a stream that is left by its client, or ended by the API
server, ends on the other side within LOOK_SECONDS.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

from .calls import Call
from .faults import Fate, Faults, Kind
from .wire import expired, is_gone, passed_on, reset

LOOK_SECONDS = 1.0  # how often a silent stream is looked at


class Stream:
    """One watch: `tell` lasts as long as it does."""

    def __init__(self, faults: Faults, request: web.Request, call: Call, answer: aiohttp.ClientResponse) -> None:
        self._faults = faults
        self._request = request
        self._call = call
        self._content = answer.content
        self._response = web.StreamResponse(status=answer.status, headers=passed_on(answer.headers))
        self._rest = b""  # of a line whose end has not come

    async def tell(self) -> web.StreamResponse:
        """Pass on line after line. Raises what reading and writing raise."""
        await self._response.prepare(self._request)
        loop = asyncio.get_running_loop()
        fate, begun = self._faults.fate(), loop.time()
        reading = asyncio.ensure_future(self._content.readany())
        try:
            while not is_gone(self._request):
                due_seconds = begun + fate.after_seconds - loop.time()
                await asyncio.wait([reading], timeout=min(LOOK_SECONDS, max(0.0, due_seconds)))
                if reading.done():
                    if not (piece := reading.result()):
                        return self._response
                    await self._pass_on(piece)
                    reading = asyncio.ensure_future(self._content.readany())
                elif due_seconds <= 0 and not self._faults.is_calm:
                    if await self._meet(fate):
                        return self._response
                    fate, begun = self._faults.fate(), loop.time()
        finally:
            reading.cancel()
        return self._response

    async def _pass_on(self, piece: bytes) -> None:
        whole, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if newline:
            await self._response.write(whole + newline)

    async def _meet(self, fate: Fate) -> bool:
        """Whether that is the end of the stream."""
        kind = fate.fault.kind
        self._faults.met(kind, self._call)
        if kind in (Kind.WATCH_STALLED, Kind.WATCH_DELAYED):
            await self._stall(fate.fault.seconds)
        if kind is Kind.WATCH_DELAYED:
            return False
        if kind is Kind.WATCH_EXPIRED:
            await self._response.write(expired())
        else:
            reset(self._request)
        return True

    async def _stall(self, seconds: float) -> None:
        """The calm ends it early."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0 and not self._faults.is_calm:
            await asyncio.sleep(min(left, LOOK_SECONDS))
