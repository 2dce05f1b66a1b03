"""The words in which the core's tests are written: given a flow of steps, when something is seen, then ...

Promises: every turn goes through `decide` alone; after every turn the state equals the fold of the whole log
and every index equals the one rebuilt by brute force. No mocks, no clock: `after` moves the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from kipu.core.commands import (
    Accept,
    AttemptRef,
    Command,
    FireTimers,
    GiveApproval,
    ObserveGone,
    ObserveMissing,
    ObserveOutcome,
    ObserveRefused,
    ObserveStarted,
    RequestRerun,
    RequestShutdown,
    SetSuspended,
)
from kipu.core.decide import Identity, decide, wants_turn
from kipu.core.definition import (
    AdoptedStep,
    Adoption,
    Approval,
    Backoff,
    Definition,
    ForEach,
    Jitter,
    Kind,
    OnFailure,
    Retry,
    RunWhen,
    Step,
)
from kipu.core.events import Decision, Event, Reason, ShutdownMode, StepScheduled
from kipu.core.evolve import fold
from kipu.core.language import Evaluate, nothing_to_evaluate
from kipu.core.state import Attempt, State, StepState, canonical
from tests.core.invariants import check_indexes

Fact = TypeVar("Fact")
SECOND = 1_000
MINUTE = 60 * SECOND
START = 1_700_000_000_000
IDENTITY = Identity(name="nightly", uid="4a1f0a52-0000-4000-8000-000000000001")
ONE_SECOND = Backoff(initial_ms=SECOND, factor=2, max_ms=10 * SECOND, jitter=Jitter.NONE)


def step(
    name: str,
    *needs: str,
    run_when: RunWhen = RunWhen.ALL_SUCCEEDED,
    allow_failure: bool = False,
    attempts: int = 1,
    backoff: Backoff = ONE_SECOND,
    final_codes: tuple[int, ...] = (),
    start_timeout: int | None = None,
    attempt_timeout: int | None = None,
    timeout: int | None = None,
    in_finally: bool = False,
    for_each: ForEach | None = None,
) -> Step:
    return Step(
        name=name,
        depends_on=needs,
        run_when=run_when,
        allow_failure=allow_failure,
        retry=Retry(max_attempts=attempts, backoff=backoff, non_retryable_exit_codes=final_codes),
        start_timeout_ms=start_timeout,
        attempt_timeout_ms=attempt_timeout,
        timeout_ms=timeout,
        in_finally=in_finally,
        for_each=for_each,
    )


def fan(
    name: str, *needs: str, count: int = 3, parallelism: int = 1_000, max_failures: int = 0, **policies: Any
) -> Step:
    """A step that is repeated."""
    for_each = ForEach(count=count, parallelism=parallelism, max_failures=max_failures)
    return step(name, *needs, for_each=for_each, **policies)


def last(name: str, *needs: str, allow_failure: bool = False, attempts: int = 1, timeout: int | None = None) -> Step:
    """A step of `finally`."""
    return step(name, *needs, allow_failure=allow_failure, attempts=attempts, timeout=timeout, in_finally=True)


def approval(name: str, *needs: str, timeout: int | None = None, allow_failure: bool = False) -> Step:
    """A step that asks somebody."""
    return replace(
        step(name, *needs, allow_failure=allow_failure),
        kind=Kind.APPROVAL,
        approval=Approval(message="Go on?", timeout_ms=timeout),
    )


def nested(name: str, *needs: str, for_each: ForEach | None = None, **policies: Any) -> Step:
    """A step that is a Workflow of its own."""
    return replace(step(name, *needs, for_each=for_each, **policies), kind=Kind.WORKFLOW)


def wait(name: str, *needs: str, milliseconds: int = MINUTE) -> Step:
    """A step in which time passes."""
    return replace(step(name, *needs), kind=Kind.WAIT, wait_ms=milliseconds)


def adoption(*names: str) -> Adoption:
    """These steps, as run 2 of another workflow has done them."""
    steps = tuple(AdoptedStep(name=name, position=3 + n, hash=f"{n:064x}") for n, name in enumerate(names))
    return Adoption(workflow_uid="0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11", run=2, steps=steps)


class Flow:
    """One workflow that is told things and answers with events."""

    def __init__(
        self, definition: Definition | None, *, slots: int = 1_000, evaluate: Evaluate = nothing_to_evaluate
    ) -> None:
        self.state = State()
        self.now = START
        self.slots = slots
        self.evaluate = evaluate
        self.log: list[tuple[Event, int]] = []
        self.last: list[Event] = []
        if definition is not None:
            self.tell(Accept(spec_hash="hash", definition=definition))

    # -- when ----------------------------------------------------------------------------------------

    def tell(self, *commands: Command, after: int = 0) -> list[Event]:
        """One turn, `after` milliseconds later; returns its events."""
        self.now += after
        self.state, self.last = decide(
            self.state, commands, identity=IDENTITY, now=self.now, slots=self.slots, evaluate=self.evaluate
        )
        self.log += [(event, self.now) for event in self.last]
        assert canonical(fold(self.log)) == canonical(self.state)
        check_indexes(self.state)
        return self.last

    def settle(self) -> list[Event]:
        """Turns without commands until nothing more is due; each of them must have been asked for."""
        events: list[Event] = []
        while wants_turn(self.state, self.slots):
            due = self.tell()
            assert due, "wants_turn promised events"
            events += due
        assert not self.tell(), "wants_turn denied events"
        return events

    def start(self, *names: str, after: int = 0) -> list[Event]:
        return self.tell(*(self.started(name, after) for name in names), after=after)

    def succeed(self, *names: str, after: int = 0) -> list[Event]:
        return self.tell(*(self.outcome(name) for name in names), after=after)

    def fail(
        self, *names: str, reason: Reason = Reason.EXIT_CODE, exit_code: int | None = 1, after: int = 0
    ) -> list[Event]:
        commands = [self.outcome(name, reason=reason, exit_code=exit_code) for name in names]
        return self.tell(*commands, after=after)

    def gone(self, *names: str, message: str = "", after: int = 0) -> list[Event]:
        return self.tell(*(ObserveGone(ref=self.ref(name), message=message) for name in names), after=after)

    def lose(self, name: str) -> list[Event]:
        return self.tell(ObserveMissing(ref=self.ref(name)))

    def refuse(self, name: str, reason: Reason = Reason.INVALID_JOB) -> list[Event]:
        return self.tell(ObserveRefused(ref=self.ref(name), reason=reason, message="refused"))

    def pass_time(self, milliseconds: int) -> list[Event]:
        return self.tell(FireTimers(), after=milliseconds)

    def suspend(self, suspended: bool = True) -> list[Event]:
        return self.tell(SetSuspended(suspended=suspended))

    def answer(self, name: str, decision: Decision = Decision.APPROVE, *, by: str = "ann", run: int = 1) -> list[Event]:
        return self.tell(GiveApproval(run=run, step=name, decision=decision, by=by))

    def rerun(self, *begins: str, number: int = 2, suspended: bool = False) -> list[Event]:
        return self.tell(RequestRerun(number=number, from_=begins, suspended=suspended))

    def shut_down(self, mode: ShutdownMode = ShutdownMode.CANCEL, *, run: int = 1) -> list[Event]:
        return self.tell(RequestShutdown(run=run, mode=mode))

    # -- commands about the newest attempt -----------------------------------------------------------

    def ref(self, name: str, attempt: int | None = None) -> AttemptRef:
        return AttemptRef(run=self.state.run, step=name, attempt=attempt or self.step(name).attempts)

    def started(self, name: str, after: int = 0) -> ObserveStarted:
        started_at = self.now + after
        return ObserveStarted(ref=self.ref(name), job_uid=f"uid-{name}", started_at=started_at, pod="pod", node="node")

    def outcome(
        self,
        name: str,
        *,
        reason: Reason | None = None,
        exit_code: int | None = None,
        message: str = "",
        outputs: Mapping[str, str | int | bool] | None = None,
        log_tail: str = "",
    ) -> ObserveOutcome:
        return ObserveOutcome(
            ref=self.ref(name),
            job_uid=f"uid-{name}",
            reason=reason,
            exit_code=exit_code,
            message=message,
            outputs=outputs,
            log_tail=log_tail,
        )

    # -- then ----------------------------------------------------------------------------------------

    def step(self, name: str) -> StepState:
        place = self.state.place_of(name)
        assert place is not None
        return self.state.steps[place]

    def attempt(self, name: str) -> Attempt:
        attempt = self.step(name).attempt
        assert attempt is not None
        return attempt

    @property
    def phases(self) -> dict[str, str]:
        assert self.state.definition is not None
        return {
            step.name: held.phase.value
            for step, held in zip(self.state.definition.steps, self.state.steps, strict=False)
        }

    @property
    def end(self) -> tuple[str, str]:
        assert self.state.is_terminal
        return self.state.phase.value, self.state.end_reason

    def events_of(self, kind: type[Fact]) -> list[Fact]:
        return [event for event, _ in self.log if isinstance(event, kind)]


def flow(
    *steps: Step,
    on_failure: OnFailure = OnFailure.FINISH_RUNNING,
    parallelism: int | None = None,
    timeout: int | None = None,
    slots: int = 1_000,
    adopt: Adoption | None = None,
    evaluate: Evaluate = nothing_to_evaluate,
    finally_timeout: int | None = None,
) -> Flow:
    """A workflow of these steps that was just accepted."""
    return Flow(
        Definition(
            steps=steps,
            on_failure=on_failure,
            parallelism=parallelism,
            timeout_ms=timeout,
            adopt=adopt,
            finally_timeout_ms=finally_timeout,
        ),
        slots=slots,
        evaluate=evaluate,
    )


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def scheduled(events: Sequence[Event]) -> list[str]:
    return [event.step for event in events if isinstance(event, StepScheduled)]
