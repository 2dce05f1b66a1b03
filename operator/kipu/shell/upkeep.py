"""What keeps a log small beside its appends: a sweep of what a merge has superseded, the archive at the end.

Promises: best effort and in nobody's way: while a run goes on what is dead is swept only once it is many, since each
deletion costs the API server as much as a commit; one sweep of a log at a time, few of all logs at once, and never
before the commit that makes it safe. A log that was not archived, or not swept, is as true as any other; it only has
more objects, and they go with the Workflow. So nothing here is made up for after a crash once the last status is
written.
Must never delay a turn, and never touch the newest records.
"""

from __future__ import annotations

import asyncio
import logging

from kipu.core.errors import TransientError
from kipu.eventlog.ports import ConcurrencyConflict, EventLog, Head, StreamId

log = logging.getLogger(__name__)
UPKEEPS_MAX = 2  # of the 32 requests that steps may have in flight: the care of logs takes a sixteenth
# Of one log, beside its run: 16 merges of 7 chunks of some 4 KiB and the one that grows, so 13 MB at the very most.
# At the end all go. Where the store refuses more objects (a quota) they are not waited for.
DEAD_MAX = 128


class Upkeep:
    """The log of one session. `slots` bounds the deletions of all sessions."""

    def __init__(self, event_log: EventLog, stream: StreamId, slots: asyncio.Semaphore) -> None:
        self._log = event_log
        self._stream = stream
        self._slots = slots
        self._sweeping = asyncio.Lock()
        self._head: Head | None = None
        self._dead = 0  # chunks superseded since the last sweep
        self.is_due = False  # whether a sweep is worth its requests

    def opened(self) -> None:
        """An earlier session may have died between a merge and its sweep, or between staging and commit."""
        self.is_due = True

    def committed(self, head: Head) -> None:
        """This is the head now, for certain."""
        self._head = head
        self._dead += head.superseded
        self.is_due |= self._dead >= DEAD_MAX or bool(self._dead and head.refusal)

    async def sweep(self) -> None:
        """Once, and again if another merge came meanwhile. What is left over waits for the next one."""
        async with self._sweeping, self._slots:
            while self.is_due:
                assert self._head is not None
                self.is_due, self._dead = False, 0
                await self._log.sweep(self._stream, self._head)

    async def archive(self, head: Head) -> Head:
        """The head of a run that has ended, with its log archived if that could be done now."""
        self.committed(head)
        try:
            self.committed(await self._log.archive(self._stream, head))
        except (TransientError, ConcurrencyConflict) as error:
            log.info("%s/%s: its log is not archived: %s", self._stream.namespace, self._stream.name, error)
        self.is_due |= self._dead > 0
        await self.sweep()
        assert self._head is not None
        return self._head
