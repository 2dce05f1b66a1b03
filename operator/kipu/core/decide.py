"""The decisions: commands onto a state yield the events to commit, all in one append.

Promises: pure; the same state and commands yield the same events; a command that is no news yields none; one
call yields at most about 512 KiB of records (the windows below), and `wants_turn` says whether more is due.
The state is given away: the events are already folded into it, so it is used only if their append commits.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from . import policies
from .commands import (
    Accept,
    AttemptRef,
    Claim,
    Command,
    FireTimers,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveRefused,
    ObserveStarted,
    Reject,
    RequestShutdown,
)
from .events import (
    STEPS_PER_RECORD_MAX,
    AttemptAbandoned,
    AttemptFailed,
    Event,
    Reason,
    ShutdownMode,
    ShutdownRequested,
    SkipReason,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    WorkflowAccepted,
    WorkflowEnd,
    WorkflowFinished,
    WorkflowRejected,
)
from .evolve import evolve
from .lifecycle import StepPhase
from .naming import job_name
from .state import Attempt, State, Stopping, Timer, next_timer

COMMANDS_PER_TURN_MAX = 150  # x (AttemptFailed + StepFailed, at most 2.5 KiB) = 375 KiB of a 512 KiB batch
ATTEMPTS_PER_TURN_MAX = 200  # StepScheduled or AttemptAbandoned, x 0.5 KiB = 100 KiB
MESSAGE_LENGTH_MAX = 1_000  # characters of a recorded message


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the workflow is: part of every Job name and of the jitter's key."""

    name: str
    uid: str


def decide(
    state: State, commands: Sequence[Command], *, identity: Identity, now: int, slots: int
) -> tuple[State, list[Event]]:
    """Answer the commands, then go as far as the state allows.

    `now` is epoch milliseconds, not before `state.ts`; `slots` is how many Jobs the operator would still take.
    """
    assert len(commands) <= COMMANDS_PER_TURN_MAX
    assert now >= state.ts
    turn = _Turn(state=state, identity=identity, now=now, slots=slots)
    for command in commands:
        turn.handle(command)
    if state.definition is not None and not state.is_terminal:
        turn.advance()
    return turn.state, turn.events


def wants_turn(state: State, slots: int) -> bool:
    """Whether `decide` without any command would yield events: a window was full."""
    if state.definition is None or state.is_terminal:
        return False
    if state.stopping is not None:
        return bool(state.live)
    if policies.cancels_running(state) and _plain_live(state):
        return True
    return bool(state.ready) and policies.places_free(state, slots) > 0


def _plain_live(state: State) -> list[int]:
    return [place for place in state.live if policies.is_plain(state, place)]


