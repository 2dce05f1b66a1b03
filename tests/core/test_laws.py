"""Laws that hold for every graph, every order of news and every accident (design 03, I1 to I17 as far as pure).

`KIPU_RANDOM=1 KIPU_EXAMPLES=5000 pytest tests/core/test_laws.py` looks further than the fixed cases of a change.
"""

from __future__ import annotations

import random
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st

from kipu.core.adoption import adoptable
from kipu.core.commands import AttemptRef, ObserveOutcome
from kipu.core.definition import (
    Approval,
    Backoff,
    Definition,
    Effects,
    ForEach,
    Jitter,
    Kind,
    OnFailure,
    OnUnknown,
    Retry,
    RunWhen,
    Step,
)
from kipu.core.events import Decision, Reason, Resolution
from kipu.core.evolve import fold
from kipu.core.naming import keyed_fraction
from kipu.core.state import State, canonical
from tests.core.audit import Audit
from tests.core.given import adoption
from tests.core.laws import FEWER, LAW
from tests.core.world import World

# A law that is broken is made small first, which takes its time.
pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
STEPS_MAX = 25
_FANS = st.builds(
    ForEach, count=st.integers(0, 5), parallelism=st.sampled_from([1, 2, 1_000]), max_failures=st.integers(0, 2)
)
WAITS = st.none() | st.sampled_from([1_000, 5_000, 60_000])


@st.composite
def definitions(draw: st.DrawFn, *, timeouts: bool = True) -> Definition:
    """A sound graph with every policy; the steps stand in any order."""
    count = draw(st.integers(0, STEPS_MAX))
    names = [f"s{number}" for number in range(count)]
    waits = WAITS if timeouts else st.none()
    steps = [draw(_steps(name, names[:number], waits)) for number, name in enumerate(names)]
    last = [f"last{number}" for number in range(draw(st.sampled_from([0, 0, 1, 3])))]
    at_the_end = [replace(draw(_steps(name, last[:n], waits)), in_finally=True) for n, name in enumerate(last)]
    shuffled = (*draw(st.permutations(steps)), *at_the_end)
    done = draw(st.just([]) | st.lists(st.sampled_from(names), unique=True)) if names else []
    names = list(adoptable(Definition(steps=shuffled), done))
    return Definition(
        steps=shuffled,
        adopt=adoption(*draw(st.permutations(names))) if names else None,
        parallelism=draw(st.none() | st.integers(1, 4)),
        timeout_ms=draw(st.none() | st.sampled_from([10_000, 600_000])) if timeouts else None,
        on_failure=draw(st.sampled_from(OnFailure)),
        finally_timeout_ms=draw(st.none() | st.just(5_000)) if timeouts else None,
    )


def _steps(name: str, earlier: list[str], waits: st.SearchStrategy[int | None]) -> st.SearchStrategy[Step]:
    needs = st.lists(st.sampled_from(earlier), max_size=3, unique=True) if earlier else st.just([])
    kinds = st.sampled_from([Kind.RUN] * 6 + [Kind.WORKFLOW] * 2 + [Kind.APPROVAL, Kind.WAIT])
    plain = st.builds(
        Step,
        name=st.just(name),
        depends_on=needs.map(tuple),
        run_when=st.sampled_from([RunWhen.ALL_SUCCEEDED] * 3 + [RunWhen.ALL_FINISHED, RunWhen.ANY_FAILED]),
        allow_failure=st.sampled_from([False, False, True]),
        retry=st.builds(
            Retry,
            max_attempts=st.integers(1, 3),
            backoff=st.builds(Backoff, initial_ms=st.sampled_from([0, 1_000]), jitter=st.sampled_from(Jitter)),
            non_retryable_exit_codes=st.sampled_from([(), (2,)]),
        ),
        start_timeout_ms=waits,
        attempt_timeout_ms=waits,
        timeout_ms=waits,
        for_each=st.none() | st.none() | _FANS,
        effects=st.sampled_from([Effects.IDEMPOTENT, Effects.IDEMPOTENT, Effects.EXTERNAL]),
        on_unknown=st.sampled_from(OnUnknown),
    ).map(_sound)
    return st.builds(_of_kind, plain, kinds, waits)


