"""Nothing quadratic: ten times the steps cost ten times the work. Counted, never timed.

Two things are counted: calls of the core's functions, and how often an item of the state is looked at, in its
indexes and in its list of steps (a `list(index)` is one call, but as long as the index).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import kipu.core
from kipu.core.adoption import check as check_adoption
from kipu.core.commands import (
    Accept,
    Command,
    FireTimers,
    ObserveGone,
    ObserveOutcome,
    ObserveStarted,
    RequestShutdown,
)
from kipu.core.decide import decide, wants_turn
from kipu.core.definition import ITEMS_MAX, Backoff, Definition, ForEach, Jitter, OnFailure, Retry, RunWhen, Step
from kipu.core.effects import Effect, EnsureJob, effects, touched, wake_at
from kipu.core.events import Event, Reason, ShutdownMode
from kipu.core.evolve import fold
from kipu.core.graph import check
from kipu.core.state import State
from tests.core.given import IDENTITY, START, adoption

pytestmark = pytest.mark.proof

FEW, MANY = 200, 2_000
SLACK = 1.1
CORE = str(Path(kipu.core.__file__).parent)
INDEXES = (
    *("plain", "guarded", "retrying", "ready", "doomed", "live", "leaving", "cancellable", "unadopted"),
    *("expanded", "startable", "idle", "spent", "overdue"),
)
LISTS = ("steps", "unmet", "owners")


class Looks:
    """How often an item of a state was looked at."""

    count = 0


class Index(dict[int, Any]):
    """An index that counts."""

    def __iter__(self) -> Iterator[int]:
        for place in super().__iter__():
            Looks.count += 1
            yield place

    def __contains__(self, place: object) -> bool:
        Looks.count += 1
        return super().__contains__(place)

    def keys(self) -> Any:
        return [*self]

    def values(self) -> Any:
        return (self[place] for place in self)

    def items(self) -> Any:
        return ((place, self[place]) for place in self)


class Steps(list[Any]):
    """A list that counts."""

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            Looks.count += 1
            yield item

    def __getitem__(self, place: Any) -> Any:
        Looks.count += 1
        return super().__getitem__(place)


def work(run: Callable[[], object]) -> int:
    """Calls of functions of the core plus looks at items of the state, while `run` runs."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(CORE)

    Looks.count = 0
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(before)
    return calls + Looks.count


