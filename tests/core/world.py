"""A small random world for the laws: Jobs that start, end, vanish and leave, news that comes late, twice or never.

Promises: seeded, so that a failing case comes again; keeps the bookkeeping of a cluster (which attempts have a
pod) so that a test can ask what really ran. After `chaos` it calms down: everything is done and told in the end.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kipu.core.commands import (
    Accept,
    AttemptRef,
    Claim,
    Command,
    FireTimers,
    GiveApproval,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveRefused,
    ObserveStarted,
    RequestRerun,
    RequestShutdown,
    ResolveUnknown,
    SetSuspended,
)
from kipu.core.decide import decide, wants_turn
from kipu.core.definition import Definition, Effects, Kind
from kipu.core.effects import EnsureJob, EnsureNoJob, EnsureReleased, effects, touched, wake_at
from kipu.core.events import (
    Decision,
    Event,
    Reason,
    Resolution,
    ShutdownMode,
    StepScheduled,
    StepStarted,
    StepSucceeded,
)
from kipu.core.evolve import evolve, fold
from kipu.core.language import Evaluate, Evaluated, Unevaluated
from kipu.core.naming import keyed_fraction
from kipu.core.patience import may_wait
from kipu.core.state import State, canonical
from tests.core.given import IDENTITY, START
from tests.core.invariants import check_indexes, relevant_timers


def by_name(state: State, place: int) -> Evaluated | Unevaluated:
    """What the expressions of a step or item come to, drawn by its name alone: some fail, some hold, some do not."""
    name, is_item = state.name(place), state.fanout_of(place) is not None
    is_fan_out = state.step(place).for_each is not None and not is_item
    match keyed_fraction(15, "expressions", name):
        case 0:
            return Unevaluated(message="no such key")
        case 1 | 2 if not is_item:
            return Evaluated(holds=False)
        case 3 | 4 | 5 if not is_fan_out:
            return Evaluated(values={"env[0].value": "x" * 900, "args[1]": name})
        case 6 | 7 | 8 if is_fan_out:
            return Evaluated(items=("a", {"b": 1}, name))
    return Evaluated()


Ref = TypeVar("Ref")
TURNS_MAX = 3_000  # 25 steps x (3 attempts + 10 disruptions) x 5 turns = 1,625; a run that needs more hangs
FAILURES = (Reason.EXIT_CODE, Reason.EXIT_CODE, Reason.OUT_OF_MEMORY, Reason.DISRUPTED, Reason.POD_FAILED)


@dataclass
class Committed:
    """One turn as the log has it."""

    events: list[Event]
    ts: int
    slots: int
    held: frozenset[AttemptRef]  # attempts that had a pod then, or might still get one


@dataclass
class World:
    """The cluster, the mailbox, the log and the state of one workflow."""

    definition: Definition
    seed: int
    chaos: int = 60  # moves before it calms down
    shutdowns: bool = True
    reruns: int = 2  # at most
    slots_max: int = 30
    evaluate: Evaluate = by_name

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = START
        self.state = State()
        self.replayed = State()
        self.log: list[tuple[Event, int]] = []
        self.turns: list[Committed] = []
        self.wanted: dict[AttemptRef, EnsureJob] = {}  # Jobs to create
        self.unwanted: dict[AttemptRef, EnsureNoJob] = {}  # Jobs to remove
        self.released: dict[AttemptRef, None] = {}  # External ones that may run
        self.gone: dict[AttemptRef, None] = {}  # attempts whose name is taken by a placeholder
        self.created: dict[AttemptRef, None] = {}  # Jobs whose pod has not started
        self.pods: dict[AttemptRef, None] = {}  # pods that run
        self.mailbox: list[Command] = []
        self.told: list[Command] = []  # everything ever told, to be told again
        self.wants_rest = False  # whether somebody has asked for a suspension

    def run(self) -> State:
        """From acceptance to the end."""
        self.mailbox += [Claim(writer="w"), Accept(spec_hash="h", definition=self.definition)]
        self.turn()
        self.live()
        while self.reruns and self.definition.steps and self.random.random() < 0.3:
            self.reruns -= 1
            self.begin_again()
            self.live()
        self.afterlife()
        return self.state

    def live(self) -> None:
        """To the end of one run."""
        for _ in range(self.chaos):
            self.move()
        self.wants_rest = False
        self.tell(SetSuspended(suspended=False))  # whatever was said before, and may come again
        for _ in range(TURNS_MAX):
            if self.state.is_terminal:
                break
            self.calm_move()
        assert self.state.is_terminal, f"still {self.state.phase} after {TURNS_MAX} turns"

    def begin_again(self) -> None:
        """One run more, perhaps from somewhere."""
        names = [step.name for step in self.definition.steps if not step.in_finally]
        begins = tuple(self.random.sample(names, min(len(names), self.random.choice((0, 0, 1, 2)))))
        number = self.state.run + 1
        wrong = (number + 1, number - 1) if self.random.random() < 0.2 else ()
        for each in (*wrong, number):
            self.tell(RequestRerun(number=each, from_=begins, suspended=self.wants_rest))
        while self.state.run < number:
            self.turn()

    # -- one turn of the operator ------------------------------------------------------------------------

    def turn(self, slots: int | None = None) -> None:
        slots = self.slots_max if slots is None else slots
        taken, self.mailbox = self.mailbox[:50], self.mailbox[50:]
        expected = self.twin(taken, slots) if self.random.random() < 0.1 else None
        promised = wants_turn(self.state, slots)
        active, phase, patient = self.state.jobs_active, self.state.phase, may_wait(self.state, taken)
        self.state, events = decide(
            self.state, taken, identity=IDENTITY, now=self.now, slots=slots, evaluate=self.evaluate
        )
        assert expected is None or events == expected
        assert taken or bool(events) is promised, "wants_turn says whether events are due"
        if patient:  # nobody sees whether such ends are committed now or with the next ones
            assert {*map(type, events)} <= {StepStarted, StepSucceeded}
            # Those that tell of their start while it is awaited say so, and do not wait.
            assert all(isinstance(effect, EnsureReleased) for effect in effects(self.state, touched(events)))
            assert self.state.phase is phase
        self.commit(events, slots, active)
        for effect in effects(self.state, touched(events)):
            if isinstance(effect, EnsureJob):
                self.wanted[effect.ref] = effect
            elif isinstance(effect, EnsureReleased):
                self.released[effect.ref] = None
            else:
                self.unwanted[effect.ref] = effect

    def commit(self, events: list[Event], slots: int, active: int) -> None:
        held = frozenset([*self.pods, *self.created, *self.wanted])
        self.turns.append(Committed(events=events, ts=self.now, slots=slots, held=held))
        self.log += [(event, self.now) for event in events]
        for event in events:
            self.replayed = evolve(self.replayed, event, ts=self.now)
        assert canonical(self.replayed) == canonical(self.state)
        assert relevant_timers(self.replayed) == relevant_timers(self.state)
        check_indexes(self.state)
        scheduled = [event.step for event in events if isinstance(event, StepScheduled)]
        assert sum(not self.is_nested(step) for step in scheduled) <= max(0, slots)
        limit = self.definition.parallelism
        assert limit is None or self.state.jobs_active <= max(limit, active)

    def twin(self, taken: Sequence[Command], slots: int) -> list[Event]:
        """What a replica would decide that has just folded the log; it must ask for the same effects, too."""
        twin = fold(self.log)
        assert effects(twin) == effects(self.state)
        assert wake_at(twin) == wake_at(self.state)
        assert wants_turn(twin, slots) == wants_turn(self.state, slots)
        return decide(twin, taken, identity=IDENTITY, now=self.now, slots=slots, evaluate=self.evaluate)[1]

    # -- moves -------------------------------------------------------------------------------------------

    def move(self) -> None:
        """One thing happens, perhaps nothing good."""
        moves = (
            [self.create] * 6
            + [self.start] * 6
            + [self.finish] * 6
            + [self.remove] * 4
            + [self.random_turn] * 8
            + [self.repeat] * 2
            + [self.vanish, self.resolve, self.refuse, self.pass_time, self.pass_time, self.shut_down]
            + [self.suspend, self.answer, self.answer]
        )
        self.random.choice(moves)()

    def calm_move(self) -> None:
        """Everything that is due is done and told."""
        for _ in range(len(self.wanted)):
            self.create()
        for _ in range(len(self.unwanted)):
            self.remove()
        for _ in range(len(self.created)):
            self.start()
        for _ in range(len(self.pods)):
            self.finish()
        for _ in range(len(self.state.unknown)):
            self.resolve()
        for _ in range(len(self.asked())):
            self.answer()
        if not self.mailbox and not wants_turn(self.state, self.slots_max):
            due = wake_at(self.state)
            assert due is not None or self.state.is_terminal, "nothing is due and nothing ends"
            self.now = max(self.now, due or 0)
            self.mailbox.append(FireTimers())
        self.turn()

    def afterlife(self) -> None:
        """Once ended, nothing is news any more."""
        ended = len(self.log)
        self.now += 10**9
        told = [command for command in self.told[-30:] if not isinstance(command, RequestRerun)]
        late = [*told, FireTimers(), RequestShutdown(run=self.state.run, mode=ShutdownMode.TERMINATE)]
        self.mailbox += [*late, SetSuspended(suspended=True)]
        while self.mailbox:
            self.turn()
        assert len(self.log) == ended

    def random_turn(self) -> None:
        self.random.shuffle(self.mailbox)
        self.turn(self.random.choice([0, 1, 2, self.slots_max]))

    def tell(self, command: Command) -> None:
        self.mailbox.append(command)
        self.told.append(command)

    def create(self) -> None:
        if (ref := self.pick(self.wanted)) is not None:
            del self.wanted[ref]
            if ref not in self.unwanted and ref not in self.gone:
                self.created[ref] = None
                if self.is_external(ref):
                    self.tell(ObserveStarted(ref=ref, job_uid="u", started_at=self.now, is_awaited=True))

    def start(self) -> None:
        ready = [ref for ref in self.created if ref in self.released or not self.is_external(ref)]
        if (ref := self.pick(ready)) is not None:
            del self.created[ref]
            self.pods[ref] = None
            self.tell(ObserveStarted(ref=ref, job_uid="u", started_at=self.now, pod="p", node="n"))

    def finish(self) -> None:
        if (ref := self.pick(self.pods)) is not None:
            del self.pods[ref]
            self.tell(self.outcome(ref))

    def outcome(self, ref: AttemptRef) -> ObserveOutcome:
        reason = self.random.choice(FAILURES) if self.random.random() < 0.35 else None
        code = None if reason is None else self.random.choice([None, 1, 2])
        return ObserveOutcome(ref=ref, job_uid="u", reason=reason, exit_code=code, message=str(reason))

    def vanish(self) -> None:
        """Somebody deletes a Job: its pod is gone without an outcome."""
        if (ref := self.pick(self.pods)) is not None:
            del self.pods[ref]
            self.tell(ObserveMissing(ref=ref))

    def resolve(self) -> None:
        """A person says what became of an attempt of which nobody knew."""
        if self.state.unknown:
            place = self.random.choice(list(self.state.unknown))
            name, attempt = self.definition.steps[place].name, self.state.steps[place].attempts
            ref = AttemptRef(run=self.state.run, step=name, attempt=attempt)
            self.tell(ResolveUnknown(ref=ref, decision=self.resolution(ref), by="somebody"))

    def resolution(self, ref: AttemptRef) -> Resolution:
        """What that person says of this attempt."""
        return self.random.choice(list(Resolution))

    def is_nested(self, name: str) -> bool:
        step = name.partition("[")[0]
        return any(each.name == step and each.kind is Kind.WORKFLOW for each in self.definition.steps)

    def is_external(self, ref: AttemptRef) -> bool:
        return any(step.name == ref.step and step.effects is Effects.EXTERNAL for step in self.definition.steps)

    def refuse(self) -> None:
        if (ref := self.pick(self.wanted)) is not None:
            del self.wanted[ref]
            reason = self.random.choice([Reason.INVALID_JOB, Reason.JOB_NAME_TAKEN])
            self.tell(ObserveRefused(ref=ref, reason=reason, message="refused"))

    def remove(self) -> None:
        """The Job of an attempt that was given up is gone, and its name is taken for ever."""
        if (ref := self.pick(self.unwanted)) is not None:
            del self.unwanted[ref]
            self.wanted.pop(ref, None)
            self.created.pop(ref, None)
            self.pods.pop(ref, None)
            self.gone[ref] = None
            self.tell(ObserveGone(ref=ref))

    def repeat(self) -> None:
        if self.told:
            self.mailbox.append(self.random.choice(self.told))

    def pass_time(self) -> None:
        self.now += self.random.choice([0, 1, 500, 1_000, 5_000, 60_000])
        self.mailbox.append(FireTimers())

    def shut_down(self) -> None:
        if self.shutdowns and self.random.random() < 0.2:
            run = self.state.run + self.random.choice([0, 0, 1])
            self.tell(RequestShutdown(run=run, mode=self.random.choice(list(ShutdownMode))))

    def suspend(self) -> None:
        """Or resume."""
        self.wants_rest = not self.wants_rest
        self.tell(SetSuspended(suspended=self.wants_rest))

    def answer(self) -> None:
        """Somebody answers a question, if one is asked."""
        if (place := self.pick(self.asked())) is not None:
            step = self.state.step(place).name
            self.tell(GiveApproval(run=self.state.run, step=step, decision=self.decision(step), by="ann"))

    def asked(self) -> list[int]:
        return [place for place in self.state.resting if self.state.step(place).kind is Kind.APPROVAL]

    def decision(self, _step: str) -> Decision:
        return self.random.choice((Decision.APPROVE, Decision.APPROVE, Decision.REJECT))

    def pick(self, refs: Iterable[Ref]) -> Ref | None:
        choices = list(refs)
        return self.random.choice(choices) if choices else None
