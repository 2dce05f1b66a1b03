"""Whole runs of Workflows as the core decides them, in a made-up time: small ones, and such as fill a page."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from kipu.cli import transcript
from kipu.core.commands import (
    Accept,
    AttemptRef,
    Claim,
    Command,
    FireTimers,
    GiveApproval,
    ObserveGone,
    ObserveOutcome,
    ObserveStarted,
)
from kipu.core.decide import Identity, decide, wants_turn
from kipu.core.definition import Definition, ForEach, OnFailure
from kipu.core.events import ApprovalRequested, AttemptAbandoned, Decision, Event, Reason, StepScheduled
from kipu.core.language import nothing_to_evaluate
from kipu.core.state import State, next_timer
from kipu.eventlog.memory import MemoryLog
from kipu.eventlog.ports import Head, History, StreamId
from tests.cli.histories import SPEC_HASH, run
from tests.core.given import START, approval, fan, last, step, wait

SLOTS = 1_000
FINAL_CODE = 2


@dataclass(slots=True)
class Played:
    """One run, played until it has ended or has so many events."""

    definition: Definition
    stream: StreamId
    seed: int = 1
    failing: float = 0.0  # of all attempts
    slots: int = SLOTS
    says: str = "connection to db-3.internal:5432 was refused\nafter 3 tries; giving up"  # what has failed
    state: State = field(default_factory=State)
    now: int = START
    commits: list[tuple[list[Event], int]] = field(default_factory=list)
    _coming: list[tuple[int, int, Command]] = field(default_factory=list)
    _random: Random = field(default_factory=Random)

    def play(self, events_max: int = 1_000_000) -> Played:
        self._random.seed(self.seed)
        self._tell(Claim(writer="kipu-0"), Accept(spec_hash=SPEC_HASH, definition=self.definition))
        while not self.state.is_terminal and self.state.position < events_max:
            commands = self._next()
            if not commands:
                break
            self._tell(*commands)
            while wants_turn(self.state, self.slots):
                self._tell()
        return self

    def _next(self) -> list[Command]:
        """What comes next, be it a timer or something that is seen; time has passed until then."""
        timer = next_timer(self.state)
        if timer is not None and (not self._coming or timer.due <= self._coming[0][0]):
            self.now = max(self.now, timer.due)
            return [FireTimers()]
        if not self._coming:
            return []
        self.now = max(self.now, self._coming[0][0])
        found: list[Command] = []
        while self._coming and self._coming[0][0] <= self.now + 20 and len(found) < 50:
            found.append(heapq.heappop(self._coming)[2])
        return found

    def _tell(self, *commands: Command) -> None:
        identity = Identity(name=self.stream.name, uid=self.stream.uid)
        self.state, events = decide(
            self.state, commands, identity=identity, now=self.now, slots=self.slots, evaluate=nothing_to_evaluate
        )
        if events:
            self.commits.append((events, self.now))
        for event in events:
            self._foresee(event)

    def _foresee(self, event: Event) -> None:
        """What will be seen because of it."""
        if isinstance(event, StepScheduled):
            ref = AttemptRef(run=event.run, step=event.step, attempt=event.attempt)
            starts = self.now + self._random.randint(400, 2_500)
            ends = starts + int(self._random.lognormvariate(8.6, 0.9))
            uid, pod = f"uid-{event.job}", f"{event.job}-x7k2p"
            node = f"node-{self._random.randint(1, 12)}"
            self._push(starts, ObserveStarted(ref=ref, job_uid=uid, started_at=starts, pod=pod, node=node))
            self._push(ends, self._outcome(ref, uid, pod))
        elif isinstance(event, ApprovalRequested):
            given = GiveApproval(run=event.run, step=event.step, decision=Decision.APPROVE, by="ann")
            self._push(self.now + 45_000, given)
        elif isinstance(event, AttemptAbandoned):
            ref = AttemptRef(run=event.run, step=event.step, attempt=event.attempt)
            self._push(self.now + 2_000, ObserveGone(ref=ref, message=""))

    def _outcome(self, ref: AttemptRef, uid: str, pod: str) -> ObserveOutcome:
        if self._random.random() >= self.failing:
            outputs: dict[str, str | int | bool] = {
                "rows": self._random.randint(10, 90_000),
                "note": "all rows are there",
            }
            return ObserveOutcome(ref=ref, job_uid=uid, pod=pod, reason=None, outputs=outputs)
        code = FINAL_CODE if self._random.random() < 0.3 else 1
        return ObserveOutcome(ref=ref, job_uid=uid, pod=pod, reason=Reason.EXIT_CODE, exit_code=code, message=self.says)

    def _push(self, at: int, command: Command) -> None:
        heapq.heappush(self._coming, (at, len(self.commits) * 10_000 + len(self._coming), command))

    # -- as a file -------------------------------------------------------------------------------------------

    def history(self) -> History:
        log = MemoryLog()

        async def record() -> History | None:
            head: Head | None = None
            for events, ts in self.commits:
                head, _ = await log.append(self.stream, head, events, ts=ts, spec_hash=SPEC_HASH)
            return await log.load(self.stream)

        history = run(record())
        assert history is not None
        return history

    def export(self) -> bytes:
        lines: Iterator[bytes] = transcript.write(self.stream, self.history(), SPEC_HASH)
        return b"".join(line + b"\n" for line in lines)


def named(name: str, namespace: str = "default", number: int = 1) -> StreamId:
    return StreamId(namespace=namespace, name=name, uid=f"4a1f0a52-0000-4000-8000-{number:012d}")


def small() -> Played:
    """Ten steps of every kind, one of which fails and is tried again."""
    steps = (
        step("fetch", attempts=3),
        step("check", "fetch", attempts=4),
        step("load-orders", "fetch", attempts=3),
        step("load-customers", "fetch", attempts=3),
        fan("shard", "load-orders", count=12, parallelism=4, attempts=3),
        wait("settle", "load-customers", milliseconds=20_000),
        step("join", "check", "shard", "settle", attempts=3),
        approval("publish", "join"),
        step("report", "publish", attempts=3),
        last("notify", attempts=3),
    )
    return Played(Definition(steps=steps), named("nightly-etl"), seed=4, failing=0.2)


def middling(width: int = 37, seed: int = 3) -> Played:
    """Three hundred steps in eight ranks, each of which waits for a few of the rank before."""
    random = Random(seed)
    ranks = [[f"r{rank}-step-{number:02d}" for number in range(width)] for rank in range(8)]
    steps = [step("begin")]
    for rank, names in enumerate(ranks):
        before = ranks[rank - 1] if rank else ["begin"]
        for number, name in enumerate(names):
            near = before[max(0, number - 2) : number + 3] or before
            steps.append(
                step(name, *sorted(random.sample(near, min(2, len(near)))), attempts=3, final_codes=(FINAL_CODE,))
            )
    steps.append(step("end", *ranks[-1]))
    definition = Definition(steps=tuple(steps), on_failure=OnFailure.CONTINUE, parallelism=40)
    return Played(definition, named("three-hundred", "analytics", 2), seed=seed, failing=0.03)


def large(items: int = 10_000, slots: int = 400) -> Played:
    """Ten thousand items between two steps."""
    each = ForEach(count=items, parallelism=1_000, max_failures=items)
    shard = step("shard", "fetch", attempts=2, for_each=each, final_codes=(FINAL_CODE,))
    steps = (step("fetch"), shard, step("join", "shard"))
    return Played(Definition(steps=steps), named("ten-thousand", "analytics", 3), failing=0.01, slots=slots)


def hostile() -> Played:
    """A program that would like to be markup."""
    says = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    return Played(Definition(steps=(step("a"),)), named("hostile"), failing=1.0, says=says)


def broad(width: int = 2_499) -> Played:
    """As many steps as a Workflow may have, in two ranks that no two steps of are alike."""
    first = [f"extract-{number:04d}" for number in range(width)]
    steps = [step("begin"), *(step(name, "begin") for name in first)]
    steps += [step(f"load-{number:04d}", name, attempts=2) for number, name in enumerate(first)]
    return Played(
        Definition(steps=(*steps, step("end")), on_failure=OnFailure.CONTINUE, parallelism=300),
        named("five-thousand", "analytics", 5),
        failing=0.01,
    )
