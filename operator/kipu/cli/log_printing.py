"""Logs of one or many steps, printed: once, merged by time; or followed, with the attempts to come.

Promises: as in `logs`. A step whose pod is gone keeps nobody from reading the others.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing

import click
from rich.console import Console
from rich.text import Text

from kipu.core.errors import TransientError
from kipu.core.lifecycle import TERMINAL_STEP_PHASES
from kipu.eventlog.ports import Recorded
from kipu.shell.clock import SystemClock

from .cluster import Cluster, find_workflow
from .commands import note
from .errors import CANNOT_TELL, CannotTell, NoWorkflow
from .log_lines import Line
from .log_sources import (
    SOURCES_MAX,
    Asked,
    Source,
    attempts_of,
    check_attempt,
    fate,
    last_words,
    newest,
    next_attempt,
    not_begun,
    places,
    sources,
)
from .options import Where
from .reading import Look, look
from .sighting import pods_selector
from .steps import place_of
from .taps import PodGone, Tap
from .waiting import is_over, looks

ONLY_THE_END = "; of what it wrote the end alone was kept"
PREFIX_STYLES = ("cyan", "magenta", "green", "yellow", "blue")


class Printer:
    """Lines to standard output, everything else to stderr."""

    def __init__(self, *, prefixes: bool, timestamps: bool) -> None:
        self._prefixes = prefixes
        self._timestamps = timestamps
        self._console = Console()

    def line(self, step: str, attempt: int, line: Line) -> None:
        """One line of this attempt."""
        text = line.stamp + b" " + line.text if self._timestamps and line.stamp else line.text
        click.echo(self._prefix(step, attempt) + text)

    def _prefix(self, step: str, attempt: int) -> bytes:
        if not self._prefixes:
            return b""
        text = f"[{step}/{attempt}]"
        if self._console.is_terminal and not self._console.no_color:
            style = PREFIX_STYLES[sum(step.encode()) % len(PREFIX_STYLES)]
            with self._console.capture() as captured:
                self._console.print(Text(text, style=style), end="", soft_wrap=True)
            text = captured.get()
        return f"{text} ".encode()

    def note(self, text: str) -> None:
        """Something beside the lines."""
        note(text)


# -- once --------------------------------------------------------------------------------------------------


async def print_logs(where: Where, name: str, asked: Asked, query: Mapping[str, str], printer: Printer) -> int:
    """What there is now. Raises CannotTell where that is nothing of the one step that was asked for."""
    cluster, namespace = where.connect()
    found = await look(cluster, namespace, name)
    chosen = places(found.state, asked, name)
    if asked.everything:
        some, left_out = newest(sources(found.state, _records(found), chosen))
        if left_out:
            printer.note(f"of {len(some) + left_out} logs these are the {len(some)} youngest: name a step for another")
        return await _print_merged(cluster, found, some, query, printer)
    (place,) = chosen
    step, attempts, has_come = found.state.name(place), attempts_of(found.state, _records(found), place), False
    if asked.attempt is not None:
        check_attempt(step, attempts, asked.attempt)
    if not attempts:
        raise not_begun(found.state, place, now=SystemClock().now())
    number = asked.attempt or attempts
    tap = Tap(cluster, namespace, pods_selector(found.stream.uid, found.state, place, number), query)
    try:
        async for line in tap.read():
            printer.line(step, number, line)
            has_come = True
    except PodGone as error:
        kept = () if has_come else _kept(found, step, number, query)
        if not kept:
            raise CannotTell(_instead(found, step, number, error)) from error
        _print_kept(printer, step, number, _instead(found, step, number, error), kept)
    return 0


def _print_kept(printer: Printer, step: str, attempt: int, said: str, kept: Sequence[Line]) -> None:
    """That a pod is gone, and what was kept of its log, if anything was."""
    printer.note(said + (ONLY_THE_END if kept else ""))
    for line in kept:
        printer.line(step, attempt, line)


def _kept(found: Look, step: str, attempt: int, query: Mapping[str, str]) -> Sequence[Line]:
    """What the log of events has kept of the end of an attempt's log, and of that what was asked for."""
    lines = last_words(_records(found), found.state.run, step, attempt)
    if "sinceSeconds" in query:
        since_ns = (SystemClock().now() - int(query["sinceSeconds"]) * 1_000) * 1_000_000
        lines = [line for line in lines if line.time_ns is None or line.time_ns >= since_ns]
    return lines[max(0, len(lines) - int(query["tailLines"])) :] if "tailLines" in query else lines


def _records(found: Look) -> Sequence[Recorded]:
    return () if found.history is None else found.history.records


def _instead(found: Look, step: str, attempt: int, error: Exception) -> str:
    """That the pod is gone, and what is known all the same."""
    known = fate(_records(found), found.state.run, step, attempt)
    of_events = f"; the log of events knows: {known}" if known else ""
    return f"step '{step}', attempt {attempt}: {error}{of_events}"


async def _print_merged(
    cluster: Cluster, found: Look, chosen: Sequence[Source], query: Mapping[str, str], printer: Printer
) -> int:
    """The lines of all, by their times."""
    printed = 0
    async with AsyncExitStack() as stack:
        merge = _Merge(found, query, printer)
        for source in chosen:
            selector = pods_selector(found.stream.uid, found.state, source.place, source.attempt)
            tap = Tap(cluster, found.stream.namespace, selector, query)
            await merge.add(source, await stack.enter_async_context(aclosing(tap.read())))
        while (taken := await merge.take()) is not None:
            source, line = taken
            printer.line(source.step, source.attempt, line)
            printed += 1
    return 0 if printed or merge.empty or not chosen else CANNOT_TELL


