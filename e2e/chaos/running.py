"""The proxy in a thread of its own, with a loop of its own: the rest of the harness waits in plain threads.

Promises: after `with` nothing of it is left, and its port is free. Every method may be called from any thread.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from .proxy import Client, Entry, Proxy
from .traps import Moment, Trap

T = TypeVar("T")
CALL_SECONDS = 30.0


class RunningProxy:
    """A proxy that serves from `with` to its end."""

    def __init__(self, proxy: Proxy, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._proxy = proxy
        self._address = host, port
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.port = port
        self.faults = proxy.faults

    def __enter__(self) -> RunningProxy:
        self._thread.start()
        try:
            self.port = self._call(self._proxy.start(*self._address, tls=self._tls))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call(self._proxy.close())
        finally:
            self._end()

    def arm(self, peer: str, write: int, moment: Moment) -> Trap:
        """Set a trap for the n-th write from now of the client at this address."""
        trap = Trap(peer=peer, countdown=write, moment=moment)
        self._do(lambda: self._proxy.traps.arm(trap))
        return trap

    def release(self, trap: Trap) -> None:
        """Let go of what it holds."""
        self._do(lambda: self._proxy.traps.release(trap))

    def bury(self, address: str) -> Client:
        """The process at this address has been killed."""
        return self._do(lambda: self._proxy.bury(address))

    def calm(self) -> None:
        """From here on nothing goes wrong."""
        self.faults.is_calm = True

    def seen(self) -> tuple[list[Entry], dict[Client, float]]:
        """The journal, and when each client was first heard of."""
        return self._do(lambda: (list(self._proxy.journal), dict(self._proxy.first_seen)))

    def _end(self) -> None:
        self._call(_cancel_the_rest())
        self._call(asyncio.sleep(0))  # a connection that was closed in the last turn is let go of in this one
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def _do(self, work: Callable[[], T]) -> T:
        async def done() -> T:
            return work()

        return self._call(done())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)


async def _cancel_the_rest() -> None:
    """Of a peer that never began to speak TLS, the loop waits for its first word in a task of its own."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
