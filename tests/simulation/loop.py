"""An event loop in virtual time, whose every choice is drawn from a seed, and whose processes can be killed.

A *lane* is what one process of the simulated world runs: each replica of the operator has one of its own for each
of its lives, and everything else (API server, controllers, kubelets, the test) shares the lane WORLD. A handle
belongs to the lane in whose context it was made, as asyncio keeps it; so tasks and timers inherit their lane.

Promises: the same seed and the same program give the same run, in every process; within a lane handles run in the
order in which asyncio would run them, and the seed says which lane goes first; time moves only when nothing is
ready. A lane that is stopped runs no handle, between any two awaits, until it is resumed: its timers then are late.
A lane that is killed never runs again: no `except` and no `finally` of it, as after kill -9. Must never wait for
anything real, and never touch a file descriptor.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import BaseEventLoop, Handle
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any

WORLD = ""
LANE: ContextVar[str] = ContextVar("lane", default=WORLD)
HANDLES_PER_INSTANT_MAX = 100_000  # a turn is about 20: so many without time moving on are a loop that spins


class Standstill(Exception):
    """Nothing is ready and no timer is set: whoever waits now waits for ever."""


class Spinning(Exception):
    """Handle after handle, and time stands still."""


class Loop(BaseEventLoop):
    """See above. `handles` counts what each lane has run; `at_handle` asks to be called before one of them."""

    _ready: deque[Any]  # handles; BaseEventLoop makes it, and the next, a heap of timers
    _scheduled: list[Any]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._now = 0.0
        self._instant = 0  # handles since time last moved
        self._queues: dict[str, deque[Handle]] = {}  # of the lanes that have something to run
        self._is_burying = False
        self._parked: dict[str, list[Handle]] = {}  # of the lanes that are stopped or dead
        self._alarms: dict[str, tuple[int, Callable[[], object]]] = {}
        self._tasks: list[_Task] = []  # all that ever were: nothing is left to the garbage collector
        self.handles: dict[str, int] = {}
        self.faults: list[str] = []  # exceptions that nobody caught
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    # -- lanes -------------------------------------------------------------------------------------------

    def begin(self, lane: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """The first task of a lane."""
        context = copy_context()
        context.run(LANE.set, lane)
        return self.create_task(work, context=context)

    def stop_lane(self, lane: str) -> None:
        """Run nothing of it from now on. The handle that is running, if it is this lane's, still ends."""
        if self._is_burying:
            return  # a fault that strikes what is only to end: its tasks would be waited for for ever
        self._parked.setdefault(lane, list(self._queues.pop(lane, ())))
        self._alarms.pop(lane, None)

    def resume_lane(self, lane: str) -> None:
        """Go on where it was stopped, if it is."""
        self._ready.extendleft(reversed(self._parked.pop(lane, [])))

    def at_handle(self, lane: str, number: int, call: Callable[[], object]) -> None:
        """Call this before the lane runs its `number`-th handle (from 0). One alarm a lane."""
        self._alarms[lane] = number, call

    def bury(self) -> None:
        """After the run: cancel every task and let it end, those of dead lanes included."""
        self._is_burying = True
        self._alarms.clear()
        self._instant = 0
        for lane in list(self._parked):
            self.resume_lane(lane)
        open_tasks = [task for task in self._tasks if not task.done()]
        for task in open_tasks:
            task.cancel()
        self.run_until_complete(self._ended(open_tasks))
        self.close()

    async def _ended(self, tasks: list[_Task]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what asyncio asks for ---------------------------------------------------------------------------

    def _run_once(self) -> None:
        """Run one handle: of a lane that the seed chooses."""
        self._sort()
        if not self._queues:
            self._advance()
            self._sort()
            if not self._queues:
                return
        queues = self._queues
        lane = next(iter(queues)) if len(queues) == 1 else list(queues)[int(self._random.random() * len(queues))]
        number = self.handles.get(lane, 0)
        alarm = self._alarms.get(lane)
        if alarm is not None and alarm[0] <= number:
            del self._alarms[lane]
            Handle(alarm[1], (), self)._run()  # an exception of it is noted like any other
            return
        queue = queues[lane]
        handle = queue.popleft()
        if not queue:
            del queues[lane]
        if not handle.cancelled():
            self.handles[lane] = number + 1
            handle._run()

    def _sort(self) -> None:
        """Each handle that became ready into the queue of its lane."""
        ready, queues, parked = self._ready, self._queues, self._parked
        while ready:
            handle = ready.popleft()
            lane = handle._context.get(LANE, WORLD)
            if lane in parked:
                parked[lane].append(handle)
            elif lane in queues:
                queues[lane].append(handle)
            else:
                queues[lane] = deque((handle,))
            self._instant += 1
        if self._instant > HANDLES_PER_INSTANT_MAX:
            raise Spinning(f"{self._instant} handles at {self._now:.3f} s")

    def _advance(self) -> None:
        """To the next timer."""
        timers = self._scheduled
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not timers:
            raise Standstill(f"nothing is left to run at {self._now:.3f} s")
        if timers[0]._when > self._now:
            self._now = timers[0]._when
            self._instant = 0
        while timers and timers[0]._when <= self._now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer._cancelled:
                self._ready.append(timer)

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **more: Any
    ) -> _Task:
        task = _Task(len(self._tasks) + 1, work, loop=loop, **more)
        self._tasks.append(task)
        return task

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""


class _Task(asyncio.Task[Any]):
    """A task that hashes by its number: a set of tasks is walked in the same order in every process."""

    def __init__(self, serial: int, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **more: Any) -> None:
        self._serial = serial  # first: asyncio keeps every task in a set from its beginning on
        super().__init__(work, **more)

    def __hash__(self) -> int:
        return self._serial
