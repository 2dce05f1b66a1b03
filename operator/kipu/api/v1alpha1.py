"""The Workflow resource, kipu.dev/v1alpha1, as a person writes it.

Promises: the one source of the CRD (`crd.py`), so every docstring here is what `kubectl explain` says; closed,
bounded and strict: an unknown field, a wrong type or a value out of bounds is an error, never a guess. No
default is applied here: absent stays absent, `definition.py` fills in. Names are for ever.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from kipu.core.definition import ATTEMPTS_MAX, STEPS_MAX, Jitter, OnFailure, RunWhen
from kipu.core.events import ShutdownMode

from .durations import DURATION_MAX_MS, to_ms

GROUP, VERSION, KIND, PLURAL = "kipu.dev", "v1alpha1", "Workflow", "workflows"
API_VERSION = f"{GROUP}/{VERSION}"

NAME_LENGTH_MAX = 63  # a DNS-1123 label: step and workflow names are label values
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"  # GEP-2257
DURATION_LENGTH_MAX = 28  # 4 x (5 digits + "ms")
# Linux takes at most 131,071 bytes as one argument of a program: 32,000 characters x 4 bytes of UTF-8.
ARGUMENT_LENGTH_MAX = 32_000
ARGUMENTS_MAX = 256
ENV_MAX = 256
MOUNTS_MAX = 256
PARALLELISM_MAX = 10_000
RUN_MAX = 1_000_000
POSITION_MAX = 1_000_000_000  # far above what any log holds
UID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
UID_LENGTH_MAX = 36
HASH_PATTERN = r"^[0-9a-f]{64}$"
HASH_LENGTH_MAX = 64
EXPRESSION = "${{"


def _check_duration(text: str) -> str:
    milliseconds = to_ms(text)
    if milliseconds == 0:
        raise PydanticCustomError("kipu", "must be longer than zero")
    if milliseconds > DURATION_MAX_MS:
        raise PydanticCustomError("kipu", "must be at most 365 days (8760h)")
    return text


def _check_script(text: str) -> str:
    if EXPRESSION in text:
        raise PydanticCustomError(
            "kipu",
            "expressions are not put into scripts: a value could then run as a command",
            {"hint": 'pass the value through env and write "$NAME"'},
        )
    return text


def _check_argument(text: str) -> str:
    # Refused now, so that they may mean something later without changing what runs today.
    if EXPRESSION in text:
        raise PydanticCustomError("kipu", "expressions are not supported yet", {"hint": "write the value itself"})
    return text


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=NAME_LENGTH_MAX)]
Duration = Annotated[
    str,
    StringConstraints(pattern=DURATION_PATTERN, max_length=DURATION_LENGTH_MAX),
    AfterValidator(_check_duration),
]
Argument = Annotated[str, StringConstraints(max_length=ARGUMENT_LENGTH_MAX), AfterValidator(_check_argument)]
Image = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
LabelValue = Annotated[str, StringConstraints(max_length=NAME_LENGTH_MAX)]
Annotation = Annotated[str, StringConstraints(max_length=ARGUMENT_LENGTH_MAX)]
PassedThrough = dict[str, Any]  # checked by the API server when the Job is made
Loose = Field(strict=False)  # an enum is written as a string


class Model(BaseModel):
    """What all parts of the resource have in common."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, use_attribute_docstrings=True
    )


class EnvVar(Model):
    """One environment variable of the step's program, as in core/v1."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The variable's name. Names that begin with KIPU_ are Kipu's own."""
    value: Argument | None = None
    """The variable's value. Always a string: quote numbers and booleans."""
    value_from: PassedThrough | None = None
    """Where the value comes from instead (fieldRef, configMapKeyRef, secretKeyRef), as in core/v1 EnvVarSource."""


class Container(Model):
    """The short way to say what a step runs: core/v1 Container fields, put on the container named `main`."""

    image: Image | None = None
    """The image that the step runs. Absent: that of the template, then that of spec.defaults."""
    command: Annotated[list[Argument], Field(min_length=1, max_length=ARGUMENTS_MAX)] | None = None
    """The program and its first arguments, in place of the image's entrypoint. No shell reads it; $(NAME) is the
    value of an environment variable, as in core/v1."""
    args: Annotated[list[Argument], Field(min_length=1, max_length=ARGUMENTS_MAX)] | None = None
    """Arguments for the command, or for the image's entrypoint if there is no command."""
    env: Annotated[list[EnvVar], Field(max_length=ENV_MAX)] | None = None
    """Environment variables; one of the same name in a template is replaced."""
    env_from: Annotated[list[PassedThrough], Field(max_length=ENV_MAX)] | None = None
    """ConfigMaps and Secrets whose keys become environment variables, as in core/v1 EnvFromSource."""
    resources: PassedThrough | None = None
    """Requests and limits, as in core/v1 ResourceRequirements."""
    volume_mounts: Annotated[list[PassedThrough], Field(max_length=MOUNTS_MAX)] | None = None
    """Where volumes of the template are mounted; one at the same mountPath in a template is replaced."""
    working_dir: Annotated[str, StringConstraints(max_length=4_096)] | None = None
    """The program's working directory."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled."""
    security_context: PassedThrough | None = None
    """The container's privileges, as in core/v1 SecurityContext."""


