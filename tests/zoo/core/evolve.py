"""Mutants of kipu/core/evolve.py: the fold."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace

from kipu.core.events import Event, TimerFired, TimerKind
from kipu.core.evolve import evolve
from kipu.core.folding import place_named
from kipu.core.lifecycle import StepPhase, WorkflowPhase
from kipu.core.state import State, Stopping, next_timer
from tests.zoo.mutants import mutant


@mutant("_fire", breaks="I16, retry that looks for a phase nobody sets", caught_by="tests/core/test_retrying.py")
def a_retry_looks_for_a_phase_that_nobody_sets(state: State, event: TimerFired) -> None:
    """After its backoff a step is ready only if it is Scheduled; a step that waits never is."""
    place = None if event.step is None else place_named(state, event.step)
    timer = next_timer(state)
    if timer is not None and (timer.due, timer.kind, timer.place) == (event.due, event.kind, place):
        heapq.heappop(state.timers)
    if event.kind is TimerKind.WORKFLOW_TIMEOUT:
        state.stopping, state.phase = Stopping.TIMED_OUT, WorkflowPhase.CANCELLING
    elif event.kind is TimerKind.BACKOFF and place is not None:
        state.steps[place] = replace(state.steps[place], retry_at=None)
        if state.steps[place].phase is StepPhase.SCHEDULED:
            state.ready[place] = None


@mutant("fold", breaks="I2, ordering by time", caught_by=("tests/core/test_starting.py", "tests/core/test_retrying.py"))
def records_are_put_in_order_by_their_time(events: Iterable[tuple[Event, int]], state: State | None = None) -> State:
    """Events of one instant are folded in the order of their names."""
    result = state or State()
    for event, ts in sorted(events, key=lambda pair: (pair[1], type(pair[0]).__name__)):
        result = evolve(result, event, ts=ts)
    return result


@mutant("_check", breaks="I6", caught_by="tests/core/test_evolve.py")
def anything_may_follow_the_end(state: State, event: Event) -> None:
    """An event of a run that has ended is folded."""
