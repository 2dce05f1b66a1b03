"""What programs count of themselves, read from the text of their /metrics. Pure."""

from __future__ import annotations

import re


def counted(metrics: str, name: str, **wanted: str) -> int:
    """The sum of a counter over all its labels, or over those series that have just these values; 0 of none."""
    total = 0.0
    for labels, value in re.findall(rf"^{re.escape(name)}(?:\{{(.*)\}})? (\S+)$", metrics, re.MULTILINE):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if all(label.get(key) == text for key, text in wanted.items()):
            total += float(value)
    return int(total)
