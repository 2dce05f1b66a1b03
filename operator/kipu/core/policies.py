"""The rules that `decide` asks, each a small pure function with its reason.

Must never read a clock or a random source: `now` comes in, jitter is a keyed hash of the attempt's identity.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

from .definition import ATTEMPTS_MAX, DISRUPTIONS_MAX, Backoff, Jitter, OnFailure, RunWhen
from .events import Reason, ShutdownMode
from .lifecycle import StepPhase
from .naming import keyed_fraction
from .state import State, Stopping

# Design 02: warned of at 50,000, ended at 250,000, which replays in about 2 s and is some 75 MB of records. What the
# take-down of 5,000 steps adds (20,000 records) is not counted.
EVENTS_WARN = 50_000
EVENTS_MAX = 250_000
# What another try cannot mend: the same manifest would be refused, the same foreign Job found, as much written again.
PERMANENT_REASONS = frozenset(
    {Reason.INVALID_JOB, Reason.JOB_NAME_TAKEN, Reason.CANCELLED, Reason.OUTPUT_TOO_LARGE, Reason.EXPRESSION_ERROR}
)


def retry_at(
    state: State, place: int, *, workflow_uid: str, reason: Reason, exit_code: int | None, now: int
) -> int | None:
    """When the next attempt may begin, in epoch milliseconds, or None if there will be none."""
    definition, step = state.step(place), state.steps[place]
    if reason in PERMANENT_REASONS or stops_attempts(state, place) or step.attempts >= ATTEMPTS_MAX:
        return None
    if reason is Reason.DISRUPTED:
        # Eviction, preemption and node loss are not the program's fault (KEP-3329): outside the budget, and
        # the exit code is the signal's, not the program's word.
        if step.disruptions >= DISRUPTIONS_MAX:
            return None
    elif step.failures + 1 >= definition.retry.max_attempts or exit_code in definition.retry.non_retryable_exit_codes:
        return None
    due = now + backoff_ms(
        definition.retry.backoff,
        step.attempts,
        keys=(workflow_uid, str(state.run), state.name(place), str(step.attempts)),
    )
    too_late = step.deadline is not None and due >= step.deadline
    return None if too_late else due


def backoff_ms(backoff: Backoff, failed_attempts: int, *, keys: tuple[str, ...]) -> int:
    """The wait after the n-th failed attempt (n >= 1): exponential, capped, then jittered."""
    wait = backoff.initial_ms
    for _ in range(failed_attempts - 1):
        wait = min(wait * backoff.factor, backoff.max_ms)
        if wait == backoff.max_ms:
            break
    wait = min(wait, backoff.max_ms)
    # Full jitter: the whole wait is drawn, which spreads a herd best (AWS Architecture, "Exponential
    # Backoff And Jitter").
    return keyed_fraction(wait, *keys) if backoff.jitter is Jitter.FULL else wait


def fates(state: State, count_max: int) -> dict[int, str]:
    """Pending steps that can never run, with the culprit, breadth first from those known to be doomed.

    Skipping one by one would need a record for each link of a chain; so what the fold would conclude from each
    skip (`evolve._tell`) is foreseen here.
    """
    assert state.graph is not None
    found = dict(islice(state.doomed.items(), count_max))
    told: Counter[int] = Counter()
    queue = list(found)
    for place in queue:
        if len(found) >= count_max:
            break
        for dependent in state.graph.dependents[place]:
            told[dependent] += 1
            if dependent in found or state.steps[dependent].phase is not StepPhase.PENDING:
                continue
            all_told = told[dependent] == state.unmet[dependent]
            if is_plain(state, dependent) or (all_told and never_reacts(state, dependent)):
                found[dependent] = found[place]
                queue.append(dependent)
    return found


def stops_attempts(state: State, place: int) -> bool:
    """Whether nothing more may be tried for this step: everything, or everything plain, is taken down."""
    if (fanout := state.fanout_of(place)) is not None and fanout.is_late:
        return True
    return state.stopping is not None or (cancels_running(state) and is_plain(state, place))


def starts_anything(state: State) -> bool:
    """Whether a step that is ready may start: nobody has asked to wait, or to end."""
    return state.stopping is None and not state.suspended


def runs_finally(state: State) -> bool:
    """Whether the steps of `finally` run once the others are over."""
    return state.shutdown is not ShutdownMode.TERMINATE and state.stopping is not Stopping.EVENT_LIMIT


def takes_everything_down(state: State) -> bool:
    """Whether what runs is ended, too; a drain lets it end by itself."""
    return state.stopping is not None and not state.is_draining


def starts_nothing_new(state: State) -> bool:
    """Whether a failure keeps plain steps from starting. Steps with another runWhen go on by their rule."""
    return state.failing is not None and _on_failure(state) is not OnFailure.CONTINUE


def cancels_running(state: State) -> bool:
    """Whether a failure takes down the plain steps that run."""
    return state.failing is not None and _on_failure(state) is OnFailure.CANCEL_RUNNING


def is_plain(state: State, place: int) -> bool:
    """Whether the step is not one that reacts to failures (AllFinished, AnyFailed: clean-up, report)."""
    return state.step(place).run_when is RunWhen.ALL_SUCCEEDED


def never_reacts(state: State, place: int) -> bool:
    """Whether a step for failures, whose needs are all finished, has nothing to react to."""
    return state.step(place).run_when is RunWhen.ANY_FAILED and place not in state.any_failed


def places_free(state: State, slots: int) -> int:
    """How many more Jobs may be scheduled: the workflow's own bound and the operator's free slots."""
    limit = state.definition.parallelism if state.definition else None
    own = slots if limit is None else limit - state.jobs_active
    return max(0, min(own, slots))


def _on_failure(state: State) -> OnFailure:
    assert state.definition is not None
    # One step of `finally` that fails is no reason to leave the others undone.
    return state.definition.on_failure if state.outcome is None else OnFailure.CONTINUE
