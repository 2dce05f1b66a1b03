"""The actor: the sole owner of one workflow's state, and the turn.

    mailbox -> decide -> append (the only commit point) -> effects -> performer

Promises: nothing is acted on, shown or told before its event is committed; a lost race, an unclear store or
a contradiction ends the session, and the next one starts from the log alone. A session's first act is the
commit that claims the stream; no timer fires before complete lists of Jobs, Pods and children were folded.
Must never wait for anything but its mailbox and its own commits; must never sleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kipu.api import definition as specs
from kipu.api import status
from kipu.api.evaluation import Evaluator
from kipu.api.sub_workflows import depth_of
from kipu.core.commands import Claim, Command, FireTimers
from kipu.core.decide import Identity, decide, needs_place, wants_turn
from kipu.core.effects import Effect, EnsureJob, EnsureReleased, effects, escalated, notices, touched, wake_at
from kipu.core.evolve import fold
from kipu.core.policies import places_free
from kipu.core.requests import is_due
from kipu.core.state import State
from kipu.eventlog.ports import ConcurrencyConflict, EventLog, Head, LogMissing, Recorded, StreamId

from . import plans, requests, witnesses
from .admission import admission
from .census import CLUSTER, START, Census, unstarted_seconds
from .child_performer import ChildPerformer
from .clock import CLOCK_SKEW, Clock, SessionClock
from .company import Company
from .explainer import Explainer
from .kube import Kube
from .kube_views import WorkflowView
from .lookout import Lookout
from .mailbox import Mailbox
from .notifier import Notifier
from .observer import Observer
from .openings import rank
from .performer import Performer, Reports
from .publisher import Pace, Publisher
from .retention import Janitor, Shelf
from .settings import Settings
from .slots import Slots
from .tasks import Alarm, Tasks
from .telemetry import Telemetry, ends_a_step
from .upkeep import Upkeep
from .waits import Waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every actor shares."""

    log: EventLog
    observer: Observer
    performer: Performer
    children: ChildPerformer
    kube: Kube
    notifier: Notifier
    explainer: Explainer
    slots: Slots
    clock: Clock
    settings: Settings
    telemetry: Telemetry
    janitor: Janitor
    pace: Pace
    upkeeps: asyncio.Semaphore

    def shelf(self, stream: StreamId) -> Shelf:
        """The finished Jobs of a session that begins."""
        return Shelf(self.janitor, stream, kept=self.settings.jobs_kept)

    def upkeep(self, stream: StreamId) -> Upkeep:
        """The care of a log in a session that begins."""
        return Upkeep(self.log, stream, self.upkeeps)


