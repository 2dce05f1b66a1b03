"""Every index of a State rebuilt by brute force from its steps, to compare with the one kept event by event."""

from __future__ import annotations

from collections import Counter

from kipu.core.definition import ITEMS_UNDER_WAY_MAX, Kind, RunWhen
from kipu.core.events import Reason, SkipReason, TimerKind
from kipu.core.lifecycle import TERMINAL_STEP_PHASES, StepPhase
from kipu.core.state import Fanout, State, Timer, is_relevant

STARTED = (StepPhase.SCHEDULED, StepPhase.RUNNING)


def check_indexes(state: State) -> None:
    """Raises AssertionError unless each index says what the steps say."""
    if state.definition is None:
        return
    everything, places = range(len(state.steps)), range(len(state.definition.steps))
    check_fanouts(state)
    assert +state.counts == Counter(state.steps[place].phase for place in places)
    assert state.unmet == [sum(not _is_over(state, need) for need in _needs(state, place)) for place in places]
    assert state.any_failed == {place for place in places if _any_failed(state, place)}
    pending = [place for place in places if state.steps[place].phase is StepPhase.PENDING]
    held = {place for place in pending if state.step(place).in_finally and state.outcome is None}
    assert set(state.held) == held
    entered = [place for place in pending if place not in held]
    assert set(state.plain) == {place for place in entered if _rule(state, place) is RunWhen.ALL_SUCCEEDED}
    assert set(state.guarded) == {place for place in entered if _rule(state, place) is not RunWhen.ALL_SUCCEEDED}
    retrying = [place for place in everything if state.steps[place].phase is StepPhase.RETRYING]
    assert set(state.retrying) == set(retrying)
    unknown = [place for place in places if state.steps[place].phase is StepPhase.UNKNOWN]
    assert set(state.unknown) == set(unknown)
    # A step of finally that waits for nobody is judged when finally begins.
    doomed = {place for place in pending if is_doomed(state, place) and (place not in held or _needs(state, place))}
    assert set(state.doomed) == doomed
    assert [*state.unadopted] == [place for place in _to_adopt(state) if place in pending]
    free = {place for place in entered if state.unmet[place] == 0} - doomed
    jobless = {place for place in free if state.step(place).kind is not Kind.RUN}
    again = {place for place in retrying if state.steps[place].retry_at is None and place in places}
    nested = {place for place in everything if state.step(place).kind is Kind.WORKFLOW}
    assert set(state.ready) == (free - jobless) | (again - nested)
    assert set(state.resting) == {place for place in places if state.steps[place].phase is StepPhase.SUSPENDED}
    assert set(state.live) == {place for place in everything if _has_attempt(state, place, abandoned=False)}
    open_places = {*state.live, *state.retrying, *state.unknown, *state.resting}
    assert set(state.cancellable) == {place for place in open_places if _rule(state, place) is RunWhen.ALL_SUCCEEDED}
    assert set(state.leaving) == {place for place in everything if _has_attempt(state, place, abandoned=True)}
    cancelled = [step for step in state.steps if step.attempt and step.attempt.abandoned is Reason.CANCELLED]
    assert state.cancelling == sum(step.phase in STARTED for step in cancelled)
    assert set(state.jobless) == jobless | (again & nested)
    started = {p for p in everything if state.steps[p].phase in STARTED and state.steps[p].attempt is not None}
    assert state.jobs_active == len(started - nested), "a child holds no place"
    assert state.nested == len(started & nested)
    assert due_timers(state) <= {(timer.kind, timer.due, timer.place) for timer in relevant_timers(state)}


def check_fanouts(state: State) -> None:
    """The same for the items: what is over keeps nothing, what is under way is counted."""
    assert state.definition is not None
    places = range(len(state.definition.steps), len(state.steps))
    assert [fanout.parent for fanout in state.owners] == [
        fanout.parent for fanout in state.fanouts.values() for _ in range(fanout.total)
    ]
    for place in places:
        assert state.place_of(state.name(place)) == place
    open_ones = {p for p in state.fanouts if state.steps[p].phase not in TERMINAL_STEP_PHASES}
    assert set(state.expanded) == open_ones
    assert set(state.idle) == {p for p in open_ones if not _under_way(state, state.fanouts[p])}
    assert set(state.spent) == {p for p in state.idle if not _has_more(state, state.fanouts[p])}
    may_start = {p for p in open_ones if _may_start(state, state.fanouts[p])}
    assert set(state.spawnable) == {p for p in may_start if state.step(p).kind is Kind.WORKFLOW}
    assert set(state.startable) == may_start - {*state.spawnable}
    late = {p for p in open_ones if state.fanouts[p].is_late}
    assert set(state.overdue) == {p for p in late if {*_under_way(state, state.fanouts[p])} - {*state.leaving}}
    for fanout in state.fanouts.values():
        items = [state.steps[fanout.base + index] for index in range(fanout.total)]
        assert +fanout.over == Counter(item.phase for item in items if item.phase in TERMINAL_STEP_PHASES)
        assert {*fanout.under_way} == {*_under_way(state, fanout)}
        assert fanout.active == sum(place in state.live or place in state.leaving for place in fanout.under_way)
        assert fanout.leaving == sum(place in state.leaving for place in fanout.under_way)
        assert all(item.phase is StepPhase.PENDING for item in items[fanout.begun :])
        assert all(item.phase is not StepPhase.PENDING for item in items[: fanout.begun])
        waiting = {place for place in fanout.under_way if state.steps[place].phase is StepPhase.RETRYING}
        assert {*fanout.due} == {place for place in waiting if state.steps[place].retry_at is None}


