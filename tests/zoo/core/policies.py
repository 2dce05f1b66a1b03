"""Mutants of kipu/core/policies.py: budgets, backoffs, places."""

from __future__ import annotations

import random

from kipu.core.definition import ATTEMPTS_MAX, Backoff, Jitter
from kipu.core.events import Reason
from kipu.core.policies import PERMANENT_REASONS, backoff_ms
from kipu.core.state import State
from tests.zoo.mutants import mutant
from tests.zoo.selections import COST


@mutant("retry_at", breaks="I10", caught_by=("tests/core/test_retrying.py", "tests/core/test_shutdown.py"))
def one_attempt_too_many(
    state: State, place: int, *, workflow_uid: str, reason: Reason, exit_code: int | None, now: int
) -> int | None:
    """The budget is compared with the failures before this one."""
    definition, step = state.step(place), state.steps[place]
    if reason in PERMANENT_REASONS or state.stopping is not None or step.attempts >= ATTEMPTS_MAX:
        return None
    if step.failures >= definition.retry.max_attempts or exit_code in definition.retry.non_retryable_exit_codes:
        return None
    keys = (workflow_uid, str(state.run), definition.name, str(step.attempts))
    return now + backoff_ms(definition.retry.backoff, step.attempts, keys=keys)


_backoff_ms = backoff_ms


@mutant("backoff_ms", breaks="I17, jitter by random", caught_by="tests/core/test_retrying.py")
def jitter_by_random(backoff: Backoff, failed_attempts: int, *, keys: tuple[str, ...]) -> int:
    """The jitter is drawn from the process's random source."""
    if backoff.jitter is not Jitter.FULL:
        return _backoff_ms(backoff, failed_attempts, keys=keys)
    return random.randint(0, min(backoff.initial_ms * backoff.factor ** (failed_attempts - 1), backoff.max_ms))


@mutant("places_free", breaks="I18, rescan of all steps", caught_by=f"{COST}[wide, with deadlines]")
def places_are_counted_by_looking_at_every_step(state: State, slots: int) -> int:
    """How many places are taken is found out by a walk over all steps."""
    limit = state.definition.parallelism if state.definition else None
    taken = sum(1 for place in dict.fromkeys(range(len(state.steps))) if place in state.live or place in state.leaving)
    return max(0, min(slots if limit is None else limit - taken, slots))


@mutant("places_free", breaks="I9", caught_by="tests/core/test_starting.py")
def an_attempt_that_leaves_gives_up_its_place_at_once(state: State, slots: int) -> int:
    """A given-up attempt no longer counts, though its pods still run."""
    limit = state.definition.parallelism if state.definition else None
    own = slots if limit is None else limit - len(state.live)
    return max(0, min(own, slots))


@mutant("starts_nothing_new", breaks="I9", caught_by="tests/core/test_failing.py")
def a_failure_holds_nobody_back(state: State) -> bool:
    """Whatever has failed, plain steps go on starting."""
    return False


@mutant("PERMANENT_REASONS", breaks="I10", caught_by="tests/core/test_language.py", is_constant=True)
def what_was_too_large_is_tried_again() -> frozenset[Reason]:
    """The same program writes the same again, until its budget is used up."""
    return PERMANENT_REASONS - {Reason.OUTPUT_TOO_LARGE}


@mutant("starts_anything", breaks="I9", caught_by="tests/core/test_suspending.py")
def a_suspension_holds_nothing_up(state: State) -> bool:
    """What is ready starts, whoever has asked to wait."""
    return state.stopping is None
