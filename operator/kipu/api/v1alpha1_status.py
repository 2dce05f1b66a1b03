"""`.status` of a Workflow, kipu.dev/v1alpha1: what people, kubectl and Helm read.

Promises: short whatever the workflow's size (every list and text is bounded: each write of the status costs the
API server in proportion to the whole object); a projection of the log, so it may be thrown away.
The docstrings are what `kubectl explain` says. Names are for ever.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from kipu.core.lifecycle import StepPhase, WorkflowPhase
from kipu.core.texts import TAIL_SHOWN_BYTES_MAX

LISTED_MAX = 20  # running and failed steps: each list in as many bytes as api/status.py gives it
STEPS_SHOWN_MAX = 100  # x about 200 B = 20 KiB
MESSAGE_LENGTH_MAX = 1_024

Tail = Annotated[str, StringConstraints(max_length=TAIL_SHOWN_BYTES_MAX)]
Text = Annotated[str, StringConstraints(max_length=MESSAGE_LENGTH_MAX)]
Word = Annotated[str, StringConstraints(max_length=128)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def clip(text: str) -> str:
    """At most MESSAGE_LENGTH_MAX characters: a longer one would have the whole status refused."""
    return text if len(text) <= MESSAGE_LENGTH_MAX else text[: MESSAGE_LENGTH_MAX - 3] + "..."


class StatusModel(BaseModel):
    """What all parts of the status have in common."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
    )


class Counts(StatusModel):
    """How many steps are in each phase."""

    total: int
    """All steps."""
    pending: int
    """Not begun: waiting for dependencies, or for a free place."""
    scheduled: int
    """Begun, and not yet seen running."""
    running: int
    """Seen running."""
    retrying: int
    """Waiting for the next attempt."""
    unknown: int
    """Waiting for a person to say what became of an External attempt."""
    suspended: int
    """Waiting for an approval, or for time to pass."""
    succeeded: int
    """Ended well."""
    failed: int
    """Ended badly, with no attempt left."""
    skipped: int
    """Never run: runWhen could not hold any more, or the workflow was failing."""
    cancelled: int
    """Ended, or kept from starting, on request."""


class Log(StatusModel):
    """How far the workflow's log was when this status was written: a log that ends before it was tampered with."""

    position: int
    """The position of the last record."""
    hash: Word
    """The hash of the last record, which seals all before it."""


class StepReport(StatusModel):
    """One step that runs or has failed."""

    step: Word
    """The step's name; NAME[INDEX] for an item of a fan-out."""
    attempt: int
    """Which attempt this is about, from 1."""
    reason: Word
    """One word: why it failed, or what it is doing."""
    job: Word | None = None
    """The attempt's Job: kubectl logs job/NAME shows what it wrote."""
    exit_code: int | None = None
    """The exit code of the container `main`, if it has ended by itself."""
    message: Text | None = None
    """What there is to say about it."""
    log_tail: Tail | None = None
    """The last lines that it wrote before it failed; kipu history NAME shows all that was kept of them."""


class Items(StatusModel):
    """How far a fan-out is: the rest has not begun."""

    total: int
    """All items."""
    running: int
    """Begun and not over; those that wait for a retry are among them."""
    succeeded: int
    """Ended well."""
    failed: int
    """Ended badly, with no attempt left."""


class StepStatus(StatusModel):
    """Where one step stands."""

    name: Word
    """The step's name."""
    phase: StepPhase
    """Pending, Scheduled, Running, Retrying, Suspended, Succeeded, Failed, Skipped or Cancelled."""
    attempts: int
    """How many attempts were begun."""
    start_time: Time | None = None
    """When the first attempt began to run."""
    finish_time: Time | None = None
    """When the step was over."""
    reason: Word | None = None
    """Why its last attempt failed, or why it was skipped, in one word; Adopted if it counts as done by spec.adopt."""
    culprit: Word | None = None
    """The step because of which it was skipped."""
    items: Items | None = None
    """Of a step with forEach, since it has begun: how many items there are, and what has become of them."""


class Condition(StatusModel):
    """One statement about the workflow, as in metav1.Condition."""

    type: Word
    """What is stated."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Word
    """Why, in one word."""
    message: Text
    """Why, in a sentence; may be empty."""
    last_transition_time: Time
    """Since when it is so."""
    observed_generation: int
    """Of which metadata.generation this is stated."""


class WorkflowStatus(StatusModel):
    """Where the workflow stands: a projection of its log, written by Kipu."""

    phase: WorkflowPhase
    """Pending, Running, Suspended, Finalizing, Cancelling, Succeeded, Failed, Cancelled or Rejected."""
    outcome: Literal["Succeeded", "Failed", "Cancelled", "Rejected"] | None = None
    """How the run ended; absent until then."""
    reason: Word | None = None
    """Why it ended so, in one word."""
    message: Text | None = None
    """Why it ended so, or what it waits for."""
    progress: Annotated[str, StringConstraints(max_length=16)]
    """Steps that are over, of all steps."""
    run: int
    """The number of the run, from 1; 0 if none was opened."""
    counts: Counts
    """How many steps are in each phase."""
    start_time: Time | None = None
    """When the first step was begun."""
    completion_time: Time | None = None
    """When the run was over."""
    duration: Word | None = None
    """From startTime to completionTime, such as 2m13s; filled in at the end."""
    observed_generation: int
    """The metadata.generation that this status is about."""
    log: Log
    """How far the workflow's log was."""
    running: Annotated[list[StepReport], Field(max_length=LISTED_MAX)]
    """The first 20 steps that are under way, with what they wait for."""
    failed: Annotated[list[StepReport], Field(max_length=LISTED_MAX)]
    """The first 20 steps that have failed."""
    steps: Annotated[list[StepStatus], Field(max_length=STEPS_SHOWN_MAX)] | None = None
    """Every step, if there are at most 100."""
    conditions: Annotated[list[Condition], Field(max_length=16)]
    """Accepted, Finished, Succeeded; Suspended, SpecChanged and RequestIgnored where there is something to say; and
    Ready, Reconciling and Stalled for Helm and kstatus."""
