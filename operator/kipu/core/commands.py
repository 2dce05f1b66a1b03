"""What the core is told: requests of people and observations of the cluster, in the imperative.

Promises: plain values, already parsed and already about this workflow. The same command twice, or an old
one late, is harmless: `decide` takes what is news and ignores the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .definition import Definition
from .errors import Problem
from .events import Decision, Reason, Resolution, ShutdownMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """This replica takes the stream over."""

    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """A sound spec was read."""

    spec_hash: str
    definition: Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A spec was read that cannot run."""

    spec_hash: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShutdown:
    """`spec.shutdown` asks to end this run."""

    run: int
    mode: ShutdownMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSuspended:
    """`spec.suspend` says whether anything new may start."""

    suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveApproval:
    """`spec.approvals` holds an answer to an approval step."""

    run: int
    step: str
    decision: Decision
    by: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRerun:
    """`spec.rerun` asks for run `number`, once the one before it is over."""

    number: int
    from_: tuple[str, ...] = ()
    suspended: bool = False  # whether it begins so


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """Which attempt an observation is about."""

    run: int
    step: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveStarted:
    """The attempt's container was seen running (or already ended)."""

    ref: AttemptRef
    job_uid: str
    started_at: int
    pod: str | None = None
    node: str | None = None
    is_awaited: bool = False  # not to be put off: a Job that is born suspended waits for it, or a child's uid is told


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveOutcome:
    """The attempt ended by itself. `reason` None means success."""

    ref: AttemptRef
    job_uid: str
    reason: Reason | None
    message: str = ""
    exit_code: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    pod: str | None = None
    node: str | None = None
    pod_uid: str | None = None
    outputs: Mapping[str, str | int | bool] | None = None  # of a success: what it declares, all of it
    log_tail: str = ""  # of a failure: what its program has said last


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveMissing:
    """A consistent read showed that the attempt's Job is gone without an outcome."""

    ref: AttemptRef
    started: ObserveStarted | None = None  # what was seen of it before, if that was not told yet


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRefused:
    """The API server will never take this attempt's Job; nothing runs."""

    ref: AttemptRef
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveGone:
    """An abandoned attempt's name is occupied by its placeholder and none of its pods is left."""

    ref: AttemptRef
    message: str = ""  # what was seen of it before it went, such as why it never started


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveUnknown:
    """`spec.resolutions` says what became of an attempt."""

    ref: AttemptRef
    decision: Resolution
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FireTimers:
    """Look at the deadlines. The shell sends it only after a complete list was folded (design 03)."""


Command = (
    Claim
    | Accept
    | Reject
    | RequestShutdown
    | SetSuspended
    | GiveApproval
    | RequestRerun
    | ObserveStarted
    | ObserveOutcome
    | ObserveMissing
    | ObserveRefused
    | ObserveGone
    | ResolveUnknown
    | FireTimers
)

FAILURE_BYTES_MAX = 2_900  # of AttemptFailed and StepFailed together, without a tail: what one command may yield
OUTPUTS_BYTES_MAX = 8 * 1024  # as recorded: a termination message has under 4,096 bytes, each is escaped to at most two


def weight(command: Command) -> int:
    """As how many commands this one counts, by the bytes that it may yield."""
    if not isinstance(command, ObserveOutcome):
        return 1
    if command.log_tail:
        return 2  # TAIL_BYTES_MAX, with its key, is under FAILURE_BYTES_MAX
    if not command.outputs:
        return 1
    return 1 + len(json.dumps(dict(command.outputs), ensure_ascii=False).encode()) // FAILURE_BYTES_MAX
