"""Who listens to changes of the list, and what each of them has not heard yet.

Promises: a listener hears the newest state of everything that has changed, and not every state in between: what waits
for it is bounded by the number of Workflows. Must never wait for a listener.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .summaries import Key, Summary

LISTENERS_MAX = 16  # pages that are open


class TooManyListeners(Exception):
    """LISTENERS_MAX pages are open."""


class Listener:
    """One page: `take` waits until there is something."""

    def __init__(self) -> None:
        self._pending: dict[Key, Summary | None] = {}
        self._trouble: str | None = None
        self._something = asyncio.Event()
        self._is_first = True
        self.is_closed = False

    def put(self, changes: dict[Key, Summary | None]) -> None:
        """None: gone."""
        self._pending |= changes
        self._something.set()

    def tell(self, trouble: str) -> None:
        """What is wrong with the list; "" when all is well again."""
        self._trouble = trouble
        self._something.set()

    def close(self) -> None:
        """The server ends."""
        self.is_closed = True
        self._something.set()

    async def take(self) -> dict[str, object]:
        """What has changed since the last time; the first time all, which is `whole`."""
        await self._something.wait()
        self._something.clear()
        pending, self._pending = self._pending, {}
        trouble, self._trouble = self._trouble, None
        changed = [told for told in pending.values() if told is not None]
        gone = [list(key) for key, told in pending.items() if told is None]
        told: dict[str, object] = {"changed": changed, "gone": gone}
        if trouble is not None:
            told["trouble"] = trouble
        if self._is_first:
            told["whole"] = True
        self._is_first = False
        return told


class Feed:
    """The list itself, and its listeners."""

    def __init__(self) -> None:
        self.summaries: dict[Key, Summary] = {}
        self.trouble = ""
        self._listeners: list[Listener] = []

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A listener, which hears the whole list first. Raises TooManyListeners."""
        if len(self._listeners) >= LISTENERS_MAX:
            raise TooManyListeners
        listener = Listener()
        listener.put(dict(self.summaries))
        listener.tell(self.trouble)
        self._listeners.append(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def change(self, changes: dict[Key, Summary | None]) -> None:
        """Of some; None: gone."""
        for key, told in changes.items():
            if told is None:
                self.summaries.pop(key, None)
            else:
                self.summaries[key] = told
        for listener in self._listeners:
            listener.put(changes)

    def replace(self, summaries: dict[Key, Summary]) -> None:
        """Of all: the list was read anew."""
        gone: Sequence[Key] = [key for key in self.summaries if key not in summaries]
        self.change({**dict.fromkeys(gone), **summaries})

    def tell(self, trouble: str) -> None:
        """To all, if it is news."""
        if trouble != self.trouble:
            self.trouble = trouble
            for listener in self._listeners:
                listener.tell(trouble)

    def close(self) -> None:
        """Nothing will change any more."""
        for listener in self._listeners:
            listener.close()
