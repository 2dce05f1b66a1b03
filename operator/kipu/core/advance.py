"""Going on from what is known: take down, skip, end, and start what may start.

Promises: each as far as the turn's bounds allow, and never a rescan of all steps: it walks the indexes that
the fold keeps. Must never hear a command: those are answered before.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

from . import ending, fanout, files, policies
from .definition import Kind
from .events import ApprovalRequested, Reason, SkipReason, StepEvaluated, StepScheduled, WaitStarted
from .language import Evaluated, Unevaluated
from .naming import job_name
from .state import Stopping
from .texts import item_text, json_bytes, shorten
from .turn import ATTEMPT_BYTES, ITEMS_INLINE_BYTES_MAX, Turn

_WHY_STOPPING = {
    Stopping.SHUTDOWN: "shutdown requested",
    Stopping.TIMED_OUT: "the workflow timed out",
    Stopping.EVENT_LIMIT: "the log is full",
}


def advance(turn: Turn) -> None:
    """Settle, then start what may start."""
    settle(turn)
    # What ends without a Job, by its `when` or for an expression without a value, may let others start.
    while _may_start(turn) and (_rest_jobless(turn) or _start_ready(turn)):
        settle(turn)


def _may_start(turn: Turn) -> bool:
    # While names are left to be skipped, steps that must not start may still stand among the ready.
    if not turn.is_open or turn.state.unadopted:
        return False
    return policies.starts_anything(turn.state) and turn.names_left > 0


def settle(turn: Turn) -> None:
    """Everything that follows from what is known, short of starting anything."""
    if not turn.is_open:
        return
    turn.adopt()
    if turn.state.unadopted:
        return  # nothing is concluded for a step from others that are still to be adopted
    fanout.conclude(turn)
    _follow(turn)
    if ending.begin_finally(turn):
        _follow(turn)
    ending.finish(turn)


def _follow(turn: Turn) -> None:
    """Take down, or skip and hold back."""
    if turn.state.stopping is not None:
        _take_down_everything(turn)
    else:
        fanout.take_down_late(turn)
        _skip_doomed(turn)
        _hold_back_after_failure(turn)


def _take_down_everything(turn: Turn) -> None:
    state = turn.state
    turn.cancel(chain(state.plain, state.guarded, state.retrying, state.unknown, state.resting))
    if not policies.runs_finally(state):
        turn.cancel(state.held)
    if policies.takes_everything_down(state):
        _abandon(turn, state.live, _WHY_STOPPING[state.stopping or Stopping.SHUTDOWN])
        turn.cancel(state.idle)
        return
    fanout.take_down_late(turn)
    if policies.cancels_running(state):
        _abandon(turn, state.cancellable, f"step '{state.failing}' failed")
    turn.cancel(place for place in state.idle if place not in state.spent)  # those conclude by themselves


def _skip_doomed(turn: Turn) -> None:
    # By culprit and not in the order found, since two chains that fall together would take a record a link. So
    # one record may run ahead of another of the same commit.
    by_culprit: dict[str, list[int]] = {}
    for place, culprit in policies.fates(turn.state, max(0, turn.names_left)).items():
        by_culprit.setdefault(culprit, []).append(place)
    for culprit, places in by_culprit.items():
        turn.skip(places, culprit, SkipReason.DEPENDENCY)


def _hold_back_after_failure(turn: Turn) -> None:
    state = turn.state
    if state.failing is None or not policies.starts_nothing_new(state):
        return
    turn.skip(state.plain, state.failing, SkipReason.WORKFLOW_FAILING)
    if policies.cancels_running(state):
        turn.cancel(place for place in state.cancellable if place not in state.live)
        _abandon(turn, state.cancellable, f"step '{state.failing}' failed")
        turn.cancel(place for place in state.idle if policies.is_plain(state, place))
    _skip_doomed(turn)


def _abandon(turn: Turn, places: Iterable[int], message: str) -> None:
    for place in list(islice(places, turn.attempts_left)):
        if place in turn.state.live:
            turn.abandon(place, Reason.CANCELLED, message)
            turn.attempts_left -= 1


def _rest_jobless(turn: Turn) -> bool:
    """What needs no place begins, however many Jobs there are: approvals, waits, sub-workflows. Whether one has ended
    instead."""
    for place in list(islice(turn.state.jobless, max(0, turn.attempts_left))):
        started = _start_next(turn, place)
        if not started:
            return started is not None
    return fanout.spawn_items(turn, _start_next)


def _rest(turn: Turn, place: int) -> None:
    state, step = turn.state, turn.state.step(place)
    if step.approval is not None:
        timeout = step.approval.timeout_ms
        deadline = None if timeout is None else turn.now + timeout
        turn.record(ApprovalRequested(run=state.run, step=step.name, deadline=deadline))
    else:
        turn.record(WaitStarted(run=state.run, step=step.name, due=turn.now + (step.wait_ms or 0)))


def _start_ready(turn: Turn) -> bool:
    """Whether a step has ended instead of starting."""
    free = min(policies.places_free(turn.state, turn.slots), turn.attempts_left)
    for place in list(islice(turn.state.ready, max(0, free))):
        started = _start_next(turn, place)
        if not started:
            return started is not None
    return fanout.start_items(turn, _start_next)


def _start_next(turn: Turn, place: int) -> bool | None:
    """Whether the step or item has started, or ended instead; None if the turn has no room for it."""
    # Once for all attempts: a retry has what was recorded.
    asked = turn.evaluate(turn.state, place) if turn.state.steps[place].attempt is None else Evaluated()
    cost = _cost(asked)
    if cost > turn.attempts_left:
        return None
    turn.attempts_left -= cost
    return _start(turn, place, asked)


def _cost(asked: Evaluated | Unevaluated) -> int:
    """In places of ATTEMPTS_PER_TURN_MAX."""
    if isinstance(asked, Unevaluated):
        return 1 + asked.effort + json_bytes(asked.message) // ATTEMPT_BYTES
    size = sum(json_bytes(path) + json_bytes(text) + 2 for path, text in asked.values.items())
    if asked.items is not None:
        size += min(ITEMS_INLINE_BYTES_MAX, sum(json_bytes(item_text(item)) + 1 for item in asked.items))
    return 1 + asked.effort + (size > 0) + size // ATTEMPT_BYTES


def _start(turn: Turn, place: int, asked: Evaluated | Unevaluated) -> bool:
    """Schedule the next attempt, or begin the fan-out, or end the step by what its expressions came to."""
    name = turn.state.name(place)
    if isinstance(asked, Unevaluated):
        turn.fail_step(place, Reason.EXPRESSION_ERROR, shorten(asked.message))
        return False
    if not asked.holds:
        turn.skip([place], name, SkipReason.CONDITION_FALSE)
        return False
    if excess := files.excess(turn.state, place):
        turn.fail_step(place, Reason.INVALID_JOB, excess)
        return False
    if asked.values:
        turn.record(StepEvaluated(run=turn.state.run, step=name, values=asked.values))
    if turn.state.step(place).for_each is not None and turn.state.fanout_of(place) is None:
        fanout.expand(turn, place, asked.items)
        return place not in turn.state.spent  # over nothing it is done at once
    kind = turn.state.step(place).kind
    if kind in (Kind.APPROVAL, Kind.WAIT):
        _rest(turn, place)
        return True
    _schedule(turn, place)
    if kind is Kind.RUN:  # a child holds no place: if it did, its own Jobs might wait for it for ever
        turn.slots -= 1  # taken, for whatever the turn goes on to start
    return True


def _schedule(turn: Turn, place: int) -> None:
    state, identity = turn.state, turn.identity
    definition, step = state.step(place), state.steps[place]
    attempt = step.attempts + 1
    # Without a startTimeout an attempt that never starts is over when its attemptTimeout is.
    start_timeout = definition.start_timeout_ms or definition.attempt_timeout_ms
    name = state.name(place)
    is_item = state.fanout_of(place) is not None  # the timeout of a fan-out runs since its expansion
    first_timeout = None if is_item or step.attempt is not None else definition.timeout_ms
    job = job_name(workflow=identity.name, workflow_uid=identity.uid, run=state.run, step=name, attempt=attempt)
    turn.record(
        StepScheduled(
            run=state.run,
            step=name,
            attempt=attempt,
            job=job,
            start_deadline=None if start_timeout is None else turn.now + start_timeout,
            step_deadline=None if first_timeout is None else turn.now + first_timeout,
        )
    )
