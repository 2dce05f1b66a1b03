"""Mutants of kipu/shell/local_engine.py: the life of a run without a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from kipu.core.commands import Claim, RequestRerun, RequestShutdown
from kipu.core.decide import COMMANDS_PER_TURN_MAX
from kipu.core.events import ShutdownMode
from kipu.eventlog.ports import Recorded
from kipu.shell.local_engine import LocalEngine
from tests.zoo.mutants import mutant

TESTS = "tests/shell/test_local_engine.py"


@mutant(
    "LocalEngine._check_claims",
    breaks="I1",
    caught_by=f"{TESTS}::test_a_log_that_does_not_ask_for_what_was_begun_was_rolled_back",
)
def a_log_that_was_rolled_back_is_gone_on_with(self: LocalEngine, records: Sequence[Recorded]) -> None:
    """What was begun is no witness."""


@mutant(
    "LocalEngine._live",
    breaks="a timer that beats a finished pod",
    caught_by=f"{TESTS}::test_an_end_that_was_written_beats_a_deadline_that_has_passed_since",
)
async def timers_fire_before_the_ends_are_read(self: LocalEngine) -> None:
    """A deadline that passed while no engine ran beats the end that was written before it."""
    known = [*self.state.live, *self.state.leaving]
    self._may_fire = True
    await self._turn([Claim(writer=self._writer), *self._admission()])
    while not self.state.is_terminal:
        await self._mailbox.wait()
        await self._turn(self._mailbox.take(COMMANDS_PER_TURN_MAX))
        for place in known:
            if place in self.state.live:
                self._take_up(place)
        await asyncio.sleep(0)


@mutant(
    "LocalEngine._leave",
    breaks="processes orphaned",
    caught_by=f"{TESTS}::test_an_engine_that_cannot_go_on_takes_its_steps_down_and_the_next_tries_them_again",
)
async def steps_run_on_without_an_engine(self: LocalEngine) -> None:
    """An orderly end takes nothing down."""


@mutant(
    "LocalEngine.is_stuck",
    breaks="I16",
    caught_by="tests/shell/test_local_external.py::test_one_that_was_killed_has_not_said_how_far_it_was",
)
def nobody_is_told_that_a_word_is_waited_for(self: LocalEngine) -> bool:
    """`kipu run` waits for a word that can only come to the next one."""
    return False


@mutant(
    "LocalEngine._rerun",
    breaks="I6",
    caught_by=f"{TESTS}::test_a_rerun_runs_again_what_has_not_succeeded_and_what_is_named",
)
def a_rerun_forgets_what_was_named(self: LocalEngine) -> Iterator[RequestRerun]:
    """What `--from` names stays done."""
    if self._rerun_from is not None:
        yield RequestRerun(number=self.state.run + 1)


@mutant(
    "LocalEngine._shut_down",
    breaks="I11",
    caught_by=f"{TESTS}::test_a_rerun_that_is_cancelled_before_its_log_is_read_is_cancelled",
)
def every_shutdown_is_of_the_first_run(self: LocalEngine) -> None:
    """Ctrl-C has no effect on a rerun."""
    self._mailbox.put(RequestShutdown(run=1, mode=ShutdownMode.CANCEL))
