"""The Transport of one user of the fake API server: latency, faults, and being cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_http import Reply, Request

from .faults import (
    CrashAfter,
    CrashBefore,
    Delayed,
    Duplicated,
    Fault,
    FaultHook,
    Stale,
    Status,
    TimeoutDone,
    TimeoutNotDone,
)
from .wire import reply

if TYPE_CHECKING:
    from .apiserver import ApiServer


class FakeTransport:
    """Implements kipu.shell.kube_http.Transport."""

    def __init__(self, server: ApiServer, user: str, *, faulty: bool, faults: FaultHook | None) -> None:
        self._server = server
        self.user = user
        self._faulty = faulty
        self._faults = faults
        self.is_cut = False  # a partition: nothing goes out any more
        self.writes = 0  # sent by this user so far

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        """See Transport. Once it is sent, a request goes its way: no death of the client calls it back."""
        is_write = request.method != "GET"
        fault = self._fault(request)
        self.writes += is_write
        if isinstance(fault, CrashBefore):
            await _crash(fault)
        if self.is_cut:
            await asyncio.sleep(timeout_seconds)
            raise Unanswered(f"{request.method} {request.path}: cut off")
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._server.later(self._server.travel_seconds(), self._arrive, request, fault, answered)
        return await answered

    @asynccontextmanager
    async def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """See Transport."""
        fault = self._fault(request)
        await asyncio.sleep(self._server.travel_seconds())
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
        hook = self._faults or self._server.faults
        return hook(self.writes, request) if self._faulty else None

    def _arrive(self, request: Request, fault: Fault | None, answered: asyncio.Future[Reply]) -> None:
        """The request is at the server, in the server's own time."""
        server = self._server
        lost = Unanswered(f"{request.method} {request.path}: no answer")
        match fault:
            case None:
                self._settle(answered, server.travel_seconds(), server.answer(self.user, request))
            case CrashBefore():
                raise AssertionError("a request that was never sent has arrived")
            case CrashAfter():
                server.answer(self.user, request)
                fault.crash()
            case Status():
                if fault.done:
                    server.answer(self.user, request)
                self._settle(answered, server.travel_seconds(), _refusal(fault))
            case Duplicated():
                server.later(fault.seconds, server.answer, self.user, request)
                self._settle(answered, server.travel_seconds(), server.answer(self.user, request))
            case TimeoutDone():
                server.answer(self.user, request)
                self._settle(answered, fault.seconds, lost)
            case TimeoutNotDone():
                self._settle(answered, fault.seconds, lost)
            case Delayed():
                server.later(fault.seconds, server.answer, self.user, request)
                self._settle(answered, 0.0, lost)
            case Stale():
                self._settle(answered, server.travel_seconds(), server.answer(self.user, self._earlier(request, fault)))

    def _earlier(self, request: Request, fault: Stale) -> Request:
        etcd = self._server.etcd
        revision = max(etcd.compacted, etcd.revision - fault.revisions)
        exact = {"resourceVersion": str(revision), "resourceVersionMatch": "Exact"}
        return replace(request, query={**request.query, **exact})

    def _settle(self, answered: asyncio.Future[Reply], seconds: float, outcome: Reply | Unanswered) -> None:
        self._server.later(seconds, _deliver, answered, outcome)


def _deliver(answered: asyncio.Future[Reply], outcome: Reply | Unanswered) -> None:
    if answered.done():
        return  # nobody waits for it any more
    if isinstance(outcome, Unanswered):
        answered.set_exception(outcome)
    else:
        answered.set_result(outcome)


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
