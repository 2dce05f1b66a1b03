"""What a figure should come to, as design 05 has it: the gate that must hold, and the aim.

Promises: a figure is judged as it was measured, never as it is rounded for the eye.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Either may be missing. At most, or, for what should be large, at least."""

    gate: float | None
    aim: float | None
    at_least: bool = False

    def verdict(self, value: float | None) -> str:
        """What it has met: `aim`, `gate`, `no`; nothing of a value that is not there."""
        if value is None:
            return ""
        if self._holds(value, self.aim):
            return "aim"
        return "gate" if self._holds(value, self.gate) else "no"

    def _holds(self, value: float, limit: float | None) -> bool:
        if limit is None:
            return False
        return value >= limit if self.at_least else value <= limit

    def told(self, limit: float | None) -> str:
        """One of the two, with its sign."""
        return "" if limit is None else f"{'>=' if self.at_least else '<='} {limit:g}"
