"""Who may ask: whoever knows the secret of the address, from a page of this very server, and nobody else.

The browser is what others could borrow: a page from elsewhere that sends requests here, or that has made its own name
lead to this machine (DNS rebinding). So each request must name this server as its host, must come from no other origin,
must carry the secret in its path, and can only read. What is answered may be framed, embedded and cached by nobody.

Promises: every answer, errors too, carries HEADERS. Must never log or answer with the secret, but once: to whoever
brings the ticket, which works once, within TICKET_SECONDS. The browser is started with the ticket, for what a program
was started with can be read by all users of a machine.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

SECRET_BYTES = 32
TICKET_SECONDS = 60.0
READS = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Of one server; `port` is known once it listens. `clock` is in seconds, and only its differences count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.secret = secrets.token_urlsafe(SECRET_BYTES)
        self.port = 0
        self._ticket = secrets.token_urlsafe(SECRET_BYTES)
        self._ticket_until = clock() + TICKET_SECONDS

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/{self.secret}/"

    @property
    def ticket_url(self) -> str:
        """What leads there once."""
        return f"http://127.0.0.1:{self.port}/open/{self._ticket}"

    async def open(self, request: web.Request) -> web.StreamResponse:
        """The ticket for the secret."""
        given, known = request.match_info["ticket"].encode(), self._ticket.encode()
        if not known or not hmac.compare_digest(given, known) or self.clock() > self._ticket_until:
            raise web.HTTPNotFound(text="this link was used or is too old: take the one in the terminal\n")
        self._ticket = ""
        raise web.HTTPFound(f"/{self.secret}/")

    def middleware(self) -> Middleware:
        """To stand before every handler."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._check(request)
            return await handler(request)

        return check

    def _check(self, request: web.Request) -> None:
        hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        if request.method not in READS:
            raise web.HTTPMethodNotAllowed(request.method, READS)
        if request.headers.getall("Host", []) not in [[host] for host in hosts]:
            raise web.HTTPForbidden(text="this server answers to 127.0.0.1 and to localhost\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            raise web.HTTPForbidden(text="a page from elsewhere may not ask here\n")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise web.HTTPForbidden(text="a page from elsewhere may not ask here\n")
        first = request.path.split("/")[1]
        if first != "open" and not hmac.compare_digest(first.encode(), self.secret.encode()):
            raise web.HTTPNotFound(text="the address is not whole: take the one in the terminal\n")


async def dress(_request: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer, before it goes out."""
    response.headers.update(HEADERS)