def _sound(step: Step) -> Step:
    """Nobody is asked about the items of a fan-out: the spec refuses that."""
    asks = step.effects is Effects.EXTERNAL and step.on_unknown is OnUnknown.ASK
    return replace(step, on_unknown=OnUnknown.FAIL) if step.for_each is not None and asks else step


def _of_kind(step: Step, kind: Kind, timeout_ms: int | None) -> Step:
    if kind is Kind.RUN:
        return step
    if kind is Kind.WORKFLOW:
        return replace(step, kind=kind, start_timeout_ms=None, attempt_timeout_ms=None, effects=Effects.IDEMPOTENT)
    bare = Step(name=step.name, depends_on=step.depends_on, run_when=step.run_when, allow_failure=step.allow_failure)
    if kind is Kind.WAIT:
        return replace(bare, kind=kind, wait_ms=3_000)
    return replace(bare, kind=kind, approval=Approval(message="Go on?", timeout_ms=timeout_ms))


@LAW
@hypothesis.given(definitions(), st.integers(0, 2**32))
def test_every_run_ends_and_breaks_no_rule_on_the_way(definition: Definition, seed: int) -> None:
    world = World(definition, seed)
    world.run()
    Audit(definition).read(world)
    assert canonical(fold(world.log)) == canonical(world.state)


@LAW
@hypothesis.given(definitions(), st.integers(0, 2**32))
def test_a_world_without_a_shutdown_never_ends_cancelled(definition: Definition, seed: int) -> None:
    world = World(definition, seed, shutdowns=False)
    assert world.run().phase.value in ("Succeeded", "Failed")
    Audit(definition).read(world)


# -- what does not depend on the order and the batches of the news ---------------------------------------


class Fated(World):
    """A world where what each attempt comes to is written; only when it is told differs."""

    fate: int = 0

    def outcome(self, ref: AttemptRef) -> ObserveOutcome:
        draw = keyed_fraction(9, str(self.fate), ref.step, str(ref.attempt))
        reason = {0: Reason.EXIT_CODE, 1: Reason.EXIT_CODE, 2: Reason.DISRUPTED}.get(draw)
        code = {0: 1, 1: 2}.get(draw)
        return ObserveOutcome(ref=ref, job_uid="u", reason=reason, exit_code=code)

    def decision(self, step: str) -> Decision:
        return Decision.REJECT if keyed_fraction(3, str(self.fate), step) == 0 else Decision.APPROVE

    def resolution(self, ref: AttemptRef) -> Resolution:
        words = list(Resolution)
        return words[keyed_fraction(len(words) - 1, str(self.fate), ref.step, str(ref.attempt), "said")]

    def vanish(self) -> None:
        """Nothing does, here."""

    refuse = vanish


def lives(definition: Definition, fate: int, seed: int) -> State:
    seeds = random.Random(seed)
    world = Fated(definition, seeds.getrandbits(32), shutdowns=False, reruns=0, slots_max=seeds.choice([1, 3, 30]))
    world.fate = fate
    return world.run()


@LAW
@hypothesis.given(
    definitions(timeouts=False), st.integers(0, 99), st.lists(st.integers(0, 2**32), min_size=2, max_size=3)
)
def test_where_failures_stop_nobody_else_every_step_ends_the_same_in_every_order(
    definition: Definition, fate: int, seeds: list[int]
) -> None:
    definition = replace(definition, on_failure=OnFailure.CONTINUE)
    ends = [lives(definition, fate, seed) for seed in seeds]
    assert len({end.phase for end in ends}) == 1
    # Of a fan-out that fails, it depends on the order which items had begun before.
    count = len(definition.steps)
    assert len({tuple((step.phase, step.attempts, step.failures) for step in end.steps[:count]) for end in ends}) == 1


@FEWER
@hypothesis.given(definitions(timeouts=False), st.integers(0, 99), st.integers(0, 2**32), st.integers(1, 5))
def test_whether_a_run_succeeds_depends_on_the_fates_of_its_steps_and_not_on_the_mode_or_the_order(
    definition: Definition, fate: int, seed: int, parallelism: int
) -> None:
    ends = [
        lives(replace(definition, on_failure=mode, parallelism=limit), fate, seed + number)
        for number, mode in enumerate(OnFailure)
        for limit in (None, parallelism)
    ]
    assert len({end.phase for end in ends}) == 1
