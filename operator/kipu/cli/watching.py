"""`kipu watch`: a Workflow until it has finished: a live tree on a terminal, a line for each change anywhere else.

Promises: shows what was committed, and what the status says that it waits for. Must never write.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from kipu.shell.clock import SystemClock

from .details import printable
from .errors import INTERRUPTED, TIMED_OUT
from .live import LiveTree
from .options import Duration, Where, in_a_namespace
from .progress import Progress
from .tree import title
from .waits import shown

if TYPE_CHECKING:
    from .reading import Look

EPILOG = """\b
Examples:
  kipu watch nightly
  kipu watch nightly --timeout 30m && kubectl apply -f next.yaml

Exit codes: 0 it has succeeded, 1 it has not, 2 cannot tell, 3 there is no such Workflow, or not any more,
124 --timeout has passed first.
"""


@click.command("watch", epilog=EPILOG)
@click.argument("name")
@click.option("--timeout", "timeout_ms", type=Duration(), help="End after so long, such as 30m, with exit code 124.")
@in_a_namespace
def command(name: str, timeout_ms: int | None, where: Where) -> None:
    """Show what happens in Workflow NAME until it has finished."""
    console = Console()
    try:
        sys.exit(asyncio.run(_watch(console, name, timeout_ms, where)))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


async def _watch(console: Console, name: str, timeout_ms: int | None, where: Where) -> int:
    from .waiting import to_the_end

    cluster, namespace = where.connect()
    live = LiveTree(console, name) if console.is_terminal else None
    try:
        with nullcontext() if live is None else live:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
                view = Lines(console, name) if live is None else Tree(live)
                return await to_the_end(cluster, namespace, name, view)
    except TimeoutError:
        click.echo(f"kipu: Workflow '{name}' has not finished in time", err=True)
        return TIMED_OUT


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
        click.echo(f"kipu: {printable(text)}", err=True)

    def refresh(self) -> None:
        """See waiting.View."""
