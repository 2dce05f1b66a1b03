"""`kipu logs`: what steps print, of their pods; of a pod that is gone, what the log of events knows instead.

Promises: what a program wrote is printed as it is, as `kubectl logs` does; lines of several steps stand in the order of
their times, each with its step and attempt before it. Must never write.
"""

from __future__ import annotations

import asyncio
import sys

import click

from .commands import Command
from .completing import all_step_names
from .log_sources import Asked
from .options import Duration, Where, of_a_workflow


@click.command(
    "logs",
    cls=Command,
    examples=[
        "nightly load  # of its newest attempt",
        "nightly load --attempt 1",
        "nightly load -f  # to the end of the step, over all attempts to come",
        "nightly 'shard[17]' --tail 20  # an item of a fan-out",
        "nightly --all -f --since 5m  # of all steps, each line with its step and attempt",
    ],
    exit_codes="0 printed, 1 the log of events is not sound, 2 there is no such step, attempt or pod, or cannot tell, "
    "3 there is no such Workflow, or not any more, 130 Ctrl-C",
)
@of_a_workflow
@click.argument("step", required=False, shell_complete=all_step_names)
@click.option("-f", "--follow", is_flag=True, help="Print on as it comes, later attempts too, to the end of the step.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Else the newest.")
@click.option("--all", "everything", is_flag=True, help="Of all steps; with a fan-out as STEP, of all its items.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="The last N lines of each log alone.")
@click.option("--since", "since_ms", type=Duration(), help="Only what is younger, such as 5m.")
@click.option("--timestamps", is_flag=True, help="Each line with its time.")
def command(
    name: str,
    step: str | None,
    follow: bool,
    attempt: int | None,
    everything: bool,
    tail: int | None,
    since_ms: int | None,
    timestamps: bool,
    where: Where,
) -> None:
    """Print what STEP of Workflow NAME has written, or --all of its steps."""
    from .log_printing import Printer, follow_logs, print_logs

    if attempt is not None and everything:
        raise click.UsageError("--attempt is about one step, and --all about many: give one of the two")
    if attempt is not None and follow:
        raise click.UsageError("-f follows the newest attempt, and those to come: leave out --attempt")
    query = {} if tail is None else {"tailLines": str(tail)}
    if since_ms is not None:
        query["sinceSeconds"] = str(max(1, since_ms // 1_000))
    asked = Asked(step=step, everything=everything, attempt=attempt)
    printer = Printer(prefixes=everything, timestamps=timestamps)
    deed = follow_logs if follow else print_logs
    sys.exit(asyncio.run(deed(where, name, asked, query, printer)))
