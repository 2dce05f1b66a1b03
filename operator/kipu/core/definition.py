"""What a workflow is asked to do: the normalised spec, with every default applied.

Promises: immutable; complete (no default is looked up later, so an upgrade cannot change a running
workflow). Its recorded form is `definition_json`'s.
Must never know about Kubernetes: what a step runs is the opaque object `pod`, read by `api.jobs` alone.

All durations are whole milliseconds. `None` means "no limit".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

JsonObject = Mapping[str, object]

STEPS_MAX = 5_000  # design 04: a Workflow of 5,000 small steps still fits one etcd object (1.5 MiB)
FINALLY_MAX = 100  # of these: steps of finally
ATTEMPTS_MAX = 100  # bounds the records of one step: 100 attempts x 3 records x 0.4 KiB = 120 KiB
# Of one fan-out: x 3 records x 0.4 KiB = 12 MiB of log, and 80 KiB of places in memory.
ITEMS_MAX = 10_000
# Of all fan-outs of one workflow: x 3 records of an item without trouble = 150,000 of the 250,000 that a log may hold.
ITEMS_IN_ALL_MAX = 50_000
# Of one fan-out begun and not over, those that wait for a retry included: x 1 KiB of state = 1 MiB.
ITEMS_UNDER_WAY_MAX = 1_000
INPUTS_MAX = 250  # folders that one pod mounts, each a mount of its own on the node
DISRUPTIONS_MAX = 10  # evictions and node losses do not use up maxAttempts, but they end too


class OnFailure(StrEnum):
    """What a step's failure means for the steps that do not depend on it."""

    FINISH_RUNNING = "FinishRunning"  # start nothing new, let what has started end
    CANCEL_RUNNING = "CancelRunning"  # take down what runs as well
    CONTINUE = "Continue"  # independent branches go on


class RunWhen(StrEnum):
    """The rule on a step's dependencies that lets it start; judged once all of them are finished."""

    ALL_SUCCEEDED = "AllSucceeded"
    ALL_FINISHED = "AllFinished"
    ANY_FAILED = "AnyFailed"


class Effects(StrEnum):
    """What running a step's program once more would do to the world outside."""

    PURE = "Pure"  # nothing
    IDEMPOTENT = "Idempotent"  # nothing new: it knows its earlier try by KIPU_IDEMPOTENCY_KEY
    EXTERNAL = "External"  # something: it must not happen unless somebody says so


class OnUnknown(StrEnum):
    """What is done where nobody knows whether an External program has done its work."""

    ASK = "Ask"  # wait until a person says
    FAIL = "Fail"
    RETRY = "Retry"  # by the step's retry, as if the attempt had failed


class Kind(StrEnum):
    """What a step is. Only `Run` has Jobs."""

    RUN = "Run"
    APPROVAL = "Approval"  # somebody is asked
    WAIT = "Wait"  # time passes
    WORKFLOW = "Workflow"  # each attempt is a Workflow of its own, the child


class Jitter(StrEnum):
    """`Full`: a wait drawn evenly from 0 to the computed backoff. `None`: the backoff itself."""

    FULL = "Full"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits before attempt 2, 3, ...: initial, initial x factor, ... up to the cap."""

    initial_ms: int = 5_000
    factor: int = 2
    max_ms: int = 300_000
    jitter: Jitter = Jitter.FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`max_attempts` counts the first attempt; 1 means no retry."""

    max_attempts: int = 1
    backoff: Backoff = Backoff()
    non_retryable_exit_codes: tuple[int, ...] = ()


class ValueType(StrEnum):
    """What an output is."""

    STRING = "String"
    INT = "Int"
    BOOL = "Bool"
    DOUBLE = "Double"
    JSON = "Json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a step's program promises to write."""

    name: str
    type: ValueType = ValueType.STRING


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What somebody is asked, and for how long."""

    message: str = ""
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForEach:
    """What a step is repeated for: one of the first three says it."""

    items: tuple[object, ...] | None = None  # JSON values
    count: int | None = None
    expression: str | None = None  # yields the items when the step could start; opaque to the core
    parallelism: int = ITEMS_UNDER_WAY_MAX  # Jobs of this fan-out at once
    max_failures: int = 0  # more failed items than these fail the step


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the graph. `approval` is there for the kind Approval alone, `wait_ms` for Wait."""

    name: str
    depends_on: tuple[str, ...] = ()
    run_when: RunWhen = RunWhen.ALL_SUCCEEDED
    allow_failure: bool = False
    retry: Retry = Retry()
    start_timeout_ms: int | None = None  # from scheduling to the first running container
    attempt_timeout_ms: int | None = None  # one attempt, from its Job's startTime
    timeout_ms: int | None = None  # the whole step with its retries, from its first scheduling
    effects: Effects = Effects.IDEMPOTENT
    on_unknown: OnUnknown = OnUnknown.ASK
    pod: JsonObject = field(default_factory=dict)  # opaque to the core
    when: str | None = None  # an expression: whether it runs at all; opaque to the core
    outputs: tuple[Output, ...] = ()
    for_each: ForEach | None = None  # a fan-out: each item is a step of its own, named `name[index]`
    kind: Kind = Kind.RUN
    in_finally: bool = False  # runs once all others are over; these stand behind all others
    approval: Approval | None = None
    wait_ms: int | None = None
    inputs: tuple[str, ...] = ()  # the steps whose files it reads; those of a fan-out item by item


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The volume on which steps hand files on: either a claim that is there, or one that is made for the workflow."""

    claim_name: str | None = None
    claim_template: JsonObject | None = None  # opaque to the core


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedStep:
    """A step that counts as done, and the record of another log that says so."""

    name: str
    position: int
    hash: str  # in hex
    outputs: Mapping[str, str | int | bool] | None = None  # as that record holds them


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What this workflow takes over from a run of another one. Known to be sound: `adoption.check` ran."""

    workflow_uid: str
    run: int
    steps: tuple[AdoptedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole workflow. Its graph is known to be sound: `graph.check` ran before it was accepted."""

    steps: tuple[Step, ...]
    parallelism: int | None = None  # Jobs at once
    priority: int = 0  # the highest is served first
    timeout_ms: int | None = None
    on_failure: OnFailure = OnFailure.FINISH_RUNNING
    pod_defaults: JsonObject = field(default_factory=dict)  # opaque to the core
    adopt: Adoption | None = None
    params: JsonObject = field(default_factory=dict)  # name -> value; read by expressions alone
    finally_timeout_ms: int | None = None  # all steps of `finally`, from their beginning
    workspace: Workspace | None = None
