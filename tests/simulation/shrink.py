"""The smallest script that still fails: delta debugging over its entries."""

from __future__ import annotations

from collections.abc import Callable

from .script import Script


def shrink(script: Script, fails: Callable[[Script], bool]) -> Script:
    """A part of `script` that fails and of which no entry can be left out. `script` itself is known to fail."""
    size = len(script) // 2
    while size:
        for start in range(0, len(script), size):
            tried = script[:start] + script[start + size :]
            if fails(tried):
                return shrink(tried, fails)
        size //= 2
    return script
