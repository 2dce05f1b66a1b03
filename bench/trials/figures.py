"""What a trial has found: figures with their units, as a small table in Markdown.

Promises: a figure is kept as it was measured, and rounded for the eye alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KIBIBYTE, MEBIBYTE = 2**10, 2**20


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. A text is told as it is."""

    what: str
    value: float | str
    unit: str = ""
    digits: int = 2

    def told(self) -> str:
        """With its unit."""
        if isinstance(self.value, str):
            return self.value
        digits = 0 if isinstance(self.value, int) else self.digits
        return f"{self.value:,.{digits}f} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was tried."""

    title: str
    figures: Sequence[Figure]

    def lines(self) -> list[str]:
        """In Markdown."""
        rows = (f"| {each.what} | {each.told().replace('|', '/')} |" for each in self.figures)
        return [f"\n### {self.title}\n", "| | |\n| --- | ---: |", *rows]


def mebibytes(what: str, size_bytes: int) -> Figure:
    """Of memory."""
    return Figure(what, size_bytes / MEBIBYTE, "MiB", 0)
