"""Why steps of one session wait for the cluster, and since when.

Promises: at most one reason a step; a step that goes on waiting for another reason has waited since the first.
Must never decide anything.
"""

from __future__ import annotations

from collections.abc import Callable


class Waits:
    """By step. `now` is any clock that never goes back, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.reasons: dict[str, str] = {}  # for the status
        self._since: dict[str, float] = {}  # in the order in which they began

    def show(self, step: str, why: str) -> bool:
        """It waits for this, or ("") no longer; whether that is news."""
        if self.reasons.get(step, "") == why:
            return False
        if not why:
            self.forget(step)
        else:
            self.reasons[step] = why
            self._since.setdefault(step, self._now())
        return True

    def forget(self, step: str) -> None:
        """Its attempt is over."""
        self.reasons.pop(step, None)
        self._since.pop(step, None)

    @property
    def oldest_seconds(self) -> float | None:
        """How long the step that has waited longest has; None if none waits."""
        first = next(iter(self._since.values()), None)
        return None if first is None else self._now() - first
