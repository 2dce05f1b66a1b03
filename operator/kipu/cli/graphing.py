"""`kipu graph`: the graph of a Workflow, as it stands or as a file asks for it, for others to draw or as a picture.

Promises: a file needs no cluster, and is read as the operator would read it. Must never run another program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import click

from .commands import Command
from .completing import workflow_names
from .drawing import Drawing, dot, mermaid, of_definition, of_state
from .errors import CannotTell
from .options import ObjectName, Where, in_a_cluster
from .svg import svg

WRITERS: dict[str, Callable[[Drawing], str]] = {"mermaid": mermaid, "dot": dot, "svg": svg}


@click.command(
    "graph",
    cls=Command,
    examples=[
        "nightly -o svg > nightly.svg  # coloured by phase",
        "-f nightly.yaml -o mermaid  # before it runs; needs no cluster",
        "nightly -o dot | dot -Tpng > nightly.png",
    ],
    exit_codes="0 written, 1 the log is not sound, 2 the file is refused, or cannot tell, 3 there is no such Workflow",
)
@click.argument("name", required=False, type=ObjectName(), shell_complete=workflow_names)
@click.option(
    "-f", "--file", type=click.Path(dir_okay=False, path_type=Path), help="Of the Workflow in FILE; needs no cluster."
)
@click.option("-o", "--output", type=click.Choice(list(WRITERS)), default="mermaid", show_default=True)
@in_a_cluster
def command(name: str | None, file: Path | None, output: str, where: Where) -> None:
    """Draw the steps of Workflow NAME with their phases, or those in a file."""
    if (name is None) is (file is None):
        raise click.UsageError("name a Workflow, or a file by -f: one of the two")
    drawing = asyncio.run(_of_cluster(where, name)) if name is not None else _of_file(file or Path())
    click.echo(WRITERS[output](drawing), nl=False)


def _of_file(file: Path) -> Drawing:
    from .workflow_file import read

    manifest = read(file)
    return of_definition(manifest.name, manifest.definition)


async def _of_cluster(where: Where, name: str) -> Drawing:
    from .reading import look

    cluster, namespace = where.connect()
    found = await look(cluster, namespace, name)
    if found.state.definition is None:
        raise CannotTell(f"Workflow '{name}' is {found.state.phase}, and its steps are not known: 'kipu get {name}'")
    return of_state(name, found.state)