class Actor:
    """One session of one workflow: from the claim to the end, a conflict or `stop`."""

    def __init__(self, view: WorkflowView, services: Services, *, seen: Head | None = None) -> None:
        self.view = view
        self._seen = seen  # how far an earlier session of this process has read or written the log
        self.stream = StreamId(namespace=view.metadata.namespace, name=view.metadata.name, uid=view.metadata.uid)
        self._services = services
        self._now = asyncio.get_running_loop().time
        self._begun = self._now()
        self._evaluate = Evaluator(namespace=self.stream.namespace, name=self.stream.name, uid=self.stream.uid)
        self._identity = Identity(name=self.stream.name, uid=self.stream.uid)
        self._mailbox = Mailbox(self._now)
        self._heard_at: float | None = None  # when what this turn decides was heard of
        self._state: State | None = State()  # None while an append is under way: it may not be looked at
        self._spec_hash = ""  # as recorded
        self._head: Head | None = None
        self._tasks = Tasks()  # by Job name: one effect each
        self._lookout = Lookout(
            self.stream,
            services.performer,
            services.observer,
            services.children,
            advance_on=services.settings.advance_on,
            tell=self._mailbox.put,
            remind=self._mailbox.remind,
            once=self._tasks.once,
        )
        self._waits = Waits(self._now)  # for the status, of steps
        self._crowded = ""  # what kind of place steps wait for, likewise
        self._shelf = services.shelf(self.stream)
        self._upkeep = services.upkeep(self.stream)
        self._may_fire = False
        self._clock = SessionClock(services.clock, opened_ts=0)
        self._alarm = Alarm(ring=lambda: self._mailbox.put(FireTimers()), look=self._look_at_clock)
        self._publisher = Publisher(
            services.kube,
            self.stream,
            view,
            interval_seconds=services.settings.status_interval_seconds,
            pace=services.pace,
            nudge=self._mailbox.nudge,
        )

    # -- the session ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read the log and fold it. Raises what `EventLog.load` raises, and HistoryRollback."""
        status = self.view.status  # as it was before the log is read: a newer one may come meanwhile
        history = await self._services.log.load(self.stream)
        witnesses.check_status(status, history)
        witnesses.check_earlier(self._seen, history)
        if history is not None:
            self._head = history.head
            self._upkeep.opened()
            self._lookout.remember(history.records)
            self._state = fold((record.event, record.ts) for record in history.records)
            self._lookout.settled(self._state)
            self._spec_hash = self._state.spec_hash
            self._clock = SessionClock(self._services.clock, opened_ts=self._state.ts)

    async def run(self, opened: Callable[[], None]) -> None:
        """Until the workflow has ended and its status says so, else raises why. `opened`: called once it is claimed."""
        try:
            async with self._tasks:
                if not self._is_over():
                    await self._begin()
                opened()
                company = Company(self._mailbox, self._services.slots, self._now)
                while not self._is_over():
                    commands, self._heard_at = await company.next(self.state)
                    await self._turn(commands)
                assert self._head is not None
                await self._publisher.finish(self._project)  # somebody may wait for it
                self._head = await self._upkeep.archive(self._head)
        finally:
            self._close()

    @property
    def head(self) -> Head | None:
        """The last one that this session has read or committed for certain."""
        return self._head

    @property
    def state(self) -> State:
        """The committed state. Never asked for while an append is under way."""
        assert self._state is not None
        return self._state

    def join(self, census: Census) -> None:
        """Be counted."""
        census.mailbox_commands += len(self._mailbox)
        census.measure(self._head)
        census.waiting[CLUSTER].add(self._waits.oldest_seconds)
        if self._state is not None:  # else an append is under way
            census.waiting[START].add(unstarted_seconds(self._state, self._clock.now()))

    def changed(self, view: WorkflowView) -> None:
        """The resource was edited, by a person or by our own status."""
        before, self.view = self.view, view
        if view.metadata.generation != before.metadata.generation:
            self._read_spec()
        else:  # nothing is asked that was not asked before: no turn for an echo
            self._publisher.seen(view.status)

    async def _begin(self) -> None:
        """Claim the stream, with what the spec says of suspension before anything could start, and resume."""
        fresh = self._head is None
        await self._check_intents()  # the claim may decide more
        claim = Claim(writer=self._services.settings.identity)
        await self._turn([claim, *await self._admission(), requests.suspension(self.view.spec)])
        self._services.telemetry.claim_seconds.observe(self._now() - self._begun)
        self._read_spec()
        known = self._services.observer.listen(self.stream.uid, self._lookout.sighted)
        for effect in () if fresh else effects(self.state):
            self._perform(effect)
        for name, sighting in list(known.items()):
            self._lookout.sighted(name, sighting, False)
        self._lookout.seek_missing(self.state, known)
        self._tasks.once("timers", self._allow_timers)

    def _is_over(self) -> bool:
        """Whether the run has ended and no other is to follow it."""
        if not self.state.is_terminal:
            return False  # asked after every turn: the spec is read only where it matters
        asked = requests.rerun(self.view.spec)
        return asked is None or not is_due(self.state, asked)

    async def _check_intents(self) -> None:
        """Wait for the lists; whether this log, or none, has asked for every Job that is there.

        Raises LogMissing and HistoryRollback, or ConcurrencyConflict where it is this session that is behind.
        """
        await self._services.observer.synced()
        try:
            self._lookout.check(self._services.observer.known(self.stream.uid))
        except witnesses.HistoryRollback as error:
            history = await self._services.log.load(self.stream)
            if history is not None and (self._head is None or history.head.position > self._head.position):
                raise ConcurrencyConflict("the log has moved on while the lists of Jobs and Pods came") from None
            if self._head is None:
                raise LogMissing(f"there is no log, but {error}") from None
            raise

    async def _allow_timers(self) -> None:
        await self._services.observer.synced()
        self._may_fire = True
        self._mailbox.nudge()

    async def _admission(self) -> list[Command]:
        """What the resource asks for, while the log has not accepted or rejected it yet."""
        return [] if self.state.definition is not None else [await admission(self._services.kube, self.view)]

    def _read_spec(self) -> None:
        """Take the requests out of the spec. Any other edit is only shown, as SpecChanged."""
        for command in requests.read(self.view.spec):
            self._mailbox.put(command)
        self._publisher.mark()

    # -- the turn ------------------------------------------------------------------------------------

    async def _turn(self, commands: Sequence[Command]) -> None:
        """Decide, commit, act. If the append fails the state is lost with the session, as it must be."""
        if witnesses.contradicts(self.view.status, self._head):
            # Another writer has gone on. The log alone would not say so, if it was cut to where this session stands.
            raise ConcurrencyConflict("the status has seen another log than this session has")
        services = self._services
        given, self._state = self.state, None
        now = max(self._clock.now(), given.ts)
        free = services.slots.free_for(self.stream.uid, self.stream.namespace)
        state, events = decide(given, commands, identity=self._identity, now=now, slots=free, evaluate=self._evaluate)
        services.slots.hold(self.stream.uid, state.jobs_active, self.stream.namespace)
        if events:
            with services.telemetry.committing():
                self._head, records = await services.log.append(
                    self.stream, self._head, events, ts=now, spec_hash=state.spec_hash
                )
            self._state, self._spec_hash = state, state.spec_hash
            self._upkeep.committed(self._head)
            self._committed(records)
        self._state = state
        self._seek_place(state)
        self._alarm.set(wake_at(state) if self._may_fire else None, self._clock)
        self._publisher.offer(self._project, phase=state.phase.value, group=self._tasks.group)

    def _seek_place(self, state: State) -> None:
        """Go on at once if that is possible, or be woken once there is a place."""
        slots, uid, namespace = self._services.slots, self.stream.uid, self.stream.namespace
        crowded = ""
        if needs_place(state):
            assert state.definition is not None
            if places_free(state, slots.limit):
                crowded = slots.why_none(namespace)
                slots.wait(uid, self._mailbox.nudge, namespace, rank(state.definition.priority, self.view))
            else:
                crowded = f"one of the {state.definition.parallelism} places of the workflow (spec.parallelism)"
        slots.serve()
        if wants_turn(state, slots.free_for(uid, namespace)):
            self._mailbox.nudge()
        if crowded != self._crowded:
            self._crowded = crowded
            self._publisher.mark()

    def _committed(self, records: Sequence[Recorded]) -> None:
        events = [record.event for record in records]
        self._services.telemetry.count_commit(records, self.state.accepted_at)
        self._services.janitor.steps_move()
        if not ends_a_step(events):
            self._heard_at = None
        self._lookout.remember(records)
        for step in touched(events):
            self._release(step)
        for effect in (*effects(self.state, touched(events)), *escalated(self.state, events)):
            self._perform(effect)
        if self._upkeep.is_due:
            self._tasks.once("upkeep", self._upkeep.sweep)
        for notice in notices(events, records[0].position):
            self._services.notifier.tell(self.view, notice)
        if any(isinstance(event, requests.WAITED_FOR) for event in events):
            self._read_spec()
        self._publisher.mark()

    def _release(self, step: str) -> None:
        """An attempt that is over needs no watching and waits for nothing."""
        place, job = self.state.place_of(step), self._lookout.job_of(step)
        if job is not None and place not in self.state.live:
            self._lookout.forget(job)
            self._services.explainer.forget(self.stream.uid, job)
            if place not in self.state.leaving:
                self._waits.forget(step)
                self._shelf.finished(job)
                self._lookout.over(self.state, step, job)

    def _look_at_clock(self) -> None:
        self._publisher.mark()
        self._mailbox.nudge()

    def _project(self) -> dict[str, object]:
        """The status of the committed state."""
        assert self._head is not None
        return status.project(
            self.state,
            generation=self.view.metadata.generation,
            log_position=self._head.position,
            log_hash=self._head.hash,
            waiting=self._waits.reasons,
            warnings=self._warnings(),
            crowded=self._crowded,
            spec_changed=specs.spec_hash(self.view.spec) != self._spec_hash,
        )

    def _warnings(self) -> dict[str, str]:
        """Conditions that hold now and that no event tells of."""
        found = {}
        if self._clock.is_skewed:
            found["ClockSkew"] = CLOCK_SKEW
        if self._head is not None and self._head.refusal:
            found["LogQuota"] = self._head.refusal
        if fault := requests.ignored(self.view.spec, self.state):
            found["RequestIgnored"] = fault
        return found

    # -- effects -------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        intent = self._lookout.intent_of(effect.ref.step)
        depth = depth_of(self.view.metadata.annotations)
        plan = plans.plan(effect, self.state, stream=self.stream, intent=intent, depth=depth)
        if isinstance(effect, EnsureJob | EnsureReleased) and not plan.is_child:
            self._services.explainer.expect(self.stream, effect.job, effect.ref.step, self._wait_shown)
        if isinstance(effect, EnsureJob):
            self._lookout.expect(effect.job, effect.ref)
            heard_at = self._heard_at if effect.ref.attempt == 1 else None
            self._tasks.in_turn(effect.job, lambda: self._ensure_job(plan, heard_at))
            return
        if isinstance(effect, EnsureReleased):
            uid, performer = effect.job_uid, self._services.performer
            self._tasks.once(f"{effect.job}/release", lambda: performer.release(plan, uid, self._reports()))
            return
        self._lookout.forget(effect.job)
        key = f"{effect.job}/gone/{plan.mode}"  # a child that is ending may be asked to end faster
        if key not in self._tasks:
            self._tasks.drop(effect.job)
            self._tasks.drop(f"{effect.job}/release")
            self._tasks.once(key, lambda: self._ensurer(plan).ensure_no_job(plan, self._reports()))

    async def _ensure_job(self, plan: plans.Plan, heard_at: float | None) -> None:
        await self._ensurer(plan).ensure_job(plan, self._reports())
        if heard_at is not None:
            self._services.telemetry.gap_seconds.observe(self._now() - heard_at)

    def _ensurer(self, plan: plans.Plan) -> Performer | ChildPerformer:
        return self._services.children if plan.is_child else self._services.performer

    def _reports(self) -> Reports:
        return Reports(
            command=self._mailbox.put,
            job_seen=self._services.observer.saw_job,
            child_seen=self._services.observer.saw_child,
            created=self._shelf.created,
            waiting=self._wait_shown,
            tried=self._tasks.tried,
        )

    def _wait_shown(self, step: str, why: str) -> None:
        if self._waits.show(step, why):
            self._publisher.mark()

    # -- the end -------------------------------------------------------------------------------------

    def _close(self) -> None:
        self._mailbox.close()
        self._publisher.close()
        self._alarm.cancel()
        self._services.explainer.leave(self.stream.uid)
        self._services.slots.forget(self.stream.uid, self.stream.namespace)
        finished = self._state is not None and self._state.is_terminal
        self._services.observer.forget(self.stream.uid, finished=finished)
