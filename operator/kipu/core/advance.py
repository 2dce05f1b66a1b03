"""Going on from what is known: take down, skip, end, and start what may start.

Promises: each as far as the turn's bounds allow, and never a rescan of all steps: it walks the indexes that
the fold keeps. Must never hear a command: those are answered before.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

from . import ending, fanout, policies
from .events import ApprovalRequested, Reason, SkipReason, StepScheduled, WaitStarted
from .naming import job_name
from .state import Stopping
from .turn import Turn

_WHY_STOPPING = {
    Stopping.SHUTDOWN: "shutdown requested",
    Stopping.TIMED_OUT: "the workflow timed out",
    Stopping.EVENT_LIMIT: "the log is full",
}


def advance(turn: Turn) -> None:
    """Settle, then start what may start."""
    settle(turn)
    # While names are left to be skipped, steps that must not start may still stand among the ready.
    if turn.is_open and policies.starts_anything(turn.state) and turn.names_left > 0 and not turn.state.unadopted:
        _rest_jobless(turn)
        _schedule_ready(turn)


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


def _rest_jobless(turn: Turn) -> None:
    """Approvals are asked for and waits begin, however many Jobs there are."""
    for place in list(islice(turn.state.jobless, turn.attempts_left)):
        turn.attempts_left -= 1
        state, step = turn.state, turn.state.step(place)
        if step.approval is not None:
            timeout = step.approval.timeout_ms
            deadline = None if timeout is None else turn.now + timeout
            turn.record(ApprovalRequested(run=state.run, step=step.name, deadline=deadline))
        else:
            turn.record(WaitStarted(run=state.run, step=step.name, due=turn.now + (step.wait_ms or 0)))


def _schedule_ready(turn: Turn) -> None:
    free = min(policies.places_free(turn.state, turn.slots), turn.attempts_left)
    for place in list(islice(turn.state.ready, free)):
        if turn.state.step(place).for_each is not None:
            fanout.expand(turn, place)
        else:
            _schedule(turn, place)
            free -= 1
    fanout.start_items(turn, free, _schedule)


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
