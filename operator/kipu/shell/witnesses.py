"""What has seen more of a log than the log itself shows: the status, each Job's intent, an earlier session.

A log that was cut at its end, or restored from an older backup, still has a valid chain; only a witness tells
(design 02, "Integrity"). Promises: whatever a witness has seen is in the log, or the workflow stops with a
condition. Must never mend anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kipu.core.errors import CorruptionError
from kipu.eventlog.ports import Head, History, LogMissing

from .observations import intent_of, is_owned
from .observer import Sighting


class HistoryRollback(CorruptionError):
    """A witness has seen more of the log than there is: it was rolled back."""


def check_status(status: Mapping[str, object], history: History | None) -> None:
    """`.status.log` says how far the log was when it was written: it may not be behind. Raises CorruptionError."""
    if (seen := _seen(status)) is not None:
        _check_seen("the status", *seen, history)


def contradicts(status: Mapping[str, object], head: Head | None) -> bool:
    """Whether the status has seen more of the log than a session that goes on from this head, or another record there.

    Of positions before the head a session keeps no hashes: whoever opens the log judges them.
    """
    if (seen := _seen(status)) is None:
        return False
    position, digest = seen
    if head is None or position > head.position:
        return True
    return position == head.position and digest != head.hash


def _seen(status: Mapping[str, object]) -> tuple[int, object] | None:
    """A position, and the hash of the record there."""
    log = status.get("log")
    position = log.get("position") if isinstance(log, dict) else None
    return (position, log.get("hash")) if isinstance(log, dict) and isinstance(position, int) else None


def check_earlier(head: Head | None, history: History | None) -> None:
    """What an earlier session of this process has read or committed must be there. Raises CorruptionError."""
    if head is not None:
        _check_seen("an earlier session", head.position, head.hash, history)


def _check_seen(who: str, position: int, digest: object, history: History | None) -> None:
    if history is None:
        raise LogMissing(f"{who} has seen position {position}, but there is no log")
    if history.head.position < position:
        raise HistoryRollback(f"{who} has seen position {position}, the log ends at {history.head.position}")
    if history.records[position - 1].hash != digest:
        raise HistoryRollback(f"the record at position {position} is not the one that {who} has seen")


def check_intents(sightings: Mapping[str, Sighting], workflow_uid: str, recorded: Mapping[int, str]) -> None:
    """Every Job and child names the record that asked for it: it must be in the log, at its position and with its hash.

    `recorded`: the hash of each StepScheduled, by position. Raises HistoryRollback.
    """
    for name, intent in _intents(sightings, workflow_uid):
        position, _, digest = intent.partition(":")
        if recorded.get(int(position)) != digest:
            raise HistoryRollback(f"'{name}' was made for a record at position {position} that is not in the log")


def _intents(sightings: Mapping[str, Sighting], workflow_uid: str) -> Iterator[tuple[str, str]]:
    """The Jobs and children that this workflow owns, each with its intent."""
    for name, sighting in sightings.items():
        for found in (sighting.job, sighting.child):
            if found is None or not is_owned(found, workflow_uid):
                continue
            intent = intent_of(found)
            position = intent.partition(":")[0]
            if position.isascii() and position.isdigit():
                yield name, intent
