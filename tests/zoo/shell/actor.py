"""Mutants of kipu/shell/actor.py: the turn."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import replace

from kipu.core.commands import Claim, Command
from kipu.core.decide import decide
from kipu.core.effects import effects, touched
from kipu.core.events import StepScheduled
from kipu.eventlog.chain import extend
from kipu.eventlog.configmaps import ConfigMapHead
from kipu.eventlog.ports import ConcurrencyConflict, Recorded
from kipu.shell.actor import Actor
from tests.zoo.mutants import mutant
from tests.zoo.selections import CLEAN_RUN, crashes

ACTOR = "tests/shell/test_actor.py"
_turn, _committed = Actor._turn, Actor._committed


@mutant("Actor._turn", breaks="I7, commit after effect", caught_by=crashes("diamond", "CrashBefore"))
async def effects_come_before_the_commit(self: Actor, commands: Sequence[Command]) -> None:
    """What is about to be committed is acted on already."""
    if isinstance(self._head, ConfigMapHead) and self.state.definition is not None:
        now = max(self._clock.now(), self.state.ts)
        state, events = decide(
            copy.deepcopy(self.state), commands, identity=self._identity, now=now, slots=self._services.slots.free
        )
        if events:
            self._lookout.remember(extend(self._head.tip, events, ts=now).records)
            given, self._state = self._state, state
            for effect in effects(state, touched(events)):
                self._perform(effect)
            self._state = given
    await _turn(self, commands)


@mutant("Actor._turn", breaks="I2, claim skipped", caught_by=ACTOR)
async def the_stream_is_not_claimed(self: Actor, commands: Sequence[Command]) -> None:
    """A session goes on in the epoch of the one before."""
    await _turn(self, [command for command in commands if not isinstance(command, Claim)])


@mutant("Actor._turn", breaks="I16, sleep in the loop", caught_by=ACTOR)
async def the_turn_waits_for_a_backoff(self: Actor, commands: Sequence[Command]) -> None:
    """While a step waits for its retry, nobody of its workflow is served."""
    await _turn(self, commands)
    due = [at for place in self.state.retrying if (at := self.state.steps[place].retry_at) is not None]
    if due:
        await asyncio.sleep(max(0, min(due) - self._clock.now()) / 1000)


@mutant("Actor._turn", breaks="I2, I17", caught_by=ACTOR)
async def a_lost_race_is_won_by_trying_again(self: Actor, commands: Sequence[Command]) -> None:
    """After a conflict the same events are appended behind the winner's: decided on a state that is no more."""
    given = copy.deepcopy(self._state)
    try:
        await _turn(self, commands)
    except ConcurrencyConflict:
        history = await self._services.log.load(self.stream)
        assert history is not None
        self._head, self._state = history.head, given
        await _turn(self, commands)


@mutant("Actor._committed", breaks="I17, state changed from a second place", caught_by=ACTOR)
def the_actor_writes_down_where_a_step_runs(self: Actor, records: Sequence[Recorded]) -> None:
    """When a step is scheduled its start is entered by hand, without an event: a replay does not know it."""
    _committed(self, records)
    for record in records:
        if isinstance(record.event, StepScheduled) and (place := self.state.place_of(record.event.step)) is not None:
            self.state.steps[place] = replace(self.state.steps[place], started_at=record.ts)


@mutant(
    "Actor._turn", breaks="I14, mutation before the event", caught_by=(CLEAN_RUN, crashes("diamond", "CrashBefore"))
)
async def what_is_not_committed_is_shown(self: Actor, commands: Sequence[Command]) -> None:
    """The status tells what has been decided, whether or not it will ever be committed."""
    if self._head is not None and self.state.definition is not None:
        now = max(self._clock.now(), self.state.ts)
        given = self._state
        self._state, _ = decide(
            copy.deepcopy(self.state), commands, identity=self._identity, now=now, slots=self._services.slots.free
        )
        self._publisher.offer(self._project, phase=self._state.phase.value, group=self._tasks.group)
        self._state = given
        await asyncio.sleep(0.01)
    await _turn(self, commands)
