"""The CronWorkflow resource, kipu.dev/v1alpha1: as a person writes it, and what it shows.

Promises: the names and rules of batch/v1 CronJob wherever they fit; closed, bounded and strict like the Workflow, of
which it holds a whole one as template. Every docstring is what `kubectl explain` says. Names are for ever.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from kipu.core.cron import HISTORY_MAX, Concurrency

from .schedules import SCHEDULE_LENGTH_MAX, SCHEDULE_PATTERN, ZONE_LENGTH_MAX
from .v1alpha1 import WorkflowSpec
from .v1alpha1_base import NAME_LENGTH_MAX, Annotation, LabelValue, Loose, Model
from .v1alpha1_status import LISTED_MAX, Condition, StatusModel, Time, Word

CRON_KIND, CRON_PLURAL = "CronWorkflow", "cronworkflows"
MINUTES_LENGTH_MAX = 10  # of minutes since 1970: 8 digits until the year 2160
CRON_NAME_LENGTH_MAX = NAME_LENGTH_MAX - MINUTES_LENGTH_MAX - 1  # 52, as for a CronJob: NAME-29712960 is a label
STARTING_DEADLINE_SECONDS_MAX = 365 * 24 * 3_600


class RunMetadata(Model):
    """Labels and annotations of the Workflows. Their names are Kipu's: NAME-29712960, by the minute they are for."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=100)] | None = None
    """Labels of the Workflows. Those of kipu.dev are Kipu's own."""
    annotations: Annotated[dict[str, Annotation], Field(max_length=100)] | None = None
    """Annotations of the Workflows. Those of kipu.dev are Kipu's own."""


class RunTemplate(Model):
    """The Workflow that is created at each time, whole."""

    metadata: RunMetadata | None = None
    """Labels and annotations of the Workflows."""
    spec: WorkflowSpec
    """The spec of the Workflows. What is about one run alone (shutdown, adopt) cannot stand here."""


class CronWorkflowSpec(Model):
    """When Workflows are created, and from what. Everything can be changed; what has begun stays as it was."""

    schedule: Annotated[str, StringConstraints(pattern=SCHEDULE_PATTERN, max_length=SCHEDULE_LENGTH_MAX)]
    """Five fields: minute, hour, day of the month, month, day of the week, such as "30 3 * * 1-5"; or @hourly, @daily,
    @weekly, @monthly, @yearly. A field is *, a number, a name (JAN, MON), a range 1-5, a list 1,15, a step */10 or
    9-17/2; also L in the days of the month (the last one), MON#1 and 1L in those of the week (the first and the last
    Monday of the month). If both days are restricted, one of them is enough. If it is changed, only times after the
    change count."""
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=ZONE_LENGTH_MAX)] | None = None
    """The IANA name of the zone in which the schedule is meant, such as Europe/Berlin; UTC if absent. A fixed time of
    day that the clocks skip comes at the first moment after; one that they repeat comes once."""
    starting_deadline_seconds: Annotated[int, Field(ge=1, le=STARTING_DEADLINE_SECONDS_MAX)] | None = None
    """How late a Workflow may still be created if its time was missed, because Kipu was not running, the CronWorkflow
    was suspended or an earlier Workflow ran too long. However late if absent. Of several missed times only the last
    one is made up for."""
    concurrency_policy: Annotated[Concurrency, Loose] | None = None
    """What happens at a time at which an earlier Workflow still runs. Allow (default): both run. Forbid: nothing is
    started; once none runs, the last time is made up for, within startingDeadlineSeconds. Replace: the earlier one is
    cancelled (spec.shutdown) and the new one starts at once, while pods of the earlier may still be ending."""
    suspend: bool | None = None
    """Whether no more Workflows are created. Those that run go on. Times that pass meanwhile count as missed."""
    successful_workflows_history_limit: Annotated[int, Field(ge=0, le=HISTORY_MAX)] | None = None
    """How many succeeded Workflows are kept; 3 by default. Older ones are deleted with their logs."""
    failed_workflows_history_limit: Annotated[int, Field(ge=0, le=HISTORY_MAX)] | None = None
    """How many Workflows are kept that ended otherwise (Failed, Cancelled, Rejected); 1 by default."""
    workflow_template: RunTemplate
    """The Workflow that is created."""


class ObservedSchedule(StatusModel):
    """The schedule that is followed."""

    schedule: Word
    """As it stood in the spec, cut to 128 characters."""
    time_zone: Word | None = None
    """The zone that stood beside it."""
    since: Time
    """From when on its times count: the CronWorkflow's creation, or the moment its change was seen."""


class ActiveWorkflow(StatusModel):
    """A Workflow that has not ended."""

    name: Word
    """Its name."""
    uid: Word
    """Its uid."""


class CronWorkflowStatus(StatusModel):
    """What has been started, and what comes next. Written by Kipu, and derived anew from the Workflows at any time,
    but for the two last times, which outlive them."""

    active: Annotated[list[ActiveWorkflow], Field(max_length=LISTED_MAX)]
    """The first 20 Workflows that have not ended, the oldest first."""
    active_count: int
    """How many have not ended."""
    last_schedule_time: Time | None = None
    """The last time for which a Workflow was created."""
    last_successful_time: Time | None = None
    """When a Workflow last ended as Succeeded."""
    next_schedule_time: Time | None = None
    """The next time; absent while suspended."""
    observed_schedule: ObservedSchedule | None = None
    """The schedule that is followed, and since when."""
    observed_generation: int
    """The metadata.generation that this status is about."""
    conditions: Annotated[list[Condition], Field(max_length=8)]
    """Accepted: whether the spec is sound. OnSchedule: whether every time so far has had its Workflow, and why not.
    Ready, Reconciling and Stalled for Helm and kstatus."""
