"""The fold of every fact about a single step and its attempts.

Promises: those of `evolve`, which alone calls it. Must never decide anything.
"""

from __future__ import annotations

from dataclasses import replace

from . import items
from .definition import Kind
from .errors import CorruptionError
from .events import (
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    LateResultIgnored,
    Reason,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepStarted,
    StepSucceeded,
    TimerKind,
    UnknownResolved,
)
from .folding import arm, current, finish, live, move, place_named, release_place, show_phase
from .policies import is_plain
from .state import Attempt, State
from .texts import last_lines


def adopt(state: State, event: StepAdopted) -> None:
    """The step is done without an attempt."""
    place = place_named(state, event.step)
    asked = state.unadopted.pop(place, None)
    if asked is None or (asked.position, asked.hash) != (event.source_position, event.source_hash):
        raise CorruptionError(f"step '{event.step}': the definition does not ask for this adoption")
    state.steps[place] = replace(state.steps[place], outputs=asked.outputs)
    finish(state, place, event)


def evaluate(state: State, event: StepEvaluated) -> None:
    """The step's expressions have come to this, for all its attempts."""
    place = place_named(state, event.step)
    move(state, place, event, replace(state.steps[place], values=event.values))


def expand(state: State, event: StepExpanded) -> None:
    """A fan-out begins."""
    place = place_named(state, event.step)
    items.expand(state, place, total=event.count, items=event.items)
    new = replace(state.steps[place], started_at=state.ts, deadline=event.deadline)
    move(state, place, event, new)
    if event.deadline is not None:
        arm(state, TimerKind.STEP_TIMEOUT, event.deadline, place)
    if state.started_at is None:
        state.started_at = state.ts
    show_phase(state)


def complete(state: State, event: StepCompleted) -> None:
    """The step is done without an attempt of its own."""
    place = place_named(state, event.step)
    _check_quiet(state, place)
    finish(state, place, event)


def _check_quiet(state: State, place: int) -> None:
    """Whether nothing of the step may run any more."""
    if place in state.live or place in state.leaving:
        raise CorruptionError(f"step '{state.name(place)}' ends while its attempt may run")
    _check_items(state, place)


def _check_items(state: State, place: int) -> None:
    if place in state.expanded and place not in state.idle:
        raise CorruptionError(f"step '{state.name(place)}' ends while items of it are under way")


def schedule(state: State, event: StepScheduled) -> None:
    """The next attempt is decided."""
    place = place_named(state, event.step)
    old = state.steps[place]
    if event.attempt != old.attempts + 1:
        raise CorruptionError(f"step '{event.step}': attempt {event.attempt} follows attempt {old.attempts}")
    attempt = Attempt(
        number=event.attempt,
        job=event.job,
        position=state.position,
        scheduled_at=state.ts,
        epoch=state.epoch,
        start_deadline=event.start_deadline,
    )
    deadline = event.step_deadline if event.step_deadline is not None else old.deadline
    fanout = state.fanout_of(place)
    if fanout is not None:  # the timer is the fan-out's
        deadline = state.steps[fanout.parent].deadline
    move(state, place, event, replace(old, attempt=attempt, retry_at=None, deadline=deadline))
    state.live[place] = None
    state.nested += state.step(place).kind is Kind.WORKFLOW
    if fanout is not None:
        items.schedule(state, fanout, place)
    if is_plain(state, place):
        state.cancellable[place] = None
    if event.start_deadline is not None:
        arm(state, TimerKind.START_TIMEOUT, event.start_deadline, place, event.attempt)
    if event.step_deadline is not None:
        arm(state, TimerKind.STEP_TIMEOUT, event.step_deadline, place)
    if state.started_at is None:
        state.started_at = state.ts
    show_phase(state)


def start(state: State, event: StepStarted) -> None:
    """The attempt runs."""
    place, old, attempt = live(state, event.step, event.attempt)
    attempt = replace(
        attempt,
        job_uid=event.job_uid,
        pod=event.pod,
        node=event.node,
        started_at=event.started_at,
        deadline=event.attempt_deadline,
    )
    started_at = old.started_at if old.started_at is not None else event.started_at
    move(state, place, event, replace(old, attempt=attempt, started_at=started_at))
    if event.attempt_deadline is not None:
        arm(state, TimerKind.ATTEMPT_TIMEOUT, event.attempt_deadline, place, event.attempt)


