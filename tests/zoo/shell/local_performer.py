"""Mutants of kipu/shell/local_performer.py, and of the warden that it starts (which no plugin reaches otherwise)."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from kipu.core.commands import ObserveGone, ObserveOutcome
from kipu.shell.local_attempts import Claim, End
from kipu.shell.local_performer import WARDEN, LocalPerformer, Order, _ended, _lost, _outcome, _started
from kipu.shell.local_processes import Process, is_alive
from tests.zoo.mutants import mutant

ENGINE, LONE = "tests/shell/test_local_engine.py", "tests/shell/test_local_warden.py"
LATE = f"{ENGINE}::test_an_attempt_that_takes_too_long_is_taken_down_with_all_that_it_has_started"


def warden_with(line: str) -> str:
    """The command that starts a warden, with one thing in it replaced."""
    return WARDEN.replace("; main(", f"; import kipu.shell.local_warden as w; {line}; main(")


@mutant("WARDEN", breaks="processes orphaned", caught_by=LONE, is_constant=True)
def what_the_program_leaves_runs_on() -> str:
    """The group is not killed when the program has ended."""
    return warden_with("w._sweep = lambda *_: None")


@mutant("WARDEN", breaks="processes orphaned", caught_by=LONE, is_constant=True)
def only_the_program_itself_is_signalled() -> str:
    """TERM and KILL go to one process, and its children run on."""
    return warden_with("w.relatives = lambda *_: []")


@mutant("WARDEN", breaks="I5", caught_by=f"{ENGINE}::test_an_end_while_no_engine_ran_counts", is_constant=True)
def an_end_that_nobody_waits_for_is_lost() -> str:
    """The warden does not write down how the program ended."""
    return warden_with("w._write = lambda *_: None")


@mutant(
    "LocalPerformer.ensure",
    breaks="I8",
    caught_by=f"{ENGINE}::test_an_attempt_whose_warden_was_killed_is_lost_and_gone_before_the_next_begins",
)
async def what_is_left_of_a_lost_attempt_runs_on(self: LocalPerformer, order: Order) -> None:
    """The next attempt begins beside the one whose warden was killed."""
    attempt = self.attempt(order.job)
    while (end := attempt.end()) is None:
        claim = attempt.claim()
        if claim is None:
            await self._start(order, attempt)
        elif claim.warden is not None and is_alive(claim.warden):
            self._tell(_started(order, claim))
            await _ended(claim.warden)
        elif attempt.end() is None:
            self._tell(_lost(order, claim))
            return
    self._tell(_outcome(order, attempt.claim(), end))


@mutant("LocalPerformer.ensure_none", breaks="Cancelled before pods are gone", caught_by=LATE)
async def gone_is_said_at_once(self: LocalPerformer, order: Order) -> None:
    """Nobody waits for what was told to end."""
    self._tell(ObserveGone(ref=order.ref))


@mutant(
    "LocalPerformer._take_down",
    breaks="killed without a grace",
    caught_by=f"{ENGINE}::test_cancelled_means_that_nothing_is_left_and_each_program_had_its_time",
)
async def the_program_gets_no_time(self: LocalPerformer, order: Order, warden: Process) -> None:
    """The warden is killed, and with it the word that the program may still say."""
    os.kill(warden.pid, signal.SIGKILL)


@mutant("_mark", breaks="processes orphaned", caught_by=LATE)
def the_mark_is_the_same_for_all(order: Order) -> str:
    """A program that left its session is not found."""
    return "KIPU_POD_UID=none"


EXTERNAL = "tests/shell/test_local_external.py"


@mutant(
    "WARDEN",
    breaks="I8",
    caught_by=f"{EXTERNAL}::test_it_does_not_run_when_its_start_cannot_be_recorded",
    is_constant=True,
)
def an_external_program_begins_with_its_claim() -> str:
    """Nobody waits until its start is recorded."""
    return warden_with("w._released = lambda *_: True")


@mutant(
    "LocalPerformer.release",
    breaks="I16",
    caught_by=f"{EXTERNAL}::test_it_runs_once_its_start_is_recorded_with_who_runs_it",
)
def what_is_held_is_never_released(self: LocalPerformer, order: Order, job_uid: str) -> None:
    """The program waits for ever."""


@mutant(
    "_outcome",
    breaks="I5",
    caught_by=f"{EXTERNAL}::test_one_that_was_killed_has_not_said_how_far_it_was",
)
def a_signal_is_an_external_program_s_own_word(order: Order, claim: Claim | None, end: End) -> ObserveOutcome:
    """One that was killed is taken for one that has failed, and is tried again."""
    return _outcome(replace(order, is_external=False), claim, end)