def _under_way(state: State, fanout: Fanout) -> list[int]:
    open_phases = {*STARTED, StepPhase.RETRYING}
    return [p for p in range(fanout.base, fanout.base + fanout.total) if state.steps[p].phase in open_phases]


def _has_more(state: State, fanout: Fanout) -> bool:
    for_each = state.step(fanout.parent).for_each
    assert for_each is not None
    phases = Counter(state.steps[place].phase for place in range(fanout.base, fanout.base + fanout.total))
    if fanout.is_late or phases[StepPhase.CANCELLED] or phases[StepPhase.FAILED] > for_each.max_failures:
        return False
    return phases[StepPhase.PENDING] > 0


def _may_start(state: State, fanout: Fanout) -> bool:
    for_each = state.step(fanout.parent).for_each
    assert for_each is not None
    room = not fanout.is_late and fanout.active < for_each.parallelism
    window = len(fanout.under_way) < ITEMS_UNDER_WAY_MAX
    return room and (bool(fanout.due) or (_has_more(state, fanout) and window))


def relevant_timers(state: State) -> list[Timer]:
    return sorted(timer for timer in state.timers if is_relevant(state, timer))


def is_doomed(state: State, place: int) -> bool:
    """Whether the rule of a pending step can no longer hold."""
    match _rule(state, place):
        case RunWhen.ALL_SUCCEEDED:
            return any(_is_over(state, need) and not _counts_as_success(state, need) for need in _needs(state, place))
        case RunWhen.ANY_FAILED:
            over = all(_is_over(state, need) for need in _needs(state, place))
            return over and not _any_failed(state, place)
        case RunWhen.ALL_FINISHED:
            return False


def _has_had_its_time(state: State, place: int) -> bool:
    """Whether it is Unknown because its own timeout has passed, which was heard then: only a person's word is left."""
    step = state.steps[place]
    abandoned = step.attempt is not None and step.attempt.abandoned is Reason.TIMED_OUT
    is_past = step.deadline is not None and step.deadline <= state.ts
    return step.phase is StepPhase.UNKNOWN and abandoned and is_past


def due_timers(state: State) -> set[tuple[TimerKind, int, int | None]]:
    """The deadlines that the steps as they stand must be guarded by."""
    if state.is_terminal or (state.stopping is not None and not state.is_draining):
        return set()
    found: set[tuple[TimerKind, int | None, int | None]] = set()
    if state.outcome is None:
        found.add((TimerKind.WORKFLOW_TIMEOUT, state.deadline, None))
    assert state.definition is not None
    places = range(len(state.definition.steps))
    for place, step in enumerate(state.steps):
        if step.phase is StepPhase.RETRYING:
            found.add((TimerKind.BACKOFF, step.retry_at, place))
        elif step.phase is StepPhase.SUSPENDED:
            is_wait = state.step(place).kind is Kind.WAIT
            found.add((TimerKind.WAIT if is_wait else TimerKind.STEP_TIMEOUT, step.deadline, place))
        elif place in state.live and step.attempt is not None:
            started = step.phase is StepPhase.RUNNING
            kind = TimerKind.ATTEMPT_TIMEOUT if started else TimerKind.START_TIMEOUT
            found.add((kind, step.attempt.deadline if started else step.attempt.start_deadline, place))
        waits = place in state.expanded and not state.fanouts[place].is_late
        stands = step.phase in (StepPhase.RETRYING, StepPhase.UNKNOWN) and not _has_had_its_time(state, place)
        if waits or (place in places and (stands or place in state.live)):
            found.add((TimerKind.STEP_TIMEOUT, step.deadline, place))
    return {(kind, due, place) for kind, due, place in found if due is not None}


def _to_adopt(state: State) -> list[int]:
    """What is pending of it was not adopted yet: nothing else may move it before."""
    assert state.graph is not None
    assert state.definition is not None
    adopt = state.definition.adopt
    return [state.graph.index[step.name] for step in adopt.steps] if adopt else []


def _needs(state: State, place: int) -> list[int]:
    assert state.graph is not None
    return [state.graph.index[need] for need in state.step(place).depends_on]


def _rule(state: State, place: int) -> RunWhen:
    return state.step(place).run_when


def _is_over(state: State, place: int) -> bool:
    return state.steps[place].phase in TERMINAL_STEP_PHASES


def _any_failed(state: State, place: int) -> bool:
    return any(state.steps[need].phase is StepPhase.FAILED for need in _needs(state, place))


def _counts_as_success(state: State, place: int) -> bool:
    phase = state.steps[place].phase
    forgiven = phase is StepPhase.FAILED and state.step(place).allow_failure
    return phase is StepPhase.SUCCEEDED or forgiven or state.steps[place].reason is SkipReason.CONDITION_FALSE


def _has_attempt(state: State, place: int, *, abandoned: bool) -> bool:
    step = state.steps[place]
    return step.phase in STARTED and step.attempt is not None and (step.attempt.abandoned is not None) is abandoned