def succeed(state: State, event: StepSucceeded) -> None:
    """The attempt, and with it the step, has ended well."""
    place, old, attempt = live(state, event.step, event.attempt)
    seen = replace(
        attempt,
        job_uid=event.job_uid,
        pod=event.pod or attempt.pod,
        node=event.node or attempt.node,
        pod_uid=event.pod_uid,
    )
    started_at = old.started_at if old.started_at is not None else event.started_at
    code = 0 if state.step(place).kind is Kind.RUN else None  # a child has none
    state.steps[place] = replace(
        old,
        attempt=seen,
        started_at=started_at,
        exit_code=code,
        message="",
        log_tail="",
        reason=None,
        outputs=event.outputs,
    )
    finish(state, place, event)


def abandon(state: State, event: AttemptAbandoned) -> None:
    """The attempt is given up; its Job is still to go."""
    place, old, attempt = live(state, event.step, event.attempt)
    attempt = replace(attempt, abandoned=event.reason, abandoned_message=event.message)
    move(state, place, event, replace(old, attempt=attempt))
    del state.live[place]
    state.cancellable.pop(place, None)
    state.leaving[place] = None
    if (fanout := state.fanout_of(place)) is not None:
        items.leave(state, fanout)
    if event.reason is Reason.CANCELLED:
        state.cancelling += 1
        show_phase(state)


def note_late(state: State, event: LateResultIgnored) -> None:
    """The attempt, given up and not yet gone, has ended by itself: that is known now, and nothing else changes."""
    place, old, attempt = current(state, event.step, event.attempt)
    if place not in state.leaving or attempt.is_late:
        raise CorruptionError(f"step '{event.step}': attempt {event.attempt} has no late result to ignore")
    move(state, place, event, replace(old, attempt=replace(attempt, is_late=True)))


def fail_attempt(state: State, event: AttemptFailed) -> None:
    """The attempt is over without success."""
    place, old, attempt = current(state, event.step, event.attempt)
    disrupted = event.reason is Reason.DISRUPTED
    seen = replace(
        attempt,
        job_uid=event.job_uid or attempt.job_uid,
        pod=event.pod or attempt.pod,
        node=event.node or attempt.node,
        started_at=attempt.started_at if event.started_at is None else event.started_at,
    )
    new = replace(
        old,
        attempt=seen,
        failures=old.failures + (not disrupted),
        disruptions=old.disruptions + disrupted,
        retry_at=event.retry_at,
        started_at=old.started_at if old.started_at is not None else seen.started_at,
        reason=event.reason,
        message=event.message,
        exit_code=event.exit_code,
        log_tail=last_lines(event.log_tail or ""),
    )
    move(state, place, event, new)
    release_place(state, place)
    state.retrying[place] = None
    if is_plain(state, place):
        state.cancellable[place] = None
    if event.retry_at is not None:
        arm(state, TimerKind.BACKOFF, event.retry_at, place)


def lose_track(state: State, event: AttemptUnknown) -> None:
    """The attempt is over, and a person must say what became of it."""
    place, old, attempt = current(state, event.step, event.attempt)
    seen = replace(
        attempt,
        job_uid=event.job_uid or attempt.job_uid,
        pod=event.pod or attempt.pod,
        node=event.node or attempt.node,
    )
    new = replace(old, attempt=seen, reason=event.reason, message=event.message, exit_code=None, log_tail="")
    move(state, place, event, new)
    release_place(state, place)
    state.unknown[place] = None
    if is_plain(state, place):
        state.cancellable[place] = None


def resolve(state: State, event: UnknownResolved) -> None:
    """Somebody has said it: the next event of the commit is what follows."""
    place, old, _ = current(state, event.step, event.attempt)
    if place not in state.unknown:
        raise CorruptionError(f"step '{event.step}': attempt {event.attempt} waits for nobody's word")
    message = f"{event.decision.value} by {event.by}" if event.by else event.decision.value
    state.steps[place] = replace(old, reason=None, message=message)


def fail_step(state: State, event: StepFailed) -> None:
    """There will be no further attempt."""
    place = place_named(state, event.step)
    _check_quiet(state, place)
    state.steps[place] = replace(state.steps[place], message=event.message)
    finish(state, place, event, reason=event.reason)
    if state.fanout_of(place) is not None:
        return  # what its failure means is its fan-out's to say
    if not state.step(place).allow_failure and state.failing is None:
        state.failing = event.step


def cancel(state: State, step: str, event: StepsCancelled) -> None:
    """The step has ended on request, with nothing of it left."""
    place = place_named(state, step)
    if place in state.live:
        raise CorruptionError(f"step '{step}' was cancelled while its attempt may run")
    _check_items(state, place)
    finish(state, place, event, reason=Reason.CANCELLED)
