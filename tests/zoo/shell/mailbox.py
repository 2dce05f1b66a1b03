"""Mutants of kipu/shell/mailbox.py: what the actor still has to be told."""

from __future__ import annotations

from collections.abc import Iterable

from kipu.core.commands import Command, FireTimers
from kipu.shell.mailbox import Mailbox, Observation
from tests.zoo.mutants import mutant

MAILBOX = "tests/shell/test_mailbox.py"
_take, _put = Mailbox.take, Mailbox.put


@mutant("Mailbox.take", breaks="I15, a timer that beats a finished pod", caught_by=MAILBOX)
def a_timer_jumps_the_queue(self: Mailbox, limit: int) -> list[Command]:
    """A deadline is taken out before the observations that are there."""
    timers = self._requests.pop(FireTimers, None)
    taken = _take(self, limit)
    return taken if timers is None else [timers, *taken][:limit]


@mutant("Mailbox._is_news", breaks="I6, first terminal outcome overwritten", caught_by=MAILBOX)
def the_latest_word_stands(self: Mailbox, command: Observation) -> bool:
    """Whatever is heard last of a step replaces what was heard before."""
    return True


@mutant("Mailbox._with_its_start", breaks="I8", caught_by=MAILBOX)
def an_absence_is_all_that_is_told(self: Mailbox, command: Observation) -> Observation:
    """Who has seen a start and its absence tells of the absence alone."""
    return command


@mutant("Mailbox.put", breaks="I16", caught_by=MAILBOX)
def an_outcome_wakes_nobody(self: Mailbox, command: Command) -> None:
    """News is put down, and the actor sleeps on."""
    was_awake = self._wake.is_set()
    _put(self, command)
    if not was_awake:
        self._wake.clear()


@mutant("Mailbox.put_back", breaks="I16", caught_by=MAILBOX)
def what_was_put_back_waits_for_ever(self: Mailbox, commands: Iterable[Command], until: float) -> None:
    """Only something else brings it to mind."""
    for command in commands:
        assert isinstance(command, Observation)
        self._observations[command.ref.step] = command
        self._patient.add(command.ref.step)
