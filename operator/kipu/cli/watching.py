"""`kipu watch`: a Workflow until it has finished: a live tree on a terminal, a line for each change anywhere else.

Promises: shows what was committed, and what the status says that it waits for; `follow` shows the same to those who
have written (`submit --watch`, `rerun --watch`, `cancel --wait`). Must never write.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from kipu.shell.clock import SystemClock

from .commands import Command, note
from .details import printable
from .live import LiveTree
from .options import Duration, Where, of_a_workflow
from .progress import Progress
from .tree import title
from .waits import shown

if TYPE_CHECKING:
    from kipu.core.state import State

    from .cluster import Cluster
    from .reading import Look


@click.command(
    "watch",
    cls=Command,
    examples=["nightly", "nightly --timeout 30m && kubectl apply -f next.yaml"],
    exit_codes="0 it has succeeded, 1 it has not, 2 cannot tell, 3 there is no such Workflow, or not any more, "
    "124 --timeout has passed first, 130 Ctrl-C",
)
@of_a_workflow
@click.option("--timeout", "timeout_ms", type=Duration(), help="End after so long, such as 30m, with exit code 124.")
def command(name: str, timeout_ms: int | None, where: Where) -> None:
    """Show what happens in Workflow NAME until it has finished."""
    sys.exit(asyncio.run(_watch(name, timeout_ms, where)))


async def _watch(name: str, timeout_ms: int | None, where: Where) -> int:
    from .cluster import find_workflow
    from .waiting import exit_code

    cluster, namespace = where.connect()
    known = await find_workflow(cluster, namespace, name)
    return exit_code(await follow(Console(), cluster, known, timeout_ms=timeout_ms))


async def follow(
    console: Console,
    cluster: Cluster,
    known: Mapping[str, Any],
    *,
    run: int | None = None,
    timeout_ms: int | None = None,
) -> State:
    """Show a Workflow to the end, see waiting.to_the_end: a live tree, or lines if the console is no terminal."""
    from .waiting import to_the_end

    name = known["metadata"]["name"]
    live = LiveTree(console, name) if console.is_terminal else None
    with nullcontext() if live is None else live:
        view = Lines(console, name) if live is None else Tree(live)
        return await to_the_end(cluster, known, view, run=run, timeout_ms=timeout_ms)


class Tree:
    """The view of a terminal."""

    def __init__(self, live: LiveTree) -> None:
        self._live = live
        self._clock = SystemClock()

    def show(self, found: Look) -> None:
        """See waiting.View."""
        self._live.show(found.state, shown(found.workflow), self._clock.now())

    def note(self, text: str) -> None:
        """See waiting.View."""
        self._live.note(text)
        self._live.refresh(self._clock.now())

    def refresh(self) -> None:
        """See waiting.View."""
        self._live.refresh(self._clock.now())


class Lines:
    """The view of a file or a pipe: how it stands, and from then on a line for each change."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._clock = SystemClock()
        self._progress: Progress | None = None
        self._position = 0
        self._message = ""

    def show(self, found: Look) -> None:
        """See waiting.View."""
        records = () if found.history is None else found.history.records
        if self._progress is None:
            said, now = shown(found.workflow), self._clock.now()
            self._console.print(Text(title(self._name, found.state, said, now=now)), soft_wrap=True)
            self._message, self._position = said.message, len(records)
            self._progress = Progress(self._console, began=records[0].ts if records else None)
            return
        self._progress.show(records[self._position :], found.state)
        self._position = max(self._position, len(records))
        message = "" if found.state.is_terminal else shown(found.workflow).message
        if message and message != self._message:
            self._console.print(Text(printable(f"{'':10}  {message}")), soft_wrap=True)
        self._message = message

    def note(self, text: str) -> None:
        """See waiting.View."""
        note(printable(text))

    def refresh(self) -> None:
        """See waiting.View."""
