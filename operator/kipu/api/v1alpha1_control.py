"""What a person asks of a run: to end, to go on, to be run again; and the steps that ask a person, or wait.

Promises: those of `v1alpha1`, of which this is a part. Must never know what a step runs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from kipu.core.definition import STEPS_MAX
from kipu.core.events import Decision, ShutdownMode

from .v1alpha1_base import RUN_MAX, Duration, Loose, Model, Name

# The admission policy compares each answer with all that were there before: 100 x 100 of its budget of a million.
ANSWERS_MAX = 100
BY_LENGTH_MAX = 253
TEXT_LENGTH_MAX = 500


class Approval(Model):
    """Somebody is asked whether to go on."""

    message: Annotated[str, StringConstraints(max_length=TEXT_LENGTH_MAX)] | None = None
    """What is asked, as the status shows it."""
    timeout: Duration | None = None
    """How long an answer is waited for, such as 24h; then the step has failed. No limit if absent."""


class Wait(Model):
    """Time passes."""

    duration: Duration
    """How long, such as 1h."""


class Answer(Model):
    """An answer to a step that asks for approval. The first answer to a step stands, in each run."""

    step: Name
    """The step that asks."""
    decision: Annotated[Decision, Loose]
    """Approve: the step has succeeded. Reject: it has failed, and is not tried again."""
    by: Annotated[str, StringConstraints(min_length=1, max_length=BY_LENGTH_MAX)]
    """Who answers: the user name under which you are known to the API server (kubectl auth whoami). With the chart's
    policy nobody can answer in another's name."""
    run: Annotated[int, Field(ge=1, le=RUN_MAX)] | None = None
    """In which run it is asked; 1, the first, if absent."""
    message: Annotated[str, StringConstraints(max_length=TEXT_LENGTH_MAX)] | None = None
    """Why."""


class Shutdown(Model):
    """A request to end the run. It may only escalate, from Drain to Cancel to Terminate, and cannot be taken back."""

    mode: Annotated[ShutdownMode, Loose]
    """Drain: start nothing new, no next attempt either, and let the attempts that run end by themselves; all timeouts
    go on. Cancel: start nothing new, delete what runs, wait until no pod is left. Then, in both, the steps of finally.
    Terminate: as Cancel, without finally, or with an end to it."""
    run: Annotated[int, Field(ge=1, le=RUN_MAX)] | None = None
    """Which run is meant; 1, the first, if absent."""


class Rerun(Model):
    """A request to run the Workflow again, in the same log."""

    number: Annotated[int, Field(ge=2, le=RUN_MAX)]
    """The number of the run to open: one more than status.run. It opens once the run before it is over."""
    from_: Annotated[Annotated[list[Name], Field(max_length=STEPS_MAX)] | None, Field(alias="from")] = None
    """Steps that run again although they have succeeded, and with them all that rests on them. What has not succeeded,
    all that rests on it, and finally run again in any case."""
