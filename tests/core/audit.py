"""The invariants of design 03, judged from the committed log alone, by a model that shares no code with the core."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kipu.core.commands import AttemptRef
from kipu.core.definition import DISRUPTIONS_MAX, Effects, OnUnknown, RunWhen, Step
from kipu.core.events import (
    ApprovalGiven,
    ApprovalRequested,
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    Decision,
    Event,
    FinallyStarted,
    LateResultIgnored,
    Reason,
    Resolution,
    ShutdownMode,
    ShutdownRequested,
    SkipReason,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    UnknownResolved,
    WaitStarted,
    WorkflowAccepted,
    WorkflowEnd,
    WorkflowFinished,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from tests.core.account import Account
from tests.core.audited_rules import Rules
from tests.core.world import World

BEFORE_STEPS = (
    StreamClaimed,
    WorkflowAccepted,
    StepAdopted,
    ShutdownRequested,
    WorkflowSuspended,
    WorkflowResumed,
    TimerFired,
)


@dataclass
class Audit(Rules):
    """Reads the events in order and raises AssertionError at the first that must not be."""

    stopping: bool = False
    shut_down: bool = False
    draining: bool = False
    terminated: bool = False
    suspended: bool = False
    evaluated: dict[str, None] = field(default_factory=dict)
    finished: WorkflowFinished | None = None
    foreseen: list[str] = field(default_factory=list)  # skipped for a rule, in the commit being read

    def __post_init__(self) -> None:
        super().__post_init__()
        self.to_adopt = [step.name for step in self.definition.adopt.steps] if self.definition.adopt else []

    def read(self, world: World) -> None:
        """Every turn of the world, to the end."""
        for turn in world.turns:
            for event in turn.events:
                opens = isinstance(event, StreamClaimed | WorkflowRerun)
                assert self.finished is None or opens, "terminal is final"
                self.see(event, turn.ts, turn.held)
            self.check_foreseen()
        assert self.finished is not None

    def see(self, event: Event, ts: int, held: frozenset[AttemptRef]) -> None:
        assert not self.to_adopt or isinstance(event, BEFORE_STEPS), "first all is adopted"
        match event:
            case WorkflowSuspended() | WorkflowResumed():
                self.suspended = isinstance(event, WorkflowSuspended)
            case FinallyStarted():
                self.check_end(event.end)
                self.outcome, self.stopping, self.failing = event.end, False, None
                self.shut_down = self.draining = False
            case WorkflowRerun():
                self.see_rerun(event)
            case ShutdownRequested():
                assert self.outcome is None or event.mode is ShutdownMode.TERMINATE
                self.terminated = event.mode is ShutdownMode.TERMINATE
                self.shut_down, self.stopping = self.shut_down or not self.stopping, True
                self.draining = event.mode is ShutdownMode.DRAIN
            case TimerFired():
                assert event.due <= ts
                assert (event.kind is TimerKind.WORKFLOW_TIMEOUT) <= (self.outcome is None)
                if event.kind in (TimerKind.WORKFLOW_TIMEOUT, TimerKind.FINALLY_TIMEOUT):
                    self.shut_down = self.shut_down and not self.draining
                    self.stopping, self.draining = True, False
            case WorkflowFinished():
                assert not held, "no pod is left, and none can come"
                self.finished = event
                self.check_foreseen()
                self.check_end(event.end)
            case _:
                self.see_step(event, ts, held)

    def see_step(self, event: Event, ts: int, held: frozenset[AttemptRef]) -> None:
        match event:
            case StepAdopted():
                self.see_adopted(event.step)
            case StepEvaluated():
                self.see_evaluated(event)
            case LateResultIgnored():
                self.see_late(event)
            case StepExpanded():
                self.see_expanded(event)
            case ApprovalRequested() | WaitStarted():
                self.see_resting(event)
            case ApprovalGiven():
                assert self.steps[event.step].resting
                self.steps[event.step].decision = event.decision
            case StepCompleted():
                self.see_completed(event.step, ts)
            case StepFailed():
                self.see_step_failed(event)
            case StepsSkipped():
                self.see_skipped(event)
            case StepsCancelled():
                for name in event.steps:
                    account = self.steps[name]
                    assert self.stopping or self.cancels(name), "cancelled for a reason"
                    assert account.abandoned or not account.open, "a running step is first given up"
                    self.close(name, "Cancelled")
            case _:
                self.see_attempt(event, ts, held)

    def see_attempt(self, event: Event, ts: int, held: frozenset[AttemptRef]) -> None:
        match event:
            case StepScheduled():
                self.see_scheduled(event, ts, held)
            case StepStarted():
                self.see_started(event)
            case StepSucceeded():
                account = self.steps[event.step]
                assert account.open
                assert not account.abandoned, "the result of an attempt that was given up is ignored"
                self.close(event.step, "Succeeded")
            case AttemptAbandoned():
                cancelled = event.reason is Reason.CANCELLED
                assert not (cancelled and self.draining) or self.cancels(event.step), "a drain lets it end by itself"
                self.steps[event.step].abandoned = True
            case AttemptFailed():
                self.see_failed(event)
            case AttemptUnknown() | UnknownResolved():
                self.see_unknown(event)

    # -- fan-outs ------------------------------------------------------------------------------------------

    def items_of(self, name: str) -> list[Account]:
        """Those that have begun."""
        known = (self.steps.get(f"{name}[{index}]") for index in range(self.steps[name].items or 0))
        return [account for account in known if account is not None]

    def see_expanded(self, event: StepExpanded) -> None:
        step, account = self.by_name[event.step], self.steps[event.step]
        assert step.for_each is not None
        assert account.items is None
        assert not account.end
        assert not self.stopping
        assert not self.suspended
        self.may_begin(step)
        account.items = event.count

    def see_item_begin(self, name: str) -> None:
        step, account = self.rule_of(name), self.steps[name.partition("[")[0]]
        assert step.for_each is not None
        assert account.items is not None
        assert not account.end
        assert int(name.partition("[")[2][:-1]) < account.items
        ends = Counter(item.end for item in self.items_of(step.name))
        assert ends["Failed"] <= step.for_each.max_failures, "nothing new after too many failures"
        self.steps[name] = Account()

    def see_completed(self, name: str, ts: int) -> None:
        account, for_each = self.steps[name], self.by_name[name].for_each
        if account.unknown:
            assert account.said is Resolution.SUCCEED
            self.close(name, "Succeeded")
            return
        if for_each is None:
            assert account.resting
            assert account.decision is Decision.APPROVE if account.due is None else account.due <= ts
            self.close(name, "Succeeded")
            return
        ends = [item.end for item in self.items_of(name)]
        assert for_each is not None
        assert len(ends) == account.items
        assert {*ends} <= {"Succeeded", "Failed"}
        assert ends.count("Failed") <= for_each.max_failures
        self.close(name, "Succeeded")

    def see_items_failed(self, event: StepFailed) -> None:
        for_each = self.by_name[event.step].for_each
        assert for_each is not None
        ends = [item.end for item in self.items_of(event.step)]
        assert all(ends), "what has begun has ended"
        assert event.reason is Reason.TIMED_OUT or ends.count("Failed") > for_each.max_failures

    # -- attempts ------------------------------------------------------------------------------------------

    def see_scheduled(self, event: StepScheduled, ts: int, held: frozenset[AttemptRef]) -> None:
        step, is_item = self.rule_of(event.step), event.step not in self.by_name
        assert is_item is (step.for_each is not None), "a fan-out has no attempt, its items have"
        if is_item and event.attempt == 1:
            assert event.step not in self.steps
            self.see_item_begin(event.step)
        account = self.steps[event.step]
        assert not account.end, "no attempt after the step's end"
        assert not account.open, "one attempt at a time"
        assert not {ref for ref in held if ref.step == event.step}, "and one pod"
        assert event.attempt == account.attempts + 1
        assert not self.stopping
        assert not self.suspended
        if is_item:
            assert step.for_each is not None
            active = sum(item.open for item in self.items_of(step.name))
            assert active < step.for_each.parallelism
        if event.attempt == 1:
            assert step.in_finally is (self.outcome is not None), "finally comes last"
            assert self.rule_holds(step)
            assert is_item or not (self.holds_back() and step.run_when is RunWhen.ALL_SUCCEEDED)
        else:
            assert account.retry_at is not None
            assert ts >= account.retry_at
            assert not self.cancels(event.step)
        account.attempts, account.open, account.abandoned = event.attempt, True, False

    def see_step_failed(self, event: StepFailed) -> None:
        is_item = event.step not in self.by_name
        if event.reason is Reason.EXPRESSION_ERROR:
            if is_item:
                self.see_item_begin(event.step)
            self.see_unstarted(event.step)
        assert not self.steps[event.step].open
        self.close(event.step, "Failed")
        if self.steps[event.step].items is not None:
            self.see_items_failed(event)
        if self.failing is None and not is_item and not self.rule_of(event.step).allow_failure:
            self.failing = event.step

    def see_evaluated(self, event: StepEvaluated) -> None:
        assert event.step not in self.evaluated, "once for all attempts"
        assert event.step not in self.steps or not self.steps[event.step].attempts
        self.evaluated[event.step] = None

    def see_late(self, event: LateResultIgnored) -> None:
        account = self.steps[event.step]
        assert account.abandoned, "only what was given up is late"
        assert account.late < event.attempt == account.attempts, "and is said to be once"
        account.late = event.attempt

    def see_unstarted(self, name: str) -> None:
        """It ends by its expressions, at the moment at which it could have started."""
        assert not self.steps[name].attempts
        assert self.rule_holds(self.rule_of(name))
        is_item = name not in self.by_name
        assert is_item or not (self.holds_back() and self.by_name[name].run_when is RunWhen.ALL_SUCCEEDED)

    def see_resting(self, event: ApprovalRequested | WaitStarted) -> None:
        step, account = self.by_name[event.step], self.steps[event.step]
        assert not account.end
        assert not account.resting
        assert not self.stopping
        assert not self.suspended
        self.may_begin(step)
        account.resting, account.decision = True, None
        account.due = event.due if isinstance(event, WaitStarted) else None

    def may_begin(self, step: Step) -> None:
        assert self.rule_holds(step)
        assert not (self.holds_back() and step.run_when is RunWhen.ALL_SUCCEEDED)
        assert step.in_finally is (self.outcome is not None), "finally comes last"

    def see_rerun(self, event: WorkflowRerun) -> None:
        """A new run, in which what rests on nothing that runs again is done."""
        assert self.finished is not None, "one run at a time"
        kept: set[str] = set()
        while True:
            more = {name for name in self.by_name if name not in kept and self.stays(name, event, kept)}
            if not more:
                break
            kept |= more
        known, self.steps = self.steps, {name: Account() for name in self.by_name}
        self.steps |= {name: account for name, account in known.items() if name.partition("[")[0] in kept}
        self.evaluated = {name: None for name in self.evaluated if name.partition("[")[0] in kept}
        self.finished = self.failing = self.outcome = None
        self.stopping = self.shut_down = self.draining = self.terminated = False

    def stays(self, name: str, event: WorkflowRerun, kept: set[str]) -> bool:
        step = self.by_name[name]
        well = self.steps[name].end == "Succeeded" and name not in event.from_
        reacts = step.run_when is RunWhen.ANY_FAILED or step.in_finally
        return well and not reacts and kept.issuperset(step.depends_on)

    def see_adopted(self, name: str) -> None:
        assert not self.steps[name].attempts
        self.to_adopt.remove(name)
        self.close(name, "Succeeded")
        if not self.to_adopt:
            done = [step for step in self.definition.steps if self.steps[step.name].end]
            assert all(self.rule_holds(step) for step in done), "what is adopted could have run"

    def see_started(self, event: StepStarted) -> None:
        account = self.steps[event.step]
        assert account.open
        assert account.attempts == event.attempt
        assert not account.abandoned

    def see_unknown(self, event: AttemptUnknown | UnknownResolved) -> None:
        step, account = self.by_name[event.step], self.steps[event.step]
        match event:
            case AttemptUnknown():
                assert step.effects is Effects.EXTERNAL
                assert step.on_unknown is OnUnknown.ASK
                assert account.open
                account.open, account.unknown, account.said = False, True, None
            case UnknownResolved():
                assert account.unknown
                account.said = event.decision

    def see_failed(self, event: AttemptFailed) -> None:
        step, account = self.rule_of(event.step), self.steps[event.step]
        if account.unknown:
            assert event.reason is Reason.UNKNOWN
            assert event.retry_at is None or account.said is Resolution.RETRY, "never again in silence"
            account.unknown, account.retry_at = False, event.retry_at
            account.budget += 1
            return
        assert account.open
        assert event.attempt == account.attempts
        account.open, account.retry_at = False, event.retry_at
        account.disruptions += event.reason is Reason.DISRUPTED
        account.budget += event.reason is not Reason.DISRUPTED
        if event.retry_at is not None:
            assert account.budget < step.retry.max_attempts
            assert account.disruptions <= DISRUPTIONS_MAX
            assert event.reason not in (Reason.INVALID_JOB, Reason.JOB_NAME_TAKEN)
            final = step.retry.non_retryable_exit_codes
            assert event.exit_code not in final or event.reason is Reason.DISRUPTED

    def see_skipped(self, event: StepsSkipped) -> None:
        for name in event.steps:
            assert not self.steps[name].attempts
            if event.reason is SkipReason.CONDITION_FALSE:
                assert event.steps == (event.culprit,)
                self.see_unstarted(name)
                self.steps[name].unasked = True
            self.close(name, "Skipped", event.culprit)
            if event.reason is SkipReason.CONDITION_FALSE:
                continue
            if event.reason is SkipReason.WORKFLOW_FAILING:
                assert event.culprit == self.failing
                assert self.holds_back()
            else:
                self.foreseen.append(name)

    def check_foreseen(self) -> None:
        """All skips of a commit stand together: each is justified by what the commit as a whole has ended."""
        for name in self.foreseen:
            step = self.by_name[name]
            roots = {self.steps[need].culprit or need for need in step.depends_on if self.steps[need].end}
            assert self.rule_is_broken(step)
            assert self.steps[name].culprit in (roots or {name})
        self.foreseen = []

    def close(self, name: str, end: str, culprit: str | None = None) -> None:
        account = self.steps[name]
        assert not account.end, "a step ends once"
        assert all(item.end for item in self.items_of(name)), "its items end before"
        account.open, account.end, account.culprit = False, end, culprit
        account.resting = False

    def check_end(self, found: WorkflowEnd) -> None:
        """The table of ends: of the steps, or, once those of finally run, of everything."""
        judged = {name: account for name, account in self.steps.items() if self.is_judged(name)}
        assert all(account.end and not account.open for account in judged.values())
        cut = any(account.end == "Cancelled" for account in judged.values())
        failed = WorkflowEnd.FAILED
        if self.shut_down and self.outcome is not failed and (not self.draining or cut or self.failing is not None):
            expected = WorkflowEnd.CANCELLED
        elif (self.stopping and not self.shut_down) or self.failing is not None:
            expected = failed
        elif self.outcome is not None:
            expected = self.outcome
        else:
            expected = WorkflowEnd.SUCCEEDED
            failures = [name for name in judged if name in self.by_name and judged[name].end == "Failed"]
            assert all(self.by_name[name].allow_failure for name in failures)
            assert not cut
        assert found is expected

    def is_judged(self, name: str) -> bool:
        """Steps of finally that will not run are over with the others."""
        return self.outcome is not None or not self.rule_of(name).in_finally or self.terminated