class TemplateMetadata(Model):
    """Labels and annotations of the step's pods. The Job and its pods are named by Kipu."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=100)] | None = None
    """Labels of the pods. Those of kipu.dev are Kipu's own."""
    annotations: Annotated[dict[str, Annotation], Field(max_length=100)] | None = None
    """Annotations of the pods."""


class PodTemplate(Model):
    """A core/v1 PodTemplateSpec. Merged in the order: spec.defaults.template, spec.defaults.image, the step's
    template, the step's own fields. Objects are merged key by key; containers and initContainers are merged by
    name; of env, volumes and imagePullSecrets an entry replaces that of the same name, of volumeMounts that of
    the same mountPath; any other list is replaced as a whole; null removes. restartPolicy is Never."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations of the pods."""
    spec: PassedThrough | None = None
    """A core/v1 PodSpec. The container that decides the step's outcome is named `main`."""


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
    allow_failure: bool | None = None
    """Whether the workflow may succeed, and dependents may start, although this step has failed."""
    retry: Retry | None = None
    """When a failed attempt is tried again."""
    start_timeout: Duration | None = None
    """How long an attempt may take from its scheduling until its container runs, such as 5m: an image that cannot
    be pulled or a pod that fits no node is then a failed attempt. Absent: attemptTimeout bounds it."""
    attempt_timeout: Duration | None = None
    """How long one attempt may run, from its Job's start. No limit if it is absent here and in spec.defaults."""
    timeout: Duration | None = None
    """How long the step may take with all its attempts and waits. No limit if absent."""
    script: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=ARGUMENT_LENGTH_MAX),
            AfterValidator(_check_script),
        ]
        | None
    ) = None
    """A shell script, run by /bin/sh -e in the step's image as it stands here, in place of command and args.
    Expressions are refused: pass values through env."""
    template: PodTemplate | None = None
    """A pod template, for all that the fields of the step cannot say."""


class Shutdown(Model):
    """A request to end the run. It may only escalate, from Cancel to Terminate, and cannot be taken back."""

    mode: Annotated[ShutdownMode, Loose]
    """Cancel: start nothing new, delete what runs, wait until no pod is left. Terminate: the same in
    this version, and without the steps that a later version may run at the end."""
    run: Annotated[int, Field(ge=1, le=RUN_MAX)] | None = None
    """Which run is meant; 1, the first, if absent."""


class AdoptedStep(Model):
    """A step that counts as Succeeded without running, and the record which says that it has succeeded there."""

    name: Name
    """The step's name, here and there. All steps that it depends on must be adopted too."""
    position: Annotated[int, Field(ge=1, le=POSITION_MAX)]
    """The position of the record StepSucceeded (or StepAdopted) in the other Workflow's log."""
    hash: Annotated[str, StringConstraints(pattern=HASH_PATTERN, max_length=HASH_LENGTH_MAX)]
    """The hash of that record, which seals all before it: 64 hexadecimal digits."""


class Adopt(Model):
    """What another Workflow has done."""

    workflow_uid: Annotated[str, StringConstraints(pattern=UID_PATTERN, max_length=UID_LENGTH_MAX)]
    """The metadata.uid of the other Workflow."""
    run: Annotated[int, Field(ge=1, le=RUN_MAX)]
    """Which run of it."""
    steps: Annotated[list[AdoptedStep], Field(min_length=1, max_length=STEPS_MAX)]
    """The steps, in any order."""


class WorkflowSpec(Model):
    """A graph of steps, each a Job. Nothing but `shutdown` and `ttlAfterFinished` can be changed once the Workflow
    exists."""

    adopt: Adopt | None = None
    """Steps that are not run again, because they have succeeded in another Workflow whose log was damaged, lost or
    rolled back. `kipu salvage` writes this from a file of `kipu export`, which it verifies. The operator cannot see
    that file: it takes this at its word, as it runs whatever the steps say. Absent: every step runs."""
    defaults: Defaults | None = None
    """What holds for every step that does not say otherwise."""
    parallelism: Annotated[int, Field(ge=1, le=PARALLELISM_MAX)] | None = None
    """How many Jobs of this workflow may exist at once. No limit of its own if absent."""
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
    steps: Annotated[list[Step], Field(min_length=1, max_length=STEPS_MAX)]
    """The steps, in any order. Up to about 1,000 can be applied with kubectl apply; above, use --server-side."""
