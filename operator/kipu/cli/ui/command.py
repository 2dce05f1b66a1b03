"""`kipu ui`: the command. Must never import what is slow: every command of `kipu` imports this."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from ..commands import Command
from ..options import Where, placed

PORT_MAX = 65_535


@click.command(
    cls=Command,
    examples=["", "-n data --port 8001 --no-browser", "--file nightly.jsonl  # of kipu export; needs no cluster"],
)
@click.option(
    "--file",
    "files",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Show this file of 'kipu export', and ask no cluster; repeatable.",
)
@click.option("--port", type=click.IntRange(0, PORT_MAX), default=0, help="Else a free one.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
@placed("Only of this namespace; else all that you may list.")
def ui(files: Sequence[Path], port: int, no_browser: bool, where: Where) -> None:
    """Show Workflows in a browser: graph, timeline and history, live or as of any moment.

    The page is served to this machine alone, and reads with your own rights. Ctrl-C ends it.
    """
    from .files import Files
    from .serving import serve
    from .source import Source

    source: Source
    if files:
        if where != Where():
            raise click.UsageError("--file asks no cluster: give it without --namespace, --kubeconfig and --context")
        source = Files(files)
    else:
        from .live import connect

        source = connect(where)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(source, port=port, opens_browser=not no_browser))
