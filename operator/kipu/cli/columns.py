"""Rows of cells as lines of aligned columns, as `kubectl get` prints them; and the colours of phases.

Promises: no line is wrapped or cut, nor has spaces at its end; off a terminal, and with NO_COLOR, nothing is coloured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

GAP = "   "
# Of steps and of Workflows; what is not here is plain.
PHASE_STYLES = {
    "Running": "cyan",
    "Scheduled": "cyan",
    "Finalizing": "cyan",
    "Retrying": "yellow",
    "Suspended": "yellow",
    "Cancelling": "yellow",
    "Unknown": "red",
    "Succeeded": "green",
    "Failed": "red",
    "Rejected": "red",
    "Cancelled": "yellow",
    "Skipped": "dim",
    "Pending": "dim",
}


def lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows have the same number of cells; one with a first cell alone is a remark, and widens no column."""
    counted = [row for row in rows if any(row[1:])] or rows
    widths = [max(map(len, column)) for column in zip(*counted, strict=True)]
    for row in rows:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def show(console: Console, rows: Sequence[Sequence[str]], styles: Sequence[str]) -> None:
    """Print each row in its style."""
    for line, style in zip(lines(rows), styles, strict=True):
        console.print(Text(line, style=style), soft_wrap=True)
