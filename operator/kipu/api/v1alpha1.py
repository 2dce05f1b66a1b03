"""The Workflow resource, kipu.dev/v1alpha1, as a person writes it.

Promises: the one source of the CRD (`crd.py`), so every docstring here is what `kubectl explain` says; closed,
bounded and strict: an unknown field, a wrong type or a value out of bounds is an error, never a guess. No
default is applied here: absent stays absent, `definition.py` fills in. Names are for ever.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from kipu.core.definition import (
    ATTEMPTS_MAX,
    FINALLY_MAX,
    INPUTS_MAX,
    ITEMS_MAX,
    ITEMS_UNDER_WAY_MAX,
    STEPS_MAX,
    Effects,
    Jitter,
    OnFailure,
    OnUnknown,
    RunWhen,
)
from kipu.core.events import Resolution

from .v1alpha1_base import (
    ARGUMENT_LENGTH_MAX,
    HASH_LENGTH_MAX,
    HASH_PATTERN,
    PARALLELISM_MAX,
    POSITION_MAX,
    PRIORITY_MAX,
    RUN_MAX,
    UID_LENGTH_MAX,
    UID_PATTERN,
    Duration,
    Image,
    Loose,
    Model,
    Name,
    PassedThrough,
    check_script,
)
from .v1alpha1_control import ANSWERS_MAX, Answer, Approval, Rerun, Shutdown, Wait
from .v1alpha1_language import Expression, Outputs, Params
from .v1alpha1_pod import Container, PodTemplate
from .v1alpha1_workspace import Workspace

USER_LENGTH_MAX = 253  # x 4 bytes = 1 KiB of a record
RESOLUTIONS_MAX = 100  # compared by the chart's policy with as many that were there before
PODS_MAX = 10_000  # of one Job; an Indexed one takes at most 100,000 (KEP-2214)


class Backoff(Model):
    """The waits between attempts: initial, initial x factor, and so on, up to max."""

    initial: Duration | None = None
    """The wait before the second attempt, such as 5s, which is also the default."""
    factor: Annotated[int, Field(ge=1, le=10)] | None = None
    """By how much each wait is longer than the one before it; 2 by default."""
    max: Duration | None = None
    """The longest wait; 5m by default."""
    jitter: Annotated[Jitter, Loose] | None = None
    """Full (default): a wait drawn evenly between zero and the computed one, which spreads a herd. None: the
    computed wait itself."""


class Retry(Model):
    """Whether a failed attempt is tried again. A field absent in a step is taken from spec.defaults.retry.
    Evictions, preemptions and lost nodes are tried again in any case, up to 10 times."""

    max_attempts: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)] | None = None
    """How many attempts there may be, the first included; 1 (default) means no retry."""
    backoff: Backoff | None = None
    """How long to wait between attempts."""
    non_retryable_exit_codes: Annotated[list[Annotated[int, Field(ge=1, le=255)]], Field(max_length=255)] | None = None
    """Exit codes of the container `main` after which no further attempt is made."""


class Defaults(Model):
    """What holds for every step that does not say otherwise."""

    image: Image | None = None
    """The image of every step that names none."""
    attempt_timeout: Duration | None = None
    """How long one attempt of a step may run, such as 10m."""
    retry: Retry | None = None
    """When a failed attempt is tried again."""
    template: PodTemplate | None = None
    """The pod template on which every step's own is merged, such as its security context or service account."""


class JobShape(Model):
    """A step of several pods, as in batch/v1 JobSpec. Its attempt succeeds when so many pods have succeeded; the first
    pod that fails ends it, and a retry begins all of them anew."""

    completions: Annotated[int, Field(ge=1, le=PODS_MAX)] | None = None
    """How many pods must succeed; 1 if absent."""
    parallelism: Annotated[int, Field(ge=1, le=PODS_MAX)] | None = None
    """How many pods may run at once; 1 if absent. spec.parallelism counts Jobs, not pods."""
    completion_mode: Literal["NonIndexed", "Indexed"] | None = None
    """Indexed: each pod has its own index from 0 to completions - 1, in the variable JOB_COMPLETION_INDEX.
    NonIndexed if absent."""


class ForEach(Model):
    """What a step is repeated for: each item is a Job of its own, tried by the step's retry. Exactly one of items,
    count and expression says what the items are. A program finds its item in KIPU_ITEM and the item's index, from 0, in
    KIPU_INDEX."""

    items: Annotated[list[Any], Field(max_length=ITEMS_MAX)] | None = None
    """The items, any JSON values. KIPU_ITEM holds a string as it is, anything else as JSON. At most 10,000, each of at
    most 4 KiB, all of them of at most 256 KiB."""
    count: Annotated[int, Field(ge=0, le=ITEMS_MAX)] | None = None
    """How many items there are: the numbers from 0."""
    expression: Expression | None = None
    """An expression that yields the list of items when the step could start, such as params.regions or
    steps['list'].outputs.files. It is evaluated once, and what it yields is recorded."""
    parallelism: Annotated[int, Field(ge=1, le=ITEMS_UNDER_WAY_MAX)] | None = None
    """How many Jobs of this step may exist at once; 1,000 by default. spec.parallelism holds as well."""
    max_failures: Annotated[int, Field(ge=0, le=ITEMS_MAX)] | None = None
    """How many items may fail without the step failing; 0 by default. Once more have failed no further item starts,
    and the step fails when those that have started are over."""


