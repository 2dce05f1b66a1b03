"""What programs count of themselves, read from the text of their /metrics. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator


def series(metrics: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """The labels and the value of each series of one metric."""
    for labels, value in re.findall(rf"^{re.escape(name)}(?:\{{(.*)\}})? (\S+)$", metrics, re.MULTILINE):
        yield dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)


def counted(metrics: str, name: str, **wanted: str) -> int:
    """The sum of a counter over all its labels, or over those series that have just these values; 0 of none."""
    found = series(metrics, name)
    return int(sum(value for label, value in found if all(label.get(key) == text for key, text in wanted.items())))
