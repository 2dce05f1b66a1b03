"""Mutants of kipu/shell/retention.py: what is not kept for ever."""

from __future__ import annotations

from kipu.shell.retention import PAUSE_SECONDS, Janitor, Shelf
from tests.zoo.mutants import mutant


@mutant("Shelf.finished", breaks="I8, early deletion of any finished Job", caught_by="tests/shell/test_retention.py")
def whoever_made_it_a_finished_job_may_go(self: Shelf, job: str) -> None:
    """A Job of an older epoch is deleted like one of our own."""
    self._finished.append((job, self._created.pop(job, "")))
    while len(self._finished) > self._kept:
        self._janitor.delete(self._stream, *self._finished.popleft())


@mutant("Janitor._pause_seconds", breaks="housekeeping in the way", caught_by="tests/shell/test_retention.py")
def as_fast_as_it_can(self: Janitor) -> float:
    """Jobs are deleted at full speed while steps move."""
    return PAUSE_SECONDS