@dataclass(slots=True, kw_only=True)
class _Turn:
    state: State
    identity: Identity
    now: int
    slots: int
    events: list[Event] = field(default_factory=list)

    def record(self, event: Event) -> None:
        self.state = evolve(self.state, event, ts=self.now)
        self.events.append(event)

    # -- answers to commands -------------------------------------------------------------------------

    def handle(self, command: Command) -> None:
        if isinstance(command, Claim):
            self.record(StreamClaimed(epoch=self.state.epoch + 1, writer=command.writer))
            return
        if self.state.is_terminal:
            return
        match command:
            case Accept() | Reject():
                self.admit(command)
            case RequestShutdown():
                self.request_shutdown(command)
            case ObserveStarted():
                self.observe_started(command)
            case ObserveOutcome():
                self.observe_outcome(command)
            case ObserveMissing():
                if self.current(command.ref) is not None:
                    self.abandon(command.ref.step, Reason.LOST, "its Job was deleted before it ended")
            case ObserveRefused():
                if (place := self.current(command.ref)) is not None:
                    self.fail(place, reason=command.reason, message=command.message)
            case ObserveGone():
                self.observe_gone(command)
            case FireTimers():
                self.fire_timers()
            case _:
                assert_never(command)

    def admit(self, command: Accept | Reject) -> None:
        if self.state.definition is not None:
            return
        if isinstance(command, Reject):
            self.record(WorkflowRejected(spec_hash=command.spec_hash, problems=command.problems))
            return
        timeout = command.definition.timeout_ms
        self.record(
            WorkflowAccepted(
                run=1,
                spec_hash=command.spec_hash,
                definition=command.definition,
                deadline=None if timeout is None else self.now + timeout,
            )
        )

    def request_shutdown(self, command: RequestShutdown) -> None:
        order = list(ShutdownMode)
        known = self.state.shutdown
        if command.run != self.state.run or (known and order.index(known) >= order.index(command.mode)):
            return
        self.record(ShutdownRequested(run=command.run, mode=command.mode))

    def observe_started(self, command: ObserveStarted) -> None:
        place = self.current(command.ref)
        if place is None or self.state.steps[place].phase is not StepPhase.SCHEDULED:
            return
        timeout = self.state.step(place).attempt_timeout_ms
        self.record(
            StepStarted(
                run=command.ref.run,
                step=command.ref.step,
                attempt=command.ref.attempt,
                job_uid=command.job_uid,
                started_at=command.started_at,
                pod=command.pod,
                node=command.node,
                attempt_deadline=None if timeout is None else command.started_at + timeout,
            )
        )

    def observe_outcome(self, command: ObserveOutcome) -> None:
        place = self.current(command.ref)
        if place is None:
            return  # an older attempt, or one that was given up: the first terminal outcome stands
        if command.reason is None:
            self.record(
                StepSucceeded(
                    run=command.ref.run,
                    step=command.ref.step,
                    attempt=command.ref.attempt,
                    job_uid=command.job_uid,
                    started_at=command.started_at,
                    finished_at=command.finished_at,
                    pod=command.pod,
                    node=command.node,
                )
            )
        else:
            self.fail(place, reason=command.reason, message=command.message, seen=command)

    def observe_gone(self, command: ObserveGone) -> None:
        place = self.state.place_of(command.ref.step)
        if place is None or place not in self.state.leaving or not self.is_newest(place, command.ref):
            return
        attempt = self.attempt(place)
        assert attempt.abandoned is not None
        if attempt.abandoned is Reason.CANCELLED:
            self.record(StepsCancelled(run=self.state.run, steps=(command.ref.step,)))
        else:
            message = "; ".join(part for part in (attempt.abandoned_message, command.message) if part)
            self.fail(place, reason=attempt.abandoned, message=message)

    def fail(self, place: int, *, reason: Reason, message: str, seen: ObserveOutcome | None = None) -> None:
        """The attempt is over without success: wait for the next one, or the step has failed."""
        message = message[:MESSAGE_LENGTH_MAX]
        exit_code = seen.exit_code if seen else None
        due = policies.retry_at(
            self.state, place, workflow_uid=self.identity.uid, reason=reason, exit_code=exit_code, now=self.now
        )
        attempt = self.attempt(place)
        self.record(
            AttemptFailed(
                run=self.state.run,
                step=self.state.step(place).name,
                attempt=attempt.number,
                reason=reason,
                message=message,
                job_uid=seen.job_uid if seen else attempt.job_uid,
                exit_code=exit_code,
                started_at=seen.started_at if seen else attempt.started_at,
                finished_at=seen.finished_at if seen else None,
                pod=seen.pod if seen else attempt.pod,
                node=seen.node if seen else attempt.node,
                retry_at=due,
            )
        )
        if due is None:
            self.fail_step(place, reason, message)

    def fail_step(self, place: int, reason: Reason, message: str) -> None:
        self.record(StepFailed(run=self.state.run, step=self.state.step(place).name, reason=reason, message=message))

    # -- deadlines -----------------------------------------------------------------------------------

    def fire_timers(self) -> None:
        for _ in range(COMMANDS_PER_TURN_MAX):
            timer = next_timer(self.state)
            if timer is None or timer.due > self.now:
                return
            heapq.heappop(self.state.timers)
            self.fire(timer)

    def fire(self, timer: Timer) -> None:
        name = None if timer.place is None else self.state.step(timer.place).name
        self.record(TimerFired(run=self.state.run, kind=timer.kind, due=timer.due, step=name, attempt=timer.attempt))
        if timer.place is None or name is None:
            return
        definition = self.state.step(timer.place)
        match timer.kind:
            case TimerKind.START_TIMEOUT:
                waited = definition.start_timeout_ms or definition.attempt_timeout_ms or 0
                self.abandon(name, Reason.START_TIMED_OUT, f"not started within {_seconds(waited)}")
            case TimerKind.ATTEMPT_TIMEOUT:
                waited = definition.attempt_timeout_ms or 0
                self.abandon(name, Reason.TIMED_OUT, f"attempt still running after {_seconds(waited)}")
            case TimerKind.STEP_TIMEOUT:
                message = f"step not finished within {_seconds(definition.timeout_ms or 0)}"
                if timer.place in self.state.live:
                    self.abandon(name, Reason.TIMED_OUT, message)
                else:
                    self.fail_step(timer.place, Reason.TIMED_OUT, message)
            case TimerKind.BACKOFF | TimerKind.WORKFLOW_TIMEOUT:
                pass  # the fold has made the step ready, or the workflow stopping

    # -- going on ------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Take down, skip, schedule, finish: in this order, each as far as the state allows."""
        if self.state.stopping is not None:
            self.take_down_everything()
        else:
            self.skip_doomed()
            self.hold_back_after_failure()
            self.schedule_ready()
        self.finish()

    def take_down_everything(self) -> None:
        state = self.state
        self.cancel([*state.plain, *state.guarded, *state.retrying])
        message = "the workflow timed out" if state.stopping is Stopping.TIMED_OUT else "shutdown requested"
        for place in list(state.live)[:ATTEMPTS_PER_TURN_MAX]:
            self.abandon(state.step(place).name, Reason.CANCELLED, message)

    def skip_doomed(self) -> None:
        """Breadth first: skipping a step dooms its dependents, under the same culprit."""
        while self.state.doomed:
            by_culprit: dict[str, list[int]] = {}
            for place, culprit in self.state.doomed.items():
                by_culprit.setdefault(culprit, []).append(place)
            for culprit, places in by_culprit.items():
                self.skip(places, culprit, SkipReason.DEPENDENCY)

    def hold_back_after_failure(self) -> None:
        state = self.state
        if state.failing is None or not policies.starts_nothing_new(state):
            return
        self.skip(list(state.plain), state.failing, SkipReason.WORKFLOW_FAILING)
        if policies.cancels_running(state):
            self.cancel([place for place in state.retrying if policies.is_plain(state, place)])
            for place in _plain_live(state)[:ATTEMPTS_PER_TURN_MAX]:
                self.abandon(state.step(place).name, Reason.CANCELLED, f"step '{state.failing}' failed")
        self.skip_doomed()

    def schedule_ready(self) -> None:
        free = min(policies.places_free(self.state, self.slots), ATTEMPTS_PER_TURN_MAX)
        ready = iter(list(self.state.ready)[:free]) if free else iter(())
        for place in ready:
            self.schedule(place)

    def schedule(self, place: int) -> None:
        definition, step = self.state.step(place), self.state.steps[place]
        attempt = step.attempts + 1
        # Without a startTimeout an attempt that never starts is over when its attemptTimeout is.
        start_timeout = definition.start_timeout_ms or definition.attempt_timeout_ms
        first = step.attempt is None and definition.timeout_ms is not None
        name = job_name(
            workflow=self.identity.name,
            workflow_uid=self.identity.uid,
            run=self.state.run,
            step=definition.name,
            attempt=attempt,
        )
        self.record(
            StepScheduled(
                run=self.state.run,
                step=definition.name,
                attempt=attempt,
                job=name,
                start_deadline=None if start_timeout is None else self.now + start_timeout,
                step_deadline=self.now + (definition.timeout_ms or 0) if first else None,
            )
        )

    def finish(self) -> None:
        state = self.state
        if state.plain or state.guarded or state.retrying or state.live or state.leaving:
            return
        if state.stopping is Stopping.SHUTDOWN:
            end, reason, message = WorkflowEnd.CANCELLED, "Shutdown", "cancelled on request"
        elif state.stopping is Stopping.TIMED_OUT:
            end, reason, message = WorkflowEnd.FAILED, "TimedOut", "the workflow's timeout passed"
        elif state.failing is not None:
            end, reason, message = WorkflowEnd.FAILED, "StepFailed", self.blame(state.failing)
        else:
            end, reason, message = WorkflowEnd.SUCCEEDED, "Completed", ""
        self.record(WorkflowFinished(run=state.run, end=end, reason=reason, message=message))

    # -- small words ---------------------------------------------------------------------------------

    def abandon(self, step: str, reason: Reason, message: str) -> None:
        place = self.state.place_of(step)
        assert place is not None
        self.record(
            AttemptAbandoned(
                run=self.state.run, step=step, attempt=self.attempt(place).number, reason=reason, message=message
            )
        )

    def skip(self, places: Sequence[int], culprit: str, reason: SkipReason) -> None:
        for names in self.windows(places):
            self.record(StepsSkipped(run=self.state.run, steps=names, culprit=culprit, reason=reason))

    def cancel(self, places: Sequence[int]) -> None:
        for names in self.windows(places):
            self.record(StepsCancelled(run=self.state.run, steps=names))

    def windows(self, places: Sequence[int]) -> Iterable[tuple[str, ...]]:
        for start in range(0, len(places), STEPS_PER_RECORD_MAX):
            window = places[start : start + STEPS_PER_RECORD_MAX]
            yield tuple(self.state.step(place).name for place in window)

    def current(self, ref: AttemptRef) -> int | None:
        """The place of the step whose live, newest attempt this is; None if it is old news."""
        place = self.state.place_of(ref.step)
        if place is None or place not in self.state.live or not self.is_newest(place, ref):
            return None
        return place

    def is_newest(self, place: int, ref: AttemptRef) -> bool:
        return ref.run == self.state.run and ref.attempt == self.state.steps[place].attempts

    def attempt(self, place: int) -> Attempt:
        attempt = self.state.steps[place].attempt
        assert attempt is not None
        return attempt

    def blame(self, name: str) -> str:
        place = self.state.place_of(name)
        assert place is not None
        step = self.state.steps[place]
        detail = f": {step.message}" if step.message else ""
        return f"step '{name}' failed ({step.reason}){detail}"[:MESSAGE_LENGTH_MAX]


def _seconds(milliseconds: int) -> str:
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d}".rstrip("0") + " s" if rest else f"{whole} s"
