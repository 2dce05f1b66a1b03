"""The operator's own bound on Jobs at once, shared fairly: who waits longest is woken first."""

from __future__ import annotations

from collections.abc import Callable


class Slots:
    """Counts the places that each workflow's attempts hold. Touched from the engine's loop only."""

    def __init__(self, limit: int, on_change: Callable[[int], None] = lambda _used: None) -> None:
        self.limit = limit
        self._held: dict[str, int] = {}
        self._used = 0
        self._waiting: dict[str, Callable[[], None]] = {}  # in the order in which they began to wait
        self._on_change = on_change

    @property
    def free(self) -> int:
        """How many more Jobs may be scheduled now."""
        return max(0, self.limit - self._used)

    def hold(self, uid: str, places: int) -> None:
        """This workflow's attempts hold so many places from now on; 0 forgets it."""
        self._used += places - self._held.get(uid, 0)
        if places:
            self._held[uid] = places
        else:
            self._held.pop(uid, None)
        self._on_change(self._used)
        if self.free and self._waiting:
            self._wake_first()

    def wait(self, uid: str, wake: Callable[[], None]) -> None:
        """Wake this workflow once a place is free; waiting twice keeps the older place in the row."""
        self._waiting.setdefault(uid, wake)

    def forget(self, uid: str) -> None:
        """The workflow ended or its actor stopped."""
        self._waiting.pop(uid, None)
        self.hold(uid, 0)

    def _wake_first(self) -> None:
        # One at a time: each woken actor takes what it can and, by `hold`, wakes the next.
        uid = next(iter(self._waiting))
        self._waiting.pop(uid)()
