"""The engine of `kipu run`: the turn of `actor`, for one workflow whose steps are processes of this machine.

    mailbox -> decide -> append (the only commit point) -> effects -> local_performer

Promises: nothing is acted on or shown before its event is committed; no timer fires before the ends that were
written while no engine ran have been heard. When it ends in an orderly way no process of a step is left; when it is
killed, the wardens go on and the next engine takes them up. Must never sleep, and never go on after an append that
has failed: the next engine begins from the log.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from kipu.api.evaluation import Evaluator
from kipu.api.programs import program
from kipu.api.workspace import keeps_files, path_of
from kipu.core.commands import (
    Accept,
    AttemptRef,
    Claim,
    Command,
    FireTimers,
    RequestRerun,
    RequestShutdown,
    ResolveUnknown,
)
from kipu.core.decide import COMMANDS_PER_TURN_MAX, Identity, decide, wants_turn
from kipu.core.definition import Effects
from kipu.core.effects import Effect, EnsureJob, EnsureNoJob, EnsureReleased, effects, touched, wake_at
from kipu.core.errors import CorruptionError
from kipu.core.events import Resolution, ShutdownMode, StepScheduled
from kipu.core.evolve import fold
from kipu.core.state import State
from kipu.eventlog.ports import EventLog, Head, Recorded, StreamId

from . import requests
from .clock import Clock, SessionClock
from .local_performer import LocalPerformer, Order
from .local_runs import LocalRun
from .mailbox import Mailbox
from .plans import plan
from .tasks import Alarm, Tasks

Show = Callable[[Sequence[Recorded], State], None]  # hears of every commit


class LocalEngine:
    """One life of a run: from the claim to the end of the workflow."""

    def __init__(
        self,
        run: LocalRun,
        log: EventLog,
        clock: Clock,
        *,
        writer: str,
        processes_max: int,
        show: Show,
        spec: Mapping[str, object],
        words: Mapping[str, Resolution] | None = None,
        rerun_from: Sequence[str] | None = None,
    ) -> None:
        self._run = run
        self._spec = spec  # as FILE has it now: what is asked of the run
        self._words = dict(words or {})  # by step: what became of attempts of which nobody knew
        self._rerun_from = rerun_from  # of a run that has ended and is to be run again: these steps too
        self._log = log
        self._clock: Clock = clock
        self._session_clock = SessionClock(clock, opened_ts=0)
        self._writer = writer
        self._slots = processes_max
        self._show = show
        self.stream: StreamId = run.stream
        self._evaluate = Evaluator(namespace=self.stream.namespace, name=self.stream.name, uid=self.stream.uid)
        self._identity = Identity(name=self.stream.name, uid=self.stream.uid)
        self._mailbox = Mailbox()
        self._performer = LocalPerformer(run.attempts, workplace=run.workplace, tell=self._mailbox.put)
        self._state: State | None = State()  # None while an append is under way: it may not be looked at
        self._head: Head | None = None
        self._intents: dict[str, str] = {}  # step -> "position:hash" of its newest StepScheduled
        self._jobs: dict[str, str] = {}  # step -> the Job's name of its newest attempt
        self._orders: dict[str, Order] = {}  # by job: the attempts that may run
        self._tasks = Tasks()
        self._may_fire = False
        self._alarm = Alarm(ring=lambda: self._mailbox.put(FireTimers()), look=self._mailbox.nudge)
        self._cancels = 0
        self._number = 1  # of the run in this log, as far as it is known

    async def run(self) -> State:
        """Until the workflow has ended, or can only go on when somebody says what became of a step (`is_stuck`).

        Raises what the log raises, when no process of a step is left.
        """
        await self._open()
        try:
            async with self._tasks:
                if self._rerun_from is not None or not self.state.is_terminal:
                    await self._live()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the first fault ends the life, whatever else it brings down
        finally:
            await self._leave()
        return self.state

    @property
    def state(self) -> State:
        """The committed state. Never asked for while an append is under way."""
        assert self._state is not None
        return self._state

    def cancel(self) -> None:
        """Ask for the end of the run; asked again, leave no more time to what runs."""
        self._cancels += 1
        self._shut_down()
        if self._cancels > 1:
            self._performer.hurry()

    def _shut_down(self) -> None:
        mode = ShutdownMode.CANCEL if self._cancels == 1 else ShutdownMode.TERMINATE
        self._mailbox.put(RequestShutdown(run=self._number, mode=mode))

    def ask(self, spec: Mapping[str, object]) -> None:
        """FILE was edited: take the requests out of it, as the operator does out of a Workflow that was edited."""
        self._spec = spec
        for command in requests.read(spec):
            if not isinstance(command, RequestRerun):  # `kipu run --rerun` asks for it
                self._mailbox.put(command)

    # -- a life ----------------------------------------------------------------------------------------

    async def _open(self) -> None:
        history = await self._log.load(self.stream)
        records = history.records if history else ()
        self._remember(records)
        self._check_claims(records)
        if history is not None:
            self._head = history.head
            self._state = fold((record.event, record.ts) for record in records)
            self._session_clock = SessionClock(self._clock, opened_ts=self._state.ts)

    def _check_claims(self, records: Sequence[Recorded]) -> None:
        """Whether this log has asked for every attempt that was begun: each is a witness of how far it was."""
        asked = {f"{record.position}:{record.hash}" for record in records if isinstance(record.event, StepScheduled)}
        for job, claim in self._performer.claims().items():
            if claim.intent not in asked:
                raise CorruptionError(
                    f"the attempt '{job}' was begun, but the log does not ask for it: it was rolled back"
                )

    async def _live(self) -> None:
        known = [*self.state.live, *self.state.leaving]
        suspension = requests.suspension(self._spec)  # before anything could start
        await self._turn([Claim(writer=self._writer), *self._admission(), suspension, *self._rerun()])
        self.ask(self._spec)
        if self._cancels:
            self._shut_down()  # it was asked for before it was known of which run
        for command in self._resolutions():
            self._mailbox.put(command)
        for place in known:
            self._take_up(place)
        await asyncio.sleep(0)  # each looks once at what was written meanwhile: such an end beats a deadline
        self._may_fire = True
        self._set_alarm()
        while not self.state.is_terminal and (len(self._mailbox) or not self.is_stuck()):
            await self._mailbox.wait()
            await self._turn(self._mailbox.take(COMMANDS_PER_TURN_MAX))

    def _rerun(self) -> Iterator[RequestRerun]:
        """What `spec.rerun` would ask for."""
        if self._rerun_from is not None:
            suspended = requests.suspension(self._spec).suspended
            yield RequestRerun(number=self.state.run + 1, from_=tuple(self._rerun_from), suspended=suspended)

    def _resolutions(self) -> Iterator[ResolveUnknown]:
        """What was said on the command line, as `spec.resolutions` would say it."""
        for place in self.state.unknown:
            name, number = self.state.name(place), self.state.steps[place].attempts
            if (decision := self._words.get(name)) is not None:
                ref = AttemptRef(run=self.state.run, step=name, attempt=number)
                yield ResolveUnknown(ref=ref, decision=decision, by=_user())

    def is_stuck(self) -> bool:
        """Whether nothing is left that goes on by itself or by an approval, but steps of which nobody knows."""
        state, due = self.state, wake_at(self.state)
        goes_on = state.live or state.leaving or state.retrying or state.resting or state.expanded or state.suspended
        is_due = due is not None and due <= self._session_clock.now()
        return bool(state.unknown) and not (goes_on or is_due or wants_turn(state, self._free(state)))

    def _admission(self) -> list[Command]:
        if self.state.definition is not None:
            return []
        return [Accept(spec_hash=self._run.spec_hash, definition=self._run.definition())]

    def _take_up(self, place: int) -> None:
        """What an earlier engine has begun: also what was seen running, which asks for no effect."""
        attempt = self.state.steps[place].attempt
        assert attempt is not None
        ref = AttemptRef(run=self.state.run, step=self.state.name(place), attempt=attempt.number)
        kind = EnsureNoJob if place in self.state.leaving else EnsureJob
        self._perform(kind(ref=ref, job=attempt.job, position=attempt.position))
        for effect in effects(self.state, [ref.step]):
            self._perform(effect)

    async def _leave(self) -> None:
        """Take down whatever still runs; of a run that has ended this is nothing."""
        self._alarm.cancel()
        self._mailbox.close()
        await asyncio.gather(*(self._performer.leave(order) for order in self._orders.values()))
        await self._performer.close()

    # -- the turn --------------------------------------------------------------------------------------

    async def _turn(self, commands: Sequence[Command]) -> None:
        given, self._state = self.state, None
        now = max(self._session_clock.now(), given.ts)
        state, events = decide(
            given, commands, identity=self._identity, now=now, slots=self._free(given), evaluate=self._evaluate
        )
        if events:
            self._head, records = await self._log.append(
                self.stream, self._head, events, ts=now, spec_hash=self._run.spec_hash
            )
            self._state = state
            self._committed(records)
        self._state, self._number = state, max(1, state.run)
        if wants_turn(state, self._free(state)):
            self._mailbox.nudge()
        self._set_alarm()

    def _committed(self, records: Sequence[Recorded]) -> None:
        events = [record.event for record in records]
        self._remember(records)
        for step in touched(events):
            self._release(step)
        for effect in effects(self.state, touched(events)):
            self._perform(effect)
        if any(isinstance(event, requests.WAITED_FOR) for event in events):
            self.ask(self._spec)
        self._show(records, self.state)

    def _remember(self, records: Sequence[Recorded]) -> None:
        for record in records:
            if isinstance(record.event, StepScheduled):
                self._intents[record.event.step] = f"{record.position}:{record.hash}"
                self._jobs[record.event.step] = record.event.job

    def _release(self, step: str) -> None:
        place = self.state.place_of(step)
        if place not in self.state.live and place not in self.state.leaving:
            self._orders.pop(self._jobs.get(step, ""), None)

    def _free(self, state: State) -> int:
        return max(0, self._slots - state.jobs_active)

    def _set_alarm(self) -> None:
        self._alarm.set(wake_at(self.state) if self._may_fire else None, self._session_clock)

    # -- effects ---------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        order = self._order(effect)
        self._orders[effect.job] = order
        if isinstance(effect, EnsureReleased):
            self._performer.release(order, effect.job_uid)
            return
        if isinstance(effect, EnsureJob):
            self._tasks.once(effect.job, lambda: self._performer.ensure(order))
            return
        self._tasks.drop(effect.job)
        self._tasks.once(f"{effect.job}/gone", lambda: self._performer.ensure_none(order))

    def _order(self, effect: Effect) -> Order:
        intent = self._intents[effect.ref.step]
        asked = plan(effect, self.state, stream=self.stream, intent=intent)
        place, definition = self.state.place_of(effect.ref.step), self.state.definition
        assert place is not None
        assert definition is not None
        step = self.state.step(place)
        return Order(
            ref=effect.ref,
            job=effect.job,
            intent=intent,
            program=program(asked.manifest()),
            declared=step.outputs,
            inputs={path_of(name, index): job for name, index, job in asked.inputs},
            keeps_files=keeps_files(definition, step),
            is_external=step.effects is Effects.EXTERNAL,
        )


def _user() -> str:
    """Who has begun this process, as far as the machine has a name for that."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
