"""A run without a cluster, in the test's own process: real processes, real files, and what was heard of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kipu.core.events import Event, Resolution
from kipu.core.state import State
from kipu.eventlog.file import FileLog
from kipu.eventlog.ports import EventLog, Recorded
from kipu.shell.clock import Clock, SystemClock
from kipu.shell.local_engine import LocalEngine
from kipu.shell.local_runs import LocalRun, Runs


def step(name: str, script: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "script": script, **fields}


class World:
    """One run; each call of `live` is the life of another engine."""

    def __init__(self, folder: Path, *steps: Mapping[str, Any], **spec: Any) -> None:
        self.folder = folder
        self.spec = {"defaults": {"image": "unused"}, "steps": list(steps), **spec}
        self.run: LocalRun = self._begin()
        self.events: list[Event] = []
        self.on: Callable[[Event], None] = lambda _event: None
        self.engine: LocalEngine
        self._forsaken: list[asyncio.Task[None]] = []

    def _begin(self) -> LocalRun:
        runs = Runs(self.folder / "runs", "nightly")
        runs.own()
        run = runs.begin(self.spec, self.folder)
        runs.release()
        return run

    async def live(
        self,
        *,
        log: EventLog | None = None,
        processes_max: int = 8,
        clock: Clock | None = None,
        words: Mapping[str, Resolution] | None = None,
        rerun_from: Sequence[str] | None = None,
    ) -> State:
        self.engine = LocalEngine(
            self.run,
            log or FileLog(self.run.log),
            clock or SystemClock(),
            writer="test",
            processes_max=processes_max,
            show=self._show,
            spec=self.spec,
            words=words,
            rerun_from=rerun_from,
        )
        state = await self.engine.run()
        if self._forsaken:  # their wardens have ended, as those of anybody: they are our children, and are waited for
            await asyncio.wait(self._forsaken)
        return state

    def forsake(self) -> None:
        """From now on this engine takes nothing down and waits for nobody: SIGKILL would leave it so."""
        self.engine._orders.clear()
        reaping = self.engine._performer._reaping
        self._forsaken += reaping.values()
        reaping.clear()

    def _show(self, records: Sequence[Recorded], _state: State) -> None:
        for record in records:
            self.events.append(record.event)
            self.on(record.event)

    def fifo(self, name: str) -> Path:
        """Where a step says something that the test waits for."""
        os.mkfifo(self.folder / name)
        return self.folder / name

    def kinds(self, *, step: str | None = None) -> list[str]:
        return [type(e).__name__ for e in self.events if step is None or getattr(e, "step", None) == step]

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def heard(fifo: Path) -> str:
    """What a step wrote into its fifo: waits until it has."""
    return (await asyncio.to_thread(fifo.read_text)).strip()