class TemplateRef(Model):
    """A WorkflowTemplate of the same namespace."""

    name: Name
    """The WorkflowTemplate's name."""


class SubWorkflow(Model):
    """What a step that is a Workflow of its own runs. It says no steps itself: they are the template's."""

    template_ref: TemplateRef
    """The WorkflowTemplate that says what to run. It is read when the step's Workflow is accepted, not before."""
    params: Params | None = None
    """The values for the template's params. A text may hold ${{ }}, as in env; one that is a single ${{ }} and nothing
    else has the type of what that comes to."""


class Step(Container):
    """One node of the graph: a Job, tried until it has succeeded or may not be tried again. Says what it runs by
    `script`, by `command`, `args` or `image`, or by a `template` with a container named `main`."""

    name: Name
    """The step's name, unique within the workflow: a DNS label of at most 63 characters."""
    depends_on: Annotated[list[Name], Field(max_length=STEPS_MAX)] | None = None
    """The steps that must be finished before this one may start, in any order."""
    run_when: Annotated[RunWhen, Loose] | None = None
    """What the finished dependencies must have come to: AllSucceeded (default), AllFinished whatever the outcome,
    or AnyFailed, for clean-up. If it can no longer hold, the step is Skipped."""
    when: Expression | None = None
    """A CEL expression that yields true or false, such as steps['fetch'].outputs.rows > 0, evaluated once when the
    step could start. If it is false the step is Skipped, and counts as succeeded for the steps that depend on it."""
    allow_failure: bool | None = None
    """Whether the workflow may succeed, and dependents may start, although this step has failed."""
    for_each: ForEach | None = None
    """Repeats the step for each of a list of items. For all else it stays one step: it has succeeded when all its items
    are over, and it is skipped, cancelled and waited for as a whole."""
    retry: Retry | None = None
    """When a failed attempt is tried again."""
    start_timeout: Duration | None = None
    """How long an attempt may take from its scheduling until its container runs, such as 5m: an image that cannot
    be pulled or a pod that fits no node is then a failed attempt. Absent: attemptTimeout bounds it."""
    attempt_timeout: Duration | None = None
    """How long one attempt may run, from its Job's start. No limit if it is absent here and in spec.defaults."""
    timeout: Duration | None = None
    """How long the step may take with all its attempts and waits, and with all its items. No limit if absent."""
    script: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=ARGUMENT_LENGTH_MAX),
            AfterValidator(check_script),
        ]
        | None
    ) = None
    """A shell script, run by /bin/sh -e in the step's image as it stands here, in place of command and args.
    Expressions are refused: pass values through env."""
    template: PodTemplate | None = None
    """A pod template, for all that the fields of the step cannot say."""
    effects: Annotated[Effects, Loose] | None = None
    """What running the program once more would do to the world outside. Pure: nothing. Idempotent (default): nothing
    new, since it knows its earlier try by KIPU_IDEMPOTENCY_KEY. External: something, so that it is never run again
    unless its exit code said that it failed, or a person says so in spec.resolutions."""
    on_unknown: Annotated[OnUnknown, Loose] | None = None
    """What is done where nobody knows whether an External attempt has done its work: its Job or pod vanished, its node
    was lost, its time was over. Ask (default): the step is Unknown until spec.resolutions says what became of it. Fail:
    it has failed. Retry: it is tried again by its retry."""
    outputs: Outputs | None = None
    """What the step's program writes to the file $KIPU_OUTPUT, and later steps read as steps['NAME'].outputs.X. All of
    it must be written, of the type declared and in less than 4,096 bytes; else the attempt has failed."""
    inputs: Annotated[list[Name], Field(max_length=INPUTS_MAX)] | None = None
    """The steps whose files this one reads in the workspace, under KIPU_INPUTS/STEP: any that are over when it begins.
    Absent: those of dependsOn that are no fan-outs. A step that did not succeed has no folder."""
    job: JobShape | None = None
    """How many pods the step has; one if absent."""
    approval: Approval | None = None
    """Makes it a step that asks somebody, and runs nothing: it is Suspended until spec.approvals holds an answer."""
    wait: Wait | None = None
    """Makes it a step that waits, and runs nothing."""
    workflow: SubWorkflow | None = None
    """Makes it a step that is a Workflow of its own: each attempt creates one, which this Workflow owns and waits for.
    It holds no place of any parallelism, since its own Jobs do. It has no outputs."""


