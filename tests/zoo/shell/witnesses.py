"""Mutants of kipu/shell/witnesses.py: who has seen more of a log."""

from __future__ import annotations

from collections.abc import Mapping

from kipu.eventlog.ports import Head, History
from kipu.shell.observer import Sighting
from tests.zoo.mutants import mutant

WITNESSES = "tests/shell/test_witnesses.py"


@mutant("check_status", breaks="I3, I19", caught_by=WITNESSES)
def nobody_asks_the_status(status: Mapping[str, object], history: History | None) -> None:
    """A log that ends before what the status has seen is gone on with."""


@mutant("check_intents", breaks="I3, I19", caught_by=WITNESSES)
def nobody_asks_the_jobs(sightings: Mapping[str, Sighting], workflow_uid: str, recorded: Mapping[int, str]) -> None:
    """A log that ends before a decision whose Job stands in the cluster is gone on with."""


@mutant("contradicts", breaks="I19", caught_by=WITNESSES)
def a_session_never_looks_up(status: Mapping[str, object], head: Head | None) -> bool:
    """Whatever the status has shown since it was opened, a session goes on."""
    return False
