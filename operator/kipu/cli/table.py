"""A history as a table: coloured and boxed on a terminal, plain aligned columns anywhere else.

Promises: NO_COLOR is honoured; off a terminal no line is wrapped or cut, so `grep` and `awk` can read it. What failed
attempts have said last stands below the table, in lines that begin with ` |`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kipu.eventlog.ports import Recorded

from .details import Row, row, tail

HEADINGS = Row("POS", "TIME", "ELAPSED", "EVENT", "STEP", "DETAILS")
STYLES = {  # by event kind; the rest is plain
    "WorkflowAccepted": "bold",
    "WorkflowRejected": "bold red",
    "StepSucceeded": "green",
    "StepAdopted": "green",
    "StepCompleted": "green",
    "AttemptFailed": "yellow",
    "AttemptAbandoned": "yellow",
    "TimerFired": "yellow",
    "StepFailed": "red",
    "StepsSkipped": "dim",
    "StepsCancelled": "dim",
    "WorkflowFinished": "bold",
    "WorkflowRerun": "bold",
}


def show(console: Console, records: Sequence[Recorded]) -> None:
    """Print every record as a line, and then what failed attempts have said last."""
    rows = [row(record, began=records[0].ts) for record in records]
    if console.is_terminal:
        console.print(_boxed(rows))
    else:
        _print_plain(console, rows)
    for record, cells in zip(records, rows, strict=True):
        if lines := tail(record):
            for line in (f"{cells.step} said last:", *(f" | {each}" for each in lines)):
                console.out(line, highlight=False)


def _print_plain(console: Console, rows: Sequence[Row]) -> None:
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    for cells in (HEADINGS, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        console.out(line.rstrip(), highlight=False)


def _boxed(rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        right = heading in ("POS", "ELAPSED")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "DETAILS", overflow="fold")
    for cells in rows:
        table.add_row(*(Text(cell) for cell in cells), style=STYLES.get(cells.event, ""))
    return table
