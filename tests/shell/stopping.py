"""Processes in one event loop that can be stopped and resumed, as SIGSTOP and SIGCONT do it, in virtual time.

What runs in `as_process(name)` is that process. While it is stopped nothing of it runs, not even a timer that is due;
when it is resumed, all of that runs at once and in order. What it has sent is out: it arrives meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

import looptime

from kipu.shell.kube_http import Reply, Request, Transport

PROCESS: ContextVar[str] = ContextVar("PROCESS", default="")  # "" is the world outside, which nobody stops
T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class _Withheld:
    """One callback of the loop, which waits while its process is stopped."""

    def __init__(self, loop: StoppableLoop, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._loop = loop
        self._callback = callback
        self._arguments = arguments
        self.handle: asyncio.Handle
        self.context: Context

    def __call__(self) -> None:
        if self.handle.cancelled():
            return
        if PROCESS.get() in self._loop.stopped:
            self._loop.withheld.append(self)
        else:
            self._callback(*self._arguments)


class StoppableLoop(asyncio.SelectorEventLoop):
    """An event loop that knows of which process each of its callbacks is."""

    def __init__(self) -> None:
        self.stopped: set[str] = set()
        self.withheld: list[_Withheld] = []
        super().__init__()

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        """See asyncio."""
        each = _Withheld(self, callback, args)
        each.context = copy_context() if context is None else context
        each.handle = super().call_soon(each, context=each.context)
        return each.handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """See asyncio."""
        each = _Withheld(self, callback, args)
        each.context = copy_context() if context is None else context
        each.handle = handle = super().call_at(when, each, context=each.context)
        return handle

    def stop_process(self, name: str) -> None:
        """SIGSTOP."""
        self.stopped.add(name)

    def resume_process(self, name: str) -> None:
        """SIGCONT."""
        self.stopped.discard(name)
        waiting, self.withheld = self.withheld, []
        for each in waiting:
            super().call_soon(each, context=each.context)


class Wire:
    """A Transport out of a process: what was sent is carried on by the world, whatever becomes of its sender."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        carried = asyncio.get_running_loop().create_task(
            self._inner.send(request, timeout_seconds=timeout_seconds), context=Context()
        )
        carried.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
        return await asyncio.shield(carried)

    def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        return self._inner.stream(request, timeout_seconds=timeout_seconds)

    async def close(self) -> None:
        await self._inner.close()


def as_process(name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run this as (a task of) a process of that name."""
    context = copy_context()
    context.run(PROCESS.set, name)
    return asyncio.get_running_loop().create_task(work, context=context)


def run_virtually(main: Callable[[StoppableLoop], Coroutine[Any, Any, T]]) -> T:
    """`main` in a loop of its own, whose time is virtual."""
    loop = StoppableLoop()
    looptime.patch_event_loop(loop)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        for name in list(loop.stopped):
            loop.resume_process(name)
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.close()


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
