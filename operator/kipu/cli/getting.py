"""`kipu get`: a Workflow as it stands, from its verified log; the status adds what only the operator sees.

Promises: what is shown of a step is what was committed; why it waits may be a second older. Must never write.
"""

from __future__ import annotations

import asyncio

import click
from rich.console import Console
from rich.text import Text

from kipu.core.state import State
from kipu.eventlog.ports import History
from kipu.shell.clock import SystemClock

from .columns import PHASE_STYLES, show
from .commands import Command
from .details import clock
from .errors import CannotTell
from .options import Where, of_a_workflow
from .output import as_json, as_yaml
from .report import report
from .transcript import fold
from .tree import HEADINGS, title, tree
from .waits import NOTHING_SHOWN, Shown, shown


@click.command(
    "get",
    cls=Command,
    examples=[
        "nightly",
        "nightly -n team-a -o json | jq '.steps[] | select(.phase == \"Failed\")'",
    ],
    exit_codes="0 shown, 1 the log is not sound, 2 cannot tell, 3 there is no such Workflow",
)
@of_a_workflow
@click.option("-o", "--output", type=click.Choice(["tree", "json", "yaml"]), default="tree", show_default=True)
def command(name: str, output: str, where: Where) -> None:
    """Show the steps of Workflow NAME: phases, attempts, durations, and why something waits."""
    from .reading import look

    cluster, namespace = where.connect()
    found = asyncio.run(look(cluster, namespace, name))
    said, now = shown(found.workflow), SystemClock().now()
    if output == "tree":
        show_tree(Console(), name, found.state, said, now=now)
        return
    head = None if found.history is None else found.history.head
    data = report(found.stream, head, found.state, said, now=now)
    click.echo(as_json(data) if output == "json" else as_yaml(data), nl=False)


def show_tree(console: Console, name: str, state: State, said: Shown = NOTHING_SHOWN, *, now: int) -> None:
    """Print the tree of a state. `now` is epoch milliseconds."""
    style = f"bold {PHASE_STYLES.get(state.phase.value, '')}"
    console.print(Text(title(name, state, said, now=now), style=style), soft_wrap=True)
    lines = tree(state, said, now=now)
    if lines:
        styles = [PHASE_STYLES.get(line.phase, "") for line in lines]
        show(console, [HEADINGS, *(line.cells for line in lines)], ["bold", *styles])


def show_at(console: Console, name: str, history: History, position: int) -> None:
    """Print the tree as it was once this position was recorded. Raises CannotTell for one that does not exist."""
    if not 1 <= position <= history.head.position:
        raise CannotTell(
            f"--at {position}: there is no such position; those of '{name}' are 1 to {history.head.position}"
        )
    records = history.records[:position]
    last = records[-1]
    console.print(Text(f"at position {position}, {clock(last.ts)}, after {type(last.event).__name__}"), soft_wrap=True)
    show_tree(console, name, fold(records), now=last.ts)
