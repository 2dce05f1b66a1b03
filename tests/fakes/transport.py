"""The Transport of one user of the fake API server: latency, faults, and being cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_http import Reply, Request

from .faults import CrashAfter, CrashBefore, Delayed, Duplicated, Fault, Status, TimeoutDone, TimeoutNotDone
from .wire import reply

if TYPE_CHECKING:
    from .apiserver import ApiServer


class FakeTransport:
    """Implements kipu.shell.kube_http.Transport."""

    def __init__(self, server: ApiServer, user: str, *, faulty: bool) -> None:
        self._server = server
        self.user = user
        self._faulty = faulty
        self.is_cut = False  # a partition: nothing goes out any more
        self.writes = 0  # sent by this user so far

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        """See Transport."""
        is_write = request.method != "GET"
        fault = self._fault(request)
        self.writes += is_write
        if self.is_cut:
            await asyncio.sleep(timeout_seconds)
            raise Unanswered(f"{request.method} {request.path}: cut off")
        await self._server.travel()
        if fault is not None:
            return await self._suffer(fault, request)
        answer = self._server.answer(self.user, request)
        await self._server.travel()
        return answer

    @asynccontextmanager
    async def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """See Transport."""
        fault = self._fault(request)
        await self._server.travel()
        if self.is_cut or isinstance(fault, TimeoutDone | TimeoutNotDone | Delayed):
            raise Unanswered(f"{request.method} {request.path}: no answer")
        if isinstance(fault, CrashBefore | CrashAfter):
            await _crash(fault)
        if isinstance(fault, Status):
            yield fault.code, _one(_refusal(fault).body)
            return
        async with self._server.watching(self.user, request) as (status, lines):
            yield status, lines(timeout_seconds)

    async def close(self) -> None:
        """See Transport."""

    def _fault(self, request: Request) -> Fault | None:
        return self._server.faults(self.writes, request) if self._faulty else None

    async def _suffer(self, fault: Fault, request: Request) -> Reply:
        server = self._server
        match fault:
            case CrashBefore():
                await _crash(fault)
            case CrashAfter():
                server.answer(self.user, request)
                await _crash(fault)
            case Status():
                return _refusal(fault)
            case Duplicated():
                server.later(fault.seconds, server.answer, self.user, request)
                return server.answer(self.user, request)
            case TimeoutDone():
                server.answer(self.user, request)
                await asyncio.sleep(fault.seconds)
            case TimeoutNotDone():
                await asyncio.sleep(fault.seconds)
            case Delayed():
                server.later(fault.seconds, server.answer, self.user, request)
        raise Unanswered(f"{request.method} {request.path}: no answer")


async def _crash(fault: CrashBefore | CrashAfter) -> NoReturn:
    fault.crash()
    await asyncio.Event().wait()  # until the crash's cancellation arrives
    raise AssertionError("an event that nobody sets was set")


async def _one(line: bytes) -> AsyncIterator[bytes]:
    yield line


def _refusal(fault: Status) -> Reply:
    message = f"refused by the test: {fault.code}"
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": fault.reason, "code": fault.code}
    answer = reply(fault.code, body)
    if fault.retry_after_seconds is None:
        return answer
    return Reply(status=answer.status, headers={"Retry-After": str(fault.retry_after_seconds)}, body=answer.body)
