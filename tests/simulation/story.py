"""What the log has said of one workflow so far: a model of its own that shares no code with the core.

Plain bookkeeping: it believes every record. What may not be recorded is said by the rules in `invariants`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

from kipu.core.definition import Definition, Kind, OnFailure, RunWhen, Step
from kipu.core.events import (
    ApprovalGiven,
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    Decision,
    Event,
    EventLimitReached,
    FinallyStarted,
    Reason,
    Resolution,
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
    StepSucceeded,
    TimerFired,
    TimerKind,
    UnknownResolved,
    WaitStarted,
    WorkflowAccepted,
    WorkflowFinished,
    WorkflowRejected,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from kipu.eventlog.ports import Recorded


@dataclass(slots=True)
class Account:
    """One step."""

    attempts: int = 0
    successes: int = 0
    is_open: bool = False  # its newest attempt has neither ended nor gone
    is_abandoned: bool = False
    failures: int = 0  # those that use up the budget
    disruptions: int = 0
    retry_at: int | None = None
    end: str = ""  # its last phase
    intent: str = ""  # "position:hash" of its newest StepScheduled
    is_unwanted: bool = False  # its own `when` did not hold
    outputs: dict[str, object] | None = None  # of its success
    pod_uid: str | None = None  # likewise: whose files stand
    decision: Decision | None = None  # what was answered, if it asks
    due: int | None = None  # when its wait is over
    is_unknown: bool = False  # nobody knows whether its newest attempt has done its work
    word: Resolution | None = None  # what somebody has said of it
    items: int | None = None  # of a fan-out that has begun


def parent_of(name: str) -> str:
    """The step of which this is an item, or the step itself."""
    return name.partition("[")[0]


@dataclass(slots=True)
class Story:
    """One workflow."""

    definition: Definition | None = None
    by_name: dict[str, Step] = field(default_factory=dict)
    steps: dict[str, Account] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)  # "position:hash" of each intent -> its Job's name
    abandoned: set[str] = field(default_factory=set)  # the intents that were given up
    run: int = 0
    is_stopping: bool = False
    is_suspended: bool = False
    is_finalizing: bool = False
    failing: str | None = None
    values: dict[str, dict[str, str]] = field(default_factory=dict)  # by step or item: what its expressions came to
    end: str = ""

    def tell(self, record: Recorded) -> None:
        """Take one record in."""
        event = record.event
        match event:
            case WorkflowAccepted():
                self.definition, self.run = event.definition, event.run
                self.by_name = {step.name: step for step in event.definition.steps}
                self.steps = defaultdict(Account, {name: Account() for name in self.by_name})
            case WorkflowRejected():
                self.end = "Rejected"
            case WorkflowFinished():
                self.end = event.end.value
            case ShutdownRequested():
                self.is_stopping = True
            case TimerFired():
                of_all = event.kind in (TimerKind.WORKFLOW_TIMEOUT, TimerKind.FINALLY_TIMEOUT)
                self.is_stopping = self.is_stopping or of_all
            case EventLimitReached():
                self.is_stopping = True
            case WorkflowSuspended() | WorkflowResumed():
                self.is_suspended = isinstance(event, WorkflowSuspended)
            case FinallyStarted():
                self.is_finalizing, self.is_stopping, self.failing = True, False, None
            case WorkflowRerun():
                self._begin_again(event)
            case _:
                self._tell_of_steps(event, record)

    def _begin_again(self, event: WorkflowRerun) -> None:
        """What has succeeded and rests on nothing that runs again stays."""
        kept: dict[str, Account] = {}
        for _ in self.by_name:
            for name, step in self.by_name.items():
                reacts = step.run_when is RunWhen.ANY_FAILED or step.in_finally or name in event.from_
                well = self.steps[name].end == "Succeeded" and not reacts
                if well and all(need in kept for need in step.depends_on):
                    kept[name] = self.steps[name]
        items = {name: each for name, each in self.steps.items() if name not in kept and parent_of(name) in kept}
        self.steps = defaultdict(Account, {name: kept.get(name, Account()) for name in self.by_name} | items)
        self.values = {name: values for name, values in self.values.items() if parent_of(name) in kept}
        self.run, self.end, self.failing = event.run, "", None
        self.is_stopping = self.is_finalizing = False

    def _tell_of_steps(self, event: Event, record: Recorded) -> None:
        match event:
            case StepExpanded():
                self.steps[event.step].items = event.count
            case StepEvaluated():
                self.values[event.step] = dict(event.values)
            case StepScheduled():
                account = self.steps[event.step]
                account.attempts, account.is_open, account.is_abandoned, account.word = event.attempt, True, False, None
                account.intent = f"{record.position}:{record.hash}"
                self.jobs[account.intent] = event.job
            case StepAdopted() | StepCompleted():
                self.steps[event.step].successes += 1
                self.steps[event.step].end = "Succeeded"
            case StepSucceeded():
                account = self.steps[event.step]
                account.successes, account.pod_uid, account.is_open = account.successes + 1, event.pod_uid, False
                account.end = "Succeeded"
                account.outputs = None if event.outputs is None else dict(event.outputs)
            case WaitStarted() | ApprovalGiven():
                self._tell_of_jobless(event)
            case AttemptAbandoned():
                self.steps[event.step].is_abandoned = True
                self.abandoned.add(self.steps[event.step].intent)
            case AttemptFailed():
                account = self.steps[event.step]
                account.is_open, account.retry_at = False, event.retry_at
                account.disruptions += event.reason is Reason.DISRUPTED
                account.failures += event.reason is not Reason.DISRUPTED
            case AttemptUnknown() | UnknownResolved():
                account = self.steps[event.step]
                account.is_open, account.is_unknown = False, isinstance(event, AttemptUnknown)
                account.word = getattr(event, "decision", None)
            case StepFailed():
                self.steps[event.step].end = "Failed"
                if self.failing is None and event.step in self.by_name and not self.rule_of(event.step).allow_failure:
                    self.failing = event.step  # an item says nothing to the workflow
            case StepsSkipped() | StepsCancelled():
                self._tell_of_many(event)

    def _tell_of_jobless(self, event: WaitStarted | ApprovalGiven) -> None:
        if isinstance(event, WaitStarted):
            self.steps[event.step].due = event.due
        else:
            self.steps[event.step].decision = event.decision

    def _tell_of_many(self, event: StepsSkipped | StepsCancelled) -> None:
        for name in event.steps:
            account = self.steps[name]
            account.is_open = False
            account.end = "Skipped" if isinstance(event, StepsSkipped) else "Cancelled"
            account.is_unwanted = isinstance(event, StepsSkipped) and event.reason is SkipReason.CONDITION_FALSE

    # -- fan-outs --------------------------------------------------------------------------------------------

    def rule_of(self, name: str) -> Step:
        """The definition of a step, or that of an item's step."""
        return self.by_name[parent_of(name)]

    def read(self, name: str) -> str:
        """The output `text` of a step as another one reads it: of a fan-out, those of its items in their order."""
        if self.by_name[name].for_each is None:
            return str((self.steps[name].outputs or {}).get("text", "none"))
        items = [f"{name}[{index}]" for index in range(self.steps[name].items or 0)]
        outputs = [self.steps[item].outputs if item in self.steps else None for item in items]
        return json.dumps([each and each["text"] for each in outputs], separators=(",", ":"))

    def files(self, name: str) -> dict[str, str]:
        """Where a step that reads these files finds them, and whose they are: of a fan-out, those of its items."""
        if self.by_name[name].for_each is None:
            items = {name: self.steps[name]}
        else:
            items = {item: each for item, each in self.steps.items() if parent_of(item) == name and item != name}
        where = {item: item.replace("[", "/").rstrip("]") for item in items}
        return {where[item]: each.pod_uid for item, each in items.items() if each.end == "Succeeded" and each.pod_uid}

    def keeps_files(self, name: str) -> bool:
        """Whether a pod of the step or item hands files on."""
        in_workspace = self.definition is not None and self.definition.workspace is not None
        return in_workspace and self.rule_of(name).kind is Kind.RUN

    def items_of(self, name: str) -> list[Account]:
        """The items of a step that have begun."""
        names = (f"{name}[{index}]" for index in range(self.steps[name].items or 0))
        return [self.steps[item] for item in names if item in self.steps]

    # -- the rules, said once more in other words ----------------------------------------------------------

    def may_start(self, name: str) -> bool:
        """Whether the step's rule on its needs holds now."""
        step = self.rule_of(name)
        ends = [(self.steps[need].end, self._is_forgiven(need)) for need in step.depends_on]
        if not all(end for end, _ in ends):
            return False
        if step.run_when is RunWhen.ALL_SUCCEEDED:
            return all(end == "Succeeded" or forgiven for end, forgiven in ends)
        return step.run_when is RunWhen.ALL_FINISHED or any(end == "Failed" for end, _ in ends)

    def _is_forgiven(self, name: str) -> bool:
        """Whether the step's end, which is no success, counts as one for those that need it."""
        account = self.steps[name]
        return account.is_unwanted or (account.end == "Failed" and self.by_name[name].allow_failure)

    def why_not_complete(self, name: str, now: int) -> str | None:
        """Why this step cannot be done now; None if it can."""
        account = self.steps[name]
        if account.items is not None:
            return None  # a fan-out: I9 has no say in how it ends
        if account.word is Resolution.SUCCEED:
            return None
        if account.due is not None:
            return None if account.due <= now else f"step {name} is over before its time"
        return None if account.decision is Decision.APPROVE else f"step {name} goes on, and nobody has approved"

    def is_held_back(self, name: str) -> bool:
        """Whether an earlier failure lets this step not start any more."""
        assert self.definition is not None
        is_plain = self.rule_of(name).run_when is RunWhen.ALL_SUCCEEDED
        goes_on = self.definition.on_failure is OnFailure.CONTINUE or self.is_finalizing
        return is_plain and self.failing is not None and not goes_on