class StepResolution(Model):
    """A person's word on an attempt whose outcome nobody knows."""

    step: Name
    """The step that is Unknown."""
    attempt: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)]
    """Which attempt of it, as the status shows."""
    run: Annotated[int, Field(ge=1, le=RUN_MAX)] | None = None
    """Which run is meant; 1, the first, if absent."""
    decision: Annotated[Resolution, Loose]
    """Succeed: it has done its work. Fail: it has not, and is not to be tried again. Retry: try it again."""
    by: Annotated[str, StringConstraints(min_length=1, max_length=USER_LENGTH_MAX)]
    """Who says so, recorded in the log: the name of whoever writes this, which the chart's policy checks."""


class AdoptedStep(Model):
    """A step that counts as Succeeded without running, and the record which says that it has succeeded there."""

    name: Name
    """The step's name, here and there. All steps that it depends on must be adopted too."""
    position: Annotated[int, Field(ge=1, le=POSITION_MAX)]
    """The position of the record StepSucceeded (StepCompleted, StepAdopted) in the other Workflow's log."""
    hash: Annotated[str, StringConstraints(pattern=HASH_PATTERN, max_length=HASH_LENGTH_MAX)]
    """The hash of that record, which seals all before it: 64 hexadecimal digits."""
    outputs: PassedThrough | None = None
    """The outputs in that record, as it holds them: a Double and a Json value are text."""


class Adopt(Model):
    """What another Workflow has done."""

    workflow_uid: Annotated[str, StringConstraints(pattern=UID_PATTERN, max_length=UID_LENGTH_MAX)]
    """The metadata.uid of the other Workflow."""
    run: Annotated[int, Field(ge=1, le=RUN_MAX)]
    """Which run of it."""
    steps: Annotated[list[AdoptedStep], Field(min_length=1, max_length=STEPS_MAX)]
    """The steps, in any order."""


class WorkflowSpec(Model):
    """A graph of steps, each a Job. Nothing but `approvals`, `rerun`, `resolutions`, `shutdown`, `suspend` and
    `ttlAfterFinished` can be changed once the Workflow exists."""

    adopt: Adopt | None = None
    """Steps that are not run again, because they have succeeded in another Workflow whose log was damaged, lost or
    rolled back. `kipu salvage` writes this from a file of `kipu export`, which it verifies. The operator cannot see
    that file: it takes this at its word, as it runs whatever the steps say. Absent: every step runs."""
    defaults: Defaults | None = None
    """What holds for every step that does not say otherwise."""
    params: Params | None = None
    """Values that expressions read as params.NAME."""
    parallelism: Annotated[int, Field(ge=1, le=PARALLELISM_MAX)] | None = None
    """How many Jobs of this workflow may exist at once. No limit of its own if absent."""
    priority: Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] | None = None
    """Whose steps get the places of the operator, or of the namespace, that come free: the highest first, then the
    oldest Workflow's. 0 if absent. What runs is never ended for it."""
    timeout: Duration | None = None
    """How long the run may take, from its acceptance, such as 2h; then it is taken down and has Failed. No limit
    if absent."""
    on_failure: Annotated[OnFailure, Loose] | None = None
    """What the failure of a step means for the steps that do not depend on it. FinishRunning (default): nothing
    new starts, what runs may end. CancelRunning: what runs is taken down too. Continue: they go on."""
    ttl_after_finished: Duration | None = None
    """How long the Workflow is kept after its end, such as 24h; then it is deleted with its Jobs, its pods and its
    log (kipu history -o jsonl keeps a copy). The operator's own default if absent; the chart sets 7 days."""
    shutdown: Shutdown | None = None
    """Asks to end the run before its time."""
    resolutions: Annotated[list[StepResolution], Field(max_length=RESOLUTIONS_MAX)] | None = None
    """What became of attempts whose outcome nobody knows; of several words about one attempt the last one counts."""
    suspend: bool | None = None
    """While true, nothing new starts, no next attempt either. What runs goes on, and so do all timeouts and waits."""
    approvals: Annotated[list[Answer], Field(max_length=ANSWERS_MAX)] | None = None
    """Answers to the steps that ask for approval."""
    rerun: Rerun | None = None
    """Asks to run it again."""
    finally_: Annotated[Annotated[list[Step], Field(max_length=FINALLY_MAX)] | None, Field(alias="finally")] = None
    """Steps that run once all others are over, whatever these came to; each finds it in KIPU_OUTCOME: Succeeded,
    Failed or Cancelled. They may depend on each other. One that fails makes the Workflow Failed. They do not run when
    the Workflow is terminated or deleted."""
    finally_timeout: Duration | None = None
    """How long all steps of finally may take together; then they are taken down and the Workflow has Failed. No limit
    if absent: timeout does not count here."""
    template_ref: TemplateRef | None = None
    """The WorkflowTemplate that says what to run, in place of steps and all that belongs to them. It is read once, when
    the Workflow is accepted, and recorded whole in its log. Beside it stand params, the values for the template's."""
    workspace: Workspace | None = None
    """The volume on which steps hand files on. Absent: none."""
    steps: Annotated[list[Step], Field(min_length=1, max_length=STEPS_MAX)] | None = None
    """The steps, in any order; required without a templateRef. Up to about 1,000 can be applied with kubectl apply;
    above, use --server-side."""
