"""The body of an answer as it comes, line by line: watches, and logs that are followed.

Promises: a line is given once, whole; whoever waits for one may be cancelled, and the next asks for the same line;
a body that breaks off is Unanswered; `close` ends a read that waits for bytes. Must never keep more than a line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from kipu.eventlog.ports import Unanswered

LINE_BYTES_MAX = 16 * 1024 * 1024  # of a watch: an object of at most 1.5 MiB, with what JSON adds; of a log: enough


class Stream:
    """One body. Use it in one task at a time."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response
        self._lines = _lines(response)
        self._thread = ThreadPoolExecutor(1)  # one of its own: it waits for hours, and others must not wait for it
        self._reading: asyncio.Future[bytes | None] | None = None

    async def line(self) -> bytes | None:
        """The next line without its newline; None at the end. Raises Unanswered where it breaks off."""
        if self._reading is None:
            self._reading = asyncio.wrap_future(self._thread.submit(next, self._lines, None))
        try:
            line = await asyncio.shield(self._reading)
        except (HTTPError, OSError, ValueError) as error:
            self._reading = None
            raise Unanswered(f"the answer broke off: {error}") from error
        self._reading = None
        return line

    async def changes(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Of a watch, to its end; then the body is closed. Raises Unanswered where it breaks off."""
        try:
            while (line := await self.line()) is not None:
                yield _parsed(line)
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of the connection, whatever may still come."""
        with suppress(ValueError, RuntimeError, OSError):  # it has ended already
            self._response.shutdown()
        reading, self._reading = self._reading, None
        if reading is not None:
            await asyncio.wait([reading])
            reading.exception()  # nobody wants to know
        self._thread.shutdown(wait=False)
        self._response.close()


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        change: Mapping[str, Any] = json.loads(line)
    except ValueError as error:
        raise Unanswered(f"the watch broke off within a line: {error}") from error
    return change


def _lines(response: BaseHTTPResponse) -> Iterator[bytes]:
    rest = bytearray()
    for part in response.stream(amt=None, decode_content=False):
        *whole, last = part.split(b"\n")
        for line in whole:
            rest += line
            yield bytes(rest)
            rest.clear()
        rest += last
        if len(rest) > LINE_BYTES_MAX:
            raise ValueError(f"a line of more than {LINE_BYTES_MAX} bytes")
    if rest:
        yield bytes(rest)
