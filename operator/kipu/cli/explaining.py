"""`kipu explain`: why a step waits, was skipped or has failed: an answer first, then the facts.

Promises: asks the log, the status, the attempt's Job, its pods and their Event objects; what may not be read is said.
Must never write.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from kipu.shell.clock import SystemClock

from .columns import PHASE_STYLES
from .commands import Command, hinted
from .completing import all_step_names
from .log_sources import last_words
from .options import Where, of_a_workflow
from .steps import place_of
from .waits import shown

if TYPE_CHECKING:
    from .explanation import Explanation


@click.command(
    "explain",
    cls=Command,
    examples=[
        "nightly load",
        "nightly 'shard[17]'  # an item of a fan-out",
    ],
    exit_codes="0 answered, 1 the log is not sound, 2 there is no such step, or cannot tell, 3 no such Workflow",
)
@of_a_workflow
@click.argument("step", shell_complete=all_step_names)
def command(name: str, step: str, where: Where) -> None:
    """Say why STEP of Workflow NAME waits, was skipped or has failed."""
    phase, found = asyncio.run(_explain(where, name, step))
    console = Console()
    console.print(Text(found.answer, style=f"bold {PHASE_STYLES.get(phase, '')}"), soft_wrap=True)
    for fact in found.facts:
        console.print(Text(hinted(f"  {fact}")), soft_wrap=True)


async def _explain(where: Where, name: str, step: str) -> tuple[str, Explanation]:
    from .explanation import explain  # knows the operator's views, and with them its client: slow to import
    from .reading import look
    from .sighting import sight_of

    cluster, namespace = where.connect()
    found = await look(cluster, namespace, name)
    place = place_of(found.state, step, name)
    sight = await sight_of(cluster, found.stream, found.state, place)
    stands, records = found.state.steps[place], () if found.history is None else found.history.records
    words = last_words(records, found.state.run, found.state.name(place), stands.attempts)
    answer = explain(
        name,
        found.state,
        place,
        shown(found.workflow),
        sight,
        now=SystemClock().now(),
        last_words=[line.text.decode() for line in words],
    )
    return stands.phase.value, answer
