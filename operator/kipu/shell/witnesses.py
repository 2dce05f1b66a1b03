"""What has seen more of a log than the log itself shows: the status, and each Job's intent.

A log that was cut at its end, or restored from an older backup, still has a valid chain; only a witness tells
(design 02, "Integrity"). Promises: whatever a witness has seen is in the log, or the workflow stops with a
condition. Must never mend anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from kipu.core.errors import CorruptionError
from kipu.eventlog.ports import Head, History, LogMissing

from .observer import Sighting


class HistoryRollback(CorruptionError):
    """A witness has seen more of the log than there is: it was rolled back."""


def check_status(status: Mapping[str, object], history: History | None) -> None:
    """`.status.log` says how far the log was when it was written: it may not be behind. Raises CorruptionError."""
    log = status.get("log")
    if not isinstance(log, dict) or not isinstance(log.get("position"), int):
        return
    position, witnessed = log["position"], log.get("hash")
    if history is None:
        raise LogMissing(f"the status has seen position {position}, but there is no log")
    if history.head.position < position:
        raise HistoryRollback(f"the status has seen position {position}, the log ends at {history.head.position}")
    if history.records[position - 1].hash != witnessed:
        raise HistoryRollback(f"the record at position {position} is not the one that the status has seen")


def check_intents(sightings: Mapping[str, Sighting], head: Head) -> None:
    """Every Job carries the position of its intent: none may be ahead of the log. Raises HistoryRollback."""
    for name, sighting in sightings.items():
        intent = sighting.job.metadata.annotations.get("kipu.dev/intent", "") if sighting.job else ""
        position = intent.partition(":")[0]
        if position.isascii() and position.isdigit() and int(position) > head.position:
            raise HistoryRollback(f"Job '{name}' was made at position {position}, the log ends before it")