@dataclass(kw_only=True)
class Shape:
    """A workflow of `size` steps and how it goes."""

    steps: Callable[[int], list[Step]]
    batch: int = 1  # effects that come true between two turns
    parallelism: int | None = None
    on_failure: OnFailure = OnFailure.CONTINUE
    fails: str = ""  # the step whose first attempt fails
    shut_down: bool = False  # in the second turn
    adopts: bool = False  # the first half of the steps
    hangs: bool = False  # nothing ends by itself

    def drive(self, size: int) -> list[tuple[Event, int]]:
        """A whole run, in the order of scheduling."""
        steps = tuple(self.steps(size))
        done = adoption(*[step.name for step in steps[: size // 2]]) if self.adopts else None
        definition = Definition(steps=steps, parallelism=self.parallelism, on_failure=self.on_failure, adopt=done)
        assert not check(definition) + check_adoption(definition)
        run = _Run(self)
        run.turn([Accept(spec_hash="h", definition=definition)])
        for name in INDEXES:
            setattr(run.state, name, Index(getattr(run.state, name)))
        for name in LISTS:
            setattr(run.state, name, Steps(getattr(run.state, name)))
        if self.shut_down:
            run.turn([RequestShutdown(run=1, mode=ShutdownMode.CANCEL)])
        while not run.state.is_terminal:
            run.turn([] if wants_turn(run.state, 10**6) else run.come_true())
        return run.log


@dataclass
class _Run:
    shape: Shape
    state: State = field(default_factory=State)
    log: list[tuple[Event, int]] = field(default_factory=list)
    due: list[Effect] = field(default_factory=list)
    done: int = 0
    now: int = START

    def turn(self, commands: list[Command]) -> None:
        self.state, events = decide(self.state, commands, identity=IDENTITY, now=self.now, slots=10**6)
        self.log += [(event, self.now) for event in events]
        self.due += effects(self.state, touched(events))
        wake_at(self.state)

    def come_true(self) -> list[Command]:
        batch = self.due[self.done : self.done + self.shape.batch]
        self.done += len(batch)
        if not batch:
            self.now = wake_at(self.state) or self.now
        return [command for effect in batch for command in self.answers(effect)] or [FireTimers()]

    def answers(self, effect: Effect) -> list[Command]:
        if not isinstance(effect, EnsureJob):
            return [ObserveGone(ref=effect.ref)]
        if self.shape.hangs and effect.ref.step != "root":
            return [ObserveStarted(ref=effect.ref, job_uid="u", started_at=self.now)]
        failed = effect.ref.step.startswith(self.shape.fails or "-") and effect.ref.attempt == 1
        return [
            ObserveStarted(ref=effect.ref, job_uid="u", started_at=self.now),
            ObserveOutcome(ref=effect.ref, job_uid="u", reason=Reason.EXIT_CODE if failed else None),
        ]


def named(number: int, *needs: str, **policies: Any) -> Step:
    return Step(name=f"s{number}", depends_on=needs, **policies)


def chain(size: int, run_when: RunWhen = RunWhen.ALL_SUCCEEDED) -> list[Step]:
    first = [Step(name="root"), named(1, "root", run_when=run_when)]
    return first + [named(number, f"s{number - 1}", run_when=run_when) for number in range(2, size)]


def wide(size: int, **policies: Any) -> list[Step]:
    return [Step(name="root")] + [named(number, **policies) for number in range(1, size)]


def fan_out(size: int, **policies: Any) -> list[Step]:
    return [Step(name="root")] + [named(number, "root", **policies) for number in range(1, size)]


def fan_in(size: int) -> list[Step]:
    return [*wide(size - 1), named(size, *[f"s{number}" for number in range(1, size - 1)])]


def items(size: int, **policies: Any) -> list[Step]:
    """One fan-out of so many items, between two steps."""
    for_each = ForEach(count=size, parallelism=policies.pop("parallelism", 1_000), max_failures=size)
    return [
        Step(name="root"),
        Step(name="shard", depends_on=("root",), for_each=for_each, **policies),
        named(1, "shard"),
    ]


def many_fans(size: int) -> list[Step]:
    return [named(number, for_each=ForEach(count=3)) for number in range(size)]


AGAIN = Retry(max_attempts=2, backoff=Backoff(initial_ms=1_000, jitter=Jitter.FULL))
FAILURES = RunWhen.ANY_FAILED
SHAPES = {
    "a chain": Shape(steps=chain),
    "a chain that falls": Shape(steps=chain, fails="root"),
    "a chain of steps for failures that falls": Shape(steps=lambda size: chain(size, FAILURES)),
    "a chain, half of it adopted": Shape(steps=chain, adopts=True),
    "a fan-out, half of it adopted": Shape(steps=fan_out, adopts=True),
    "a fan-out": Shape(steps=fan_out),
    "a fan-out, in batches": Shape(steps=fan_out, batch=20),
    "a fan-out with few places": Shape(steps=fan_out, parallelism=3),
    "a fan-out that falls": Shape(steps=fan_out, fails="root"),
    "a fan-in": Shape(steps=fan_in),
    "a fan-in with few places": Shape(steps=fan_in, parallelism=3),
    "wide, held back": Shape(steps=wide, parallelism=1, fails="root", on_failure=OnFailure.FINISH_RUNNING),
    "wide, taken down after a failure": Shape(steps=wide, fails="root", on_failure=OnFailure.CANCEL_RUNNING),
    "wide and spared after a failure": Shape(
        steps=lambda size: wide(size, run_when=RunWhen.ALL_FINISHED), fails="root", on_failure=OnFailure.CANCEL_RUNNING
    ),
    "wide, shut down": Shape(steps=wide, shut_down=True),
    "wide and waiting, shut down": Shape(steps=wide, parallelism=1, shut_down=True),
    "wide, every step retried": Shape(steps=lambda size: wide(size, retry=AGAIN), fails="s", batch=20),
    "items": Shape(steps=items),
    "items with few places": Shape(steps=lambda size: items(size, parallelism=7), batch=20),
    "items, every one retried": Shape(steps=lambda size: items(size, retry=AGAIN), fails="shard", batch=20),
    "items that fail": Shape(steps=items, fails="shard"),
    "items, shut down": Shape(steps=items, shut_down=True),
    "items, taken down with their step's timeout": Shape(steps=lambda size: items(size, timeout_ms=1), hangs=True),
    "many fan-outs": Shape(steps=many_fans, batch=20),
    "many fan-outs with few places": Shape(steps=many_fans, parallelism=5, batch=5),
    "wide, with deadlines": Shape(
        steps=lambda size: wide(size, start_timeout_ms=10**6, attempt_timeout_ms=10**6, timeout_ms=10**7)
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ten_times_the_steps_cost_ten_times_the_work(shape: Shape) -> None:
    few, many = work(lambda: shape.drive(FEW)), work(lambda: shape.drive(MANY))
    assert many / few <= SLACK * MANY / FEW


REPLAYED = ("a chain", "a fan-out", "items")


@pytest.mark.parametrize("shape", [SHAPES[name] for name in REPLAYED], ids=REPLAYED)
def test_a_replay_costs_as_much_as_there_are_events(shape: Shape) -> None:
    few_log, many_log = shape.drive(FEW), shape.drive(MANY)
    few, many = work(lambda: fold(few_log)), work(lambda: fold(many_log))
    assert many / few <= SLACK * len(many_log) / len(few_log)


def test_a_fan_out_of_ten_thousand_costs_as_much_for_an_item_and_keeps_nothing_of_what_is_over() -> None:
    shape = SHAPES["items with few places"]
    few, many = work(lambda: shape.drive(FEW)), work(lambda: shape.drive(ITEMS_MAX))
    assert many / few <= SLACK * ITEMS_MAX / FEW
    state = fold(shape.drive(ITEMS_MAX))
    assert len(state.steps) == ITEMS_MAX + 3
    assert len({id(step) for step in state.steps}) == 4


@pytest.mark.parametrize("held", [Index(dict.fromkeys(range(300))), Steps(range(300))], ids=["an index", "a list"])
def test_the_counter_sees_a_rescan(held: Index | Steps) -> None:
    def rescan(times: int) -> None:
        for _ in range(times):
            for place in range(len(held)):
                assert place in held if isinstance(held, Index) else held[place] == place

    assert work(lambda: list(held)) == work(lambda: rescan(1)) == 300
