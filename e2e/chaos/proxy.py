"""A proxy before the real API server that loses, delays, refuses and doubles, and holds writes for a killer.

Promises: what meets no fault passes untouched, in both directions, headers and streams included; a request that was
begun is carried out even when its client is gone, as the API server itself would; every write is in the journal.
Must never retry, keep or print what passes through it: a bearer token is among it.
Bounded: a body by BODY_BYTES_MAX, the journal by JOURNAL_MAX, a watch by its own timeoutSeconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from .calls import Call, classify
from .faults import Fault, Faults, Kind
from .streams import Stream
from .traps import Moment, Trap, Traps
from .wire import Answer, is_gone, passed_on, refusal, reset

BODY_BYTES_MAX = 8 * 1024 * 1024  # etcd takes 1.5 MiB an object; JSON may escape it several times
JOURNAL_MAX = 1_000_000  # 2,000 Jobs x some 10 writes each, with much room
UPSTREAM_SECONDS = 60.0  # what the API server allows itself for a request
SHUTDOWN_SECONDS = 1.0
GOODBYE_SECONDS = 1.0  # so long a peer may take to answer the end of TLS; a pod that was killed never does
STATUSES = {Kind.TOO_MANY: 429, Kind.INTERNAL: 500, Kind.UNAVAILABLE: 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A process of the operator: the n-th that lived at this address."""

    address: str
    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One write that was passed on. `status` is the API server's; None where it gave none."""

    at: float  # time.monotonic() when the API server had answered
    client: Client
    call: Call
    status: int | None
    fault: str = ""  # what it met, or how it was held; a late or doubled one has been here before


class Proxy:
    """Lives in one event loop, from `start` to `close`. `upstream` is a URL without a path."""

    def __init__(self, upstream: str, faults: Faults, *, upstream_tls: ssl.SSLContext | None = None) -> None:
        self.faults = faults
        self.traps = Traps()
        self.journal: list[Entry] = []
        self.first_seen: dict[Client, float] = {}
        self._deaths: Counter[str] = Counter()
        self._upstream = upstream
        self._upstream_tls = upstream_tls
        self._late: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession
        self._runner: web.AppRunner
        self._listener: asyncio.Server | None = None
        self._goodbye_seconds = 0.0

    async def start(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen; returns the port (0 asks for a free one)."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._upstream_tls or True),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        if tls is not None:
            self._goodbye_seconds = GOODBYE_SECONDS
        handler = self._runner.server
        assert handler is not None, "a runner that is set up has one"
        try:
            # Not a TCPSite: it has no word for how long the end of TLS may take.
            self._listener = await asyncio.get_running_loop().create_server(
                handler, host, port, ssl=tls, ssl_shutdown_timeout=self._goodbye_seconds or None, reuse_address=True
            )
        except OSError:
            await self.close()
            raise
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Let go of everything and end: with TLS in GOODBYE_SECONDS more, lest a silent peer leave its socket open."""
        self.traps.release_all()
        for task in self._late:
            task.cancel()
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(self._goodbye_seconds)

    def bury(self, address: str) -> Client:
        """The process at this address has been killed: whoever comes from there next is another."""
        client = Client(address=address, life=self._deaths[address])
        self._deaths[address] += 1
        return client

    # -- one request -----------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        client = Client(address=address, life=self._deaths[address])
        self.first_seen.setdefault(client, time.monotonic())
        call = classify(request.method, request.path, request.query)
        asked = _Asked(request, call, client, await request.read())
        try:
            if call.is_write and (trap := await self.traps.step(address, call)) is not None:
                return await self._hold(trap, asked)
            if is_gone(request):  # it died while its write was held
                return reset(request)
            fault = self.faults.draw(call)
            return await (self._pass(asked) if fault is None else self._fail(fault, asked))
        except (aiohttp.ClientError, OSError):  # one of the two sides is gone
            return reset(request)

    async def _hold(self, trap: Trap, asked: _Asked) -> web.StreamResponse:
        if trap.moment is Moment.AFTER:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._carry_out(asked, "held")
        await self.traps.hold(trap)
        return reset(asked.request)

    async def _fail(self, fault: Fault, asked: _Asked) -> web.StreamResponse:
        match fault.kind:
            case Kind.TOO_MANY | Kind.INTERNAL | Kind.UNAVAILABLE:
                return refusal(STATUSES[fault.kind])
            case Kind.DELAYED:
                await asyncio.sleep(fault.seconds)
                return await self._pass(asked, fault.kind)
            case Kind.DOUBLED:
                response = await self._pass(asked, fault.kind)
                self._carry_out_late(fault, asked)
                return response
            case Kind.LATE:
                self._carry_out_late(fault, asked)
            case Kind.TIMEOUT_DONE:
                await self._carry_out(asked, fault.kind)
                await asyncio.sleep(fault.seconds)
            case Kind.TIMEOUT_NOT_DONE:
                await asyncio.sleep(fault.seconds)
            case Kind.RESET_AFTER:
                await self._carry_out(asked, fault.kind)
        return reset(asked.request)

    def _carry_out_late(self, fault: Fault, asked: _Asked) -> None:
        task = asyncio.create_task(self._later(fault, asked))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _later(self, fault: Fault, asked: _Asked) -> None:
        await asyncio.sleep(fault.seconds)
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._carry_out(asked, fault.kind)

    # -- the API server --------------------------------------------------------------------------------

    async def _pass(self, asked: _Asked, fault: str = "") -> web.StreamResponse:
        if not asked.call.is_watch:
            return (await self._carry_out(asked, fault)).response()
        forever = aiohttp.ClientTimeout(total=None, sock_connect=UPSTREAM_SECONDS)
        async with self._send(asked, forever) as answer:
            if answer.status == 200:
                return await Stream(self.faults, asked.request, asked.call, answer).tell()
            return (await _whole(answer)).response()

    async def _carry_out(self, asked: _Asked, fault: str) -> Answer:
        """The API server's whole answer, noted. Of a watch only the head: who asks so wants no more."""
        status = None
        try:
            async with self._send(asked, aiohttp.ClientTimeout(total=UPSTREAM_SECONDS)) as answer:
                status = answer.status
                if asked.call.is_watch:
                    return Answer(status=status, headers=passed_on(answer.headers), body=b"")
                return await _whole(answer)
        finally:
            if asked.call.is_write and len(self.journal) < JOURNAL_MAX:
                now = time.monotonic()
                self.journal.append(Entry(at=now, client=asked.client, call=asked.call, status=status, fault=fault))

    def _send(self, asked: _Asked, timeout: aiohttp.ClientTimeout) -> aiohttp.client._RequestContextManager:
        return self._session.request(
            asked.request.method,
            URL(self._upstream + asked.request.raw_path, encoded=True),
            data=asked.body or None,
            headers=passed_on(asked.request.headers),
            timeout=timeout,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request with all that is known of it."""

    request: web.Request
    call: Call
    client: Client
    body: bytes


async def _whole(answer: aiohttp.ClientResponse) -> Answer:
    return Answer(status=answer.status, headers=passed_on(answer.headers), body=await answer.read())
