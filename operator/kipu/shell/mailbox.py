"""An actor's mailbox: what it still has to be told.

Bounded by coalescing: at most one observation and one person's word per step (the most telling one stands), and one
each of the rest but answers, which the spec bounds, so it never holds more than 2 x steps + 104 commands. Observed
outcomes come out before timers: a finished pod beats a deadline that is not committed yet (design 03).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from kipu.core.commands import (
    AttemptRef,
    Command,
    FireTimers,
    GiveApproval,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveRefused,
    ObserveStarted,
    RequestRerun,
    RequestShutdown,
    ResolveUnknown,
    SetSuspended,
    weight,
)

Observation = ObserveStarted | ObserveOutcome | ObserveMissing | ObserveRefused | ObserveGone
# A later observation replaces one that tells less about the same attempt.
_WEIGHT: dict[type, int] = {ObserveStarted: 0, ObserveMissing: 1, ObserveRefused: 2, ObserveOutcome: 2, ObserveGone: 3}
LAZY_SECONDS = 1.0  # how long a fact that enables no effect may wait for company (design 02)


class Mailbox:
    """Commands in the order in which they are to be decided. Touched from the engine's loop only."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.heard_at: float | None = None  # when the oldest urgent observation of those that are here came
        self._observations: dict[str, Observation] = {}
        self._patient: set[str] = set()  # steps of which what was observed may wait for company
        self._requests: dict[type, Command] = {}
        self._answers: dict[tuple[int, str], Command] = {}  # the first to each step stands
        self._words: dict[AttemptRef, Command] = {}  # on what nobody knows: the last about each attempt stands
        self._wake = asyncio.Event()
        self._lazy: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._observations) + len(self._requests) + len(self._answers) + len(self._words)

    def put(self, command: Command) -> None:
        """Take a command in; wakes the actor, at once or (a start alone) within LAZY_SECONDS."""
        if isinstance(command, FireTimers | RequestShutdown | SetSuspended | RequestRerun):
            self._requests[type(command)] = command
        elif isinstance(command, GiveApproval):
            self._answers.setdefault((command.run, command.step), command)
        elif isinstance(command, ResolveUnknown):
            self._words[command.ref] = command
        elif isinstance(command, Observation):
            self._observed(command, is_patient=isinstance(command, ObserveStarted) and not command.is_awaited)
            return
        else:
            raise TypeError(f"{type(command).__name__} does not come by mail")
        self._wake.set()

    def remind(self, command: Observation) -> None:
        """What was put before, or is of an attempt that is over: it is decided again, but hurries nobody."""
        self._observed(command, is_patient=True)

    def _observed(self, command: Observation, *, is_patient: bool) -> None:
        step = command.ref.step
        if not self._is_news(command):
            return
        if not is_patient:
            self._patient.discard(step)
            self._wake.set()
            if self.heard_at is None:
                self.heard_at = self._now()
        elif step not in self._observations:  # in the place of something urgent it is as urgent
            self._patient.add(step)
            self._wake_at(asyncio.get_running_loop().time() + LAZY_SECONDS)
        self._observations[step] = self._with_its_start(command)

    def _is_news(self, command: Observation) -> bool:
        known = self._observations.get(command.ref.step)
        if known is None:
            return True
        if known.ref != command.ref:
            return (command.ref.run, command.ref.attempt) > (known.ref.run, known.ref.attempt)
        return _WEIGHT[type(command)] > _WEIGHT[type(known)]

    def _with_its_start(self, command: Observation) -> Observation:
        """An absence says nothing of what was there before."""
        known = self._observations.get(command.ref.step)
        if isinstance(command, ObserveMissing) and isinstance(known, ObserveStarted) and known.ref == command.ref:
            return replace(command, started=known)
        return command

    def take(self, limit: int) -> list[Command]:
        """Commands of at most this weight: requests, then observations, then timers. Nothing is waited for.

        After a mere nudge, what waits for company stays.
        """
        if not (self._requests or self._answers or self._words) and self._observations.keys() <= self._patient:
            self._wake.clear()
            return []
        found = (self._requests.pop(kind, None) for kind in (SetSuspended, RequestShutdown, RequestRerun))
        taken: list[Command] = [command for command in found if command is not None]
        for key in list(self._answers)[: limit - len(taken)]:
            taken.append(self._answers.pop(key))
        for ref in list(self._words)[: limit - len(taken)]:
            taken.append(self._words.pop(ref))
        left = limit - len(taken)
        for step, command in list(self._observations.items())[: max(0, left)]:
            left -= weight(command)
            if left < 0:
                break
            taken.append(self._observations.pop(step))
            self._patient.discard(step)
        if not self._observations and left > 0 and (timers := self._requests.pop(FireTimers, None)):
            taken.append(timers)
        if not len(self):
            self._wake.clear()
            self.heard_at = None
            if self._lazy is not None:
                self._lazy.cancel()
                self._lazy = None
        return taken

    def put_back(self, commands: Iterable[Command], until: float) -> None:
        """What was just taken, all that there was: it waits for company, until this time of the loop at most."""
        assert not len(self)
        for command in commands:
            assert isinstance(command, Observation)
            self._observations[command.ref.step] = command
            self._patient.add(command.ref.step)
        self._wake_at(until)

    async def wait(self) -> None:
        """Until there is something to decide, or `nudge`."""
        await self._wake.wait()

    def nudge(self) -> None:
        """Wake the actor without a command: a slot came free, the status is due."""
        self._wake.set()

    def close(self) -> None:
        """Drop everything and its timer; what was in it will be observed again."""
        self._observations.clear()
        self._patient.clear()
        self._requests.clear()
        self._answers.clear()
        self._words.clear()
        if self._lazy is not None:
            self._lazy.cancel()
            self._lazy = None

    def _wake_at(self, due: float) -> None:
        if self._lazy is None:
            self._lazy = asyncio.get_running_loop().call_at(due, self._lazy_due)

    def _lazy_due(self) -> None:
        self._lazy = None
        self._patient.clear()
        self._wake.set()
