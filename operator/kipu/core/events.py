"""Every fact that Kipu records, in the past tense. These shapes are for ever.

A record on the wire is `{v, pos, epoch, ts, type, ...the fields below in camelCase...}`; a field that is
None is left out (docs/event-log.md). A changed shape is a new kind or an upcaster, never an edit.

An attempt is named by (workflow uid, run, step, attempt); `run` and `attempt` count from 1. Times are whole
milliseconds since 1970 UTC. Must never hold anything that a later version of the code would recompute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .definition import Definition
from .errors import Problem
from .reasons import Decision as Decision
from .reasons import Reason as Reason
from .reasons import Resolution as Resolution
from .reasons import ShutdownMode as ShutdownMode
from .reasons import SkipReason as SkipReason
from .reasons import TimerKind as TimerKind
from .reasons import WorkflowEnd as WorkflowEnd

Items = tuple[object, ...]  # JSON values: the items of a fan-out as its expression has yielded them

STEPS_PER_RECORD_MAX = 200  # x (63 + 6 of an item's index + 3) bytes = 14 KiB, under the record bound of 16 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClaimed:
    """A writer took over this stream; precedes any effect of that writer."""

    epoch: int
    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowAccepted:
    """Run 1 opened. `spec_hash` is the SHA-256 of the immutable part of the resource's spec."""

    run: int
    spec_hash: str
    definition: Definition
    deadline: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRejected:
    """The spec cannot run; nothing was started."""

    spec_hash: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownRequested:
    """Somebody asked to end this run."""

    run: int
    mode: ShutdownMode


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSuspended:
    """Nothing new starts until `WorkflowResumed`; what runs goes on, and so do all timers."""

    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowResumed:
    """What is ready may start again."""

    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScheduled:
    """We decided to run this attempt as the Job, or the child Workflow, of this name. Deadlines are absolute."""

    run: int
    step: str
    attempt: int
    job: str
    start_deadline: int | None = None
    step_deadline: int | None = None  # only in the first attempt of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvaluated:
    """What the step's expressions came to, for all its attempts: the texts in its manifest, by their path in it."""

    run: int
    step: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """We saw this attempt run."""

    run: int
    step: str
    attempt: int
    job_uid: str
    started_at: int  # the Job's startTime
    pod: str | None = None
    node: str | None = None
    attempt_deadline: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSucceeded:
    """The attempt ended well; the step is done and never runs again in this run. Nobody ever sees other `outputs`."""

    run: int
    step: str
    attempt: int
    job_uid: str
    started_at: int | None = None
    finished_at: int | None = None
    pod: str | None = None
    node: str | None = None
    pod_uid: str | None = None
    outputs: Mapping[str, str | int | bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAdopted:
    """The step counts as done without an attempt: spec.adopt says that the named record of another log proves it."""

    run: int
    step: str
    source_uid: str  # of the other Workflow
    source_run: int
    source_position: int
    source_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested:
    """Somebody is asked; who does not answer until the deadline has the step fail."""

    run: int
    step: str
    deadline: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven:
    """Somebody has answered; `StepCompleted` or `StepFailed` follows in the same commit."""

    run: int
    step: str
    decision: Decision
    by: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStarted:
    """The step is over at `due`."""

    run: int
    step: str
    due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExpanded:
    """A fan-out has begun: it has `count` items, each a step named `step[index]`, with the index from 0.

    `items`: absent where the definition has them, or has a count.
    """

    run: int
    step: str
    count: int
    items: Items | None = None
    deadline: int | None = None  # of the step as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCompleted:
    """The step is done without an attempt of its own. `outputs` is a canonical JSON object."""

    run: int
    step: str
    outputs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAbandoned:
    """We gave this attempt up; its Job is to be removed and its name kept occupied by a placeholder."""

    run: int
    step: str
    attempt: int
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """The attempt is over without success. `retry_at` None: `StepFailed` follows in the same commit."""

    run: int
    step: str
    attempt: int
    reason: Reason
    message: str = ""
    job_uid: str | None = None
    exit_code: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    pod: str | None = None
    node: str | None = None
    retry_at: int | None = None
    log_tail: str | None = None  # what container `main` has said last: its termination message, or the end of its log


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptUnknown:
    """The attempt of an External step is over; whether it has done its work nobody knows. The step waits."""

    run: int
    step: str
    attempt: int
    reason: Reason  # how it came to its end
    message: str = ""
    job_uid: str | None = None
    pod: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownResolved:
    """Somebody has said what became of it; what follows is in the same commit."""

    run: int
    step: str
    attempt: int
    decision: Resolution
    by: str = ""  # as the request says, "" where it says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class LateResultIgnored:
    """An attempt that was given up has ended after all; nothing changes. `reason` None: it ended well."""

    run: int
    step: str
    attempt: int
    job_uid: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """No further attempt will be made in this run."""

    run: int
    step: str
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsSkipped:
    """These steps will never run in this run, because of `culprit`. At most STEPS_PER_RECORD_MAX."""

    run: int
    steps: tuple[str, ...]
    culprit: str
    reason: SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsCancelled:
    """These steps were ended or kept from starting on request; none of their pods is left."""

    run: int
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """A recorded deadline passed; `step` and `attempt` are absent for the workflow's own."""

    run: int
    kind: TimerKind
    due: int
    step: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimitReached:
    """The log holds as many events as a run may have (`policies.EVENTS_MAX`): the run is taken down and fails."""

    run: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinallyStarted:
    """The steps are over and their end is known: those of `finally` run now."""

    run: int
    end: WorkflowEnd
    reason: str
    message: str = ""
    deadline: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowFinished:
    """The run is over; terminal is final, but for `WorkflowRerun`."""

    run: int
    end: WorkflowEnd
    reason: str  # one CamelCase word, as in a Kubernetes condition
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRerun:
    """Run `run` opens in this log: what has succeeded stays done, except these steps and all that rests on others."""

    run: int
    from_: tuple[str, ...]
    spec_hash: str
    deadline: int | None = None


AttemptEvent = (
    StepScheduled
    | StepStarted
    | StepSucceeded
    | AttemptAbandoned
    | AttemptFailed
    | AttemptUnknown
    | UnknownResolved
    | LateResultIgnored
)
StepEvent = (
    StepEvaluated
    | AttemptEvent
    | StepAdopted
    | ApprovalRequested
    | ApprovalGiven
    | WaitStarted
    | StepExpanded
    | StepCompleted
    | StepFailed
    | StepsSkipped
    | StepsCancelled
)
Event = (
    StreamClaimed
    | WorkflowAccepted
    | WorkflowRejected
    | ShutdownRequested
    | WorkflowSuspended
    | WorkflowResumed
    | StepEvent
    | TimerFired
    | EventLimitReached
    | FinallyStarted
    | WorkflowFinished
    | WorkflowRerun
)
EVENT_TYPES: tuple[type[Event], ...] = Event.__args__