class _Merge:
    """Of each source the next line, the oldest first."""

    def __init__(self, found: Look, query: Mapping[str, str], printer: Printer) -> None:
        self._found = found
        self._query = query
        self._printer = printer
        self._sources: list[tuple[Source, AsyncIterator[Line]]] = []
        self._next: list[tuple[int, int, Line]] = []  # a heap: time, place in the list before, line
        self.empty = 0  # sources that are there and have nothing to say

    async def add(self, source: Source, lines: AsyncIterator[Line]) -> None:
        self._sources.append((source, lines))
        await self._pull(len(self._sources) - 1, 0)

    async def take(self) -> tuple[Source, Line] | None:
        if not self._next:
            return None
        time_ns, number, line = heapq.heappop(self._next)
        await self._pull(number, time_ns)
        return self._sources[number][0], line

    async def _pull(self, number: int, after_ns: int) -> None:
        source, lines = self._sources[number]
        try:
            line = await anext(lines)
        except StopAsyncIteration:
            self.empty += after_ns == 0
        except (PodGone, TransientError) as error:
            kept = () if after_ns else _kept(self._found, source.step, source.attempt, self._query)
            said = _instead(self._found, source.step, source.attempt, error)
            self._printer.note(said + (ONLY_THE_END if kept else ""))
            if kept:
                self._sources[number] = source, _one_by_one(kept)
                await self._pull(number, after_ns)
        else:
            heapq.heappush(self._next, (after_ns if line.time_ns is None else line.time_ns, number, line))


async def _one_by_one(lines: Sequence[Line]) -> AsyncIterator[Line]:
    for line in lines:
        yield line


# -- as it comes -------------------------------------------------------------------------------------------


async def follow_logs(where: Where, name: str, asked: Asked, query: Mapping[str, str], printer: Printer) -> int:
    """Until the step, or with --all the run, is over. Raises NoWorkflow if there is none now, CannotTell."""
    cluster, namespace = where.connect()
    return await _Following(cluster, namespace, name, asked, query, printer).run()


class _Following:
    def __init__(
        self, cluster: Cluster, namespace: str, name: str, asked: Asked, query: Mapping[str, str], printer: Printer
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._asked = asked
        self._query = query
        self._printer = printer
        self._found: Look | None = None
        self._printed: dict[tuple[int, str], int] = {}  # by run and step: the attempt that was printed last
        self._taps: dict[str, asyncio.Task[None]] = {}  # by step
        self._news = asyncio.Event()

    async def run(self) -> int:
        looking = asyncio.create_task(self._look())
        looking.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                self._reap()
                if self._found is not None and self._serve(self._found) and not self._taps:
                    return 0
                if looking.done():
                    looking.result()
                    raise NoWorkflow(f"Workflow '{self._name}' was deleted")
        finally:
            tasks = [looking, *self._taps.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Keep what is known of the Workflow, to its end."""
        known = await find_workflow(self._cluster, self._namespace, self._name)
        async with aclosing(looks(self._cluster, known, note=self._printer.note)) as seen:
            async for found in seen:
                self._found = found
                self._news.set()

    def _serve(self, found: Look) -> bool:
        """Follow what has begun and is not followed; whether nothing more will come."""
        if found.state.definition is None:
            return found.state.is_terminal
        state, chosen = found.state, places(found.state, self._asked, self._name)
        is_done = True
        for source in sources(state, _records(found), chosen):
            number = next_attempt(state, source, self._printed.get((state.run, source.step), 0))
            if number is None:
                continue
            is_done = False
            if source.step not in self._taps and len(self._taps) < SOURCES_MAX:
                self._printed[state.run, source.step] = number
                tap = self._taps[source.step] = asyncio.create_task(self._follow(found, source, number))
                tap.add_done_callback(lambda _: self._news.set())
        if self._asked.step is None:
            return is_done and is_over(found.workflow, state)
        place = place_of(state, self._asked.step, self._name)
        if is_done and state.steps[place].phase in TERMINAL_STEP_PHASES:
            if not chosen or not self._printed:
                self._printer.note(str(not_begun(state, place, now=state.ts)))
            return True
        return False

    def _reap(self) -> None:
        """Taps that have ended. Raises what ended them, if that is no end of a log."""
        for step in [step for step, tap in self._taps.items() if tap.done()]:
            self._taps.pop(step).result()

    async def _follow(self, found: Look, source: Source, attempt: int) -> None:
        selector = pods_selector(found.stream.uid, found.state, source.place, attempt)
        tap = Tap(self._cluster, self._namespace, selector, self._query)
        has_come = False
        try:
            async with aclosing(tap.follow()) as lines:
                async for line in lines:
                    self._printer.line(source.step, attempt, line)
                    has_come = True
        except PodGone as error:
            newest = self._found or found  # it may have failed meanwhile
            is_same_run = newest.state.run == found.state.run
            kept = _kept(newest, source.step, attempt, self._query) if is_same_run and not has_come else ()
            said = _instead(newest if is_same_run else found, source.step, attempt, error)
            _print_kept(self._printer, source.step, attempt, said, kept)
