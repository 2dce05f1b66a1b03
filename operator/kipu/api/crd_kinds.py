"""The resources that have a CustomResourceDefinition: their names, models, columns and rules, as data.

Promises: a rule is of constant cost, and never stands below a list: it runs again at every write of the status
(design 06, section 6.2). Must never be imported by the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from .reuse import OF_ONE_RUN
from .v1alpha1 import WorkflowSpec
from .v1alpha1_base import KIND, NAME_LENGTH_MAX, PLURAL
from .v1alpha1_cron import CRON_KIND, CRON_NAME_LENGTH_MAX, CRON_PLURAL, CronWorkflowSpec, CronWorkflowStatus
from .v1alpha1_status import WorkflowStatus
from .v1alpha1_template import TEMPLATE_KIND, TEMPLATE_PLURAL, WorkflowTemplateSpec

Rule = Mapping[str, str]
Column = tuple[str, str, str, int]  # name, type, path, priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """One resource."""

    kind: str
    plural: str
    short: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel] | None
    name_length_max: int
    name_description: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)  # by the path of a field


WHOLE_RULES: tuple[Rule, ...] = (
    {"rule": "has(self.steps) != has(self.templateRef)", "message": "either steps or a templateRef is required"},
)
SPEC_RULES: tuple[Rule, ...] = (
    {
        "rule": "!has(oldSelf.shutdown) || has(self.shutdown)",
        "message": "a shutdown that was asked for cannot be taken back; delete the Workflow to be rid of it",
        "reason": "FieldValueForbidden",
        "fieldPath": ".shutdown",
    },
)
SHUTDOWN_RULES: tuple[Rule, ...] = (
    {
        "rule": "self.mode == oldSelf.mode || oldSelf.mode == 'Drain' || self.mode == 'Terminate'"
        " || (has(self.run) ? self.run : 1) > (has(oldSelf.run) ? oldSelf.run : 1)",
        "message": "a shutdown may only escalate, from Drain to Cancel to Terminate",
        "reason": "FieldValueForbidden",
        "fieldPath": ".mode",
    },
)
RERUN_RULES: tuple[Rule, ...] = (
    {
        "rule": "self.number >= oldSelf.number",
        "message": "a run that was asked for cannot be taken back; the number only rises",
        "reason": "FieldValueForbidden",
        "fieldPath": ".number",
    },
)
WORKSPACE_RULES: tuple[Rule, ...] = (
    {
        "rule": "has(self.claimName) != has(self.claimTemplate)",
        "message": "needs one of claimName and claimTemplate",
    },
)
COLUMNS: tuple[Column, ...] = (
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "string", ".status.progress", 0),
    ("Failed", "integer", ".status.counts.failed", 0),
    ("Started", "date", ".status.startTime", 0),
    ("Duration", "string", ".status.duration", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Message", "string", ".status.message", 1),
)
CRON_COLUMNS: tuple[Column, ...] = (
    ("Schedule", "string", ".spec.schedule", 0),
    ("Timezone", "string", ".spec.timeZone", 0),
    ("Suspend", "boolean", ".spec.suspend", 0),
    ("Active", "integer", ".status.activeCount", 0),
    ("Last Schedule", "date", ".status.lastScheduleTime", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Next Schedule", "string", ".status.nextScheduleTime", 1),
    ("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].status', 1),
    ("On Schedule", "string", '.status.conditions[?(@.type=="OnSchedule")].status', 1),
    ("Message", "string", '.status.conditions[?(@.type=="OnSchedule")].message', 1),
)
TEMPLATE_RULES: tuple[Rule, ...] = tuple(
    {
        "rule": f"!has(self.{name})",
        "message": "is for one Workflow, not for a template",
        "reason": "FieldValueForbidden",
        "fieldPath": f".{name}",
    }
    for name in OF_ONE_RUN
    if name in WorkflowSpec.model_fields
)

WORKFLOW = Custom(
    kind=KIND,
    plural=PLURAL,
    short="kw",
    description="A graph of steps, each run as a Job, whose every event is kept.",
    spec=WorkflowSpec,
    status=WorkflowStatus,
    name_length_max=NAME_LENGTH_MAX,
    name_description="It becomes a label of every Job and pod.",
    columns=COLUMNS,
    selectable=(".status.phase",),
    rules={
        "spec": (*WHOLE_RULES, *SPEC_RULES),
        "spec.shutdown": SHUTDOWN_RULES,
        "spec.rerun": RERUN_RULES,
        "spec.workspace": WORKSPACE_RULES,
    },
)
CRON_WORKFLOW = Custom(
    kind=CRON_KIND,
    plural=CRON_PLURAL,
    short="kcw",
    description="Creates a Workflow at each time of a schedule, as a CronJob creates Jobs.",
    spec=CronWorkflowSpec,
    status=CronWorkflowStatus,
    name_length_max=CRON_NAME_LENGTH_MAX,
    name_description="Its Workflows are called by it and by the minute they are for: NAME-29712960.",
    columns=CRON_COLUMNS,
    rules={
        "spec.workflowTemplate.spec": (*WHOLE_RULES, *TEMPLATE_RULES),
        "spec.workflowTemplate.spec.workspace": WORKSPACE_RULES,
    },
)
WORKFLOW_TEMPLATE = Custom(
    kind=TEMPLATE_KIND,
    plural=TEMPLATE_PLURAL,
    short="kwt",
    description="The spec of Workflows that name it (spec.templateRef), with typed params.",
    spec=WorkflowTemplateSpec,
    status=None,
    name_length_max=NAME_LENGTH_MAX,
    name_description="By it Workflows of the same namespace name the template.",
    columns=(("Age", "date", ".metadata.creationTimestamp", 0),),
    rules={
        "spec": (
            {"rule": "has(self.steps) && !has(self.templateRef)", "message": "steps are required"},
            *TEMPLATE_RULES,
        ),
        "spec.workspace": WORKSPACE_RULES,
    },
)
RESOURCES = (WORKFLOW, CRON_WORKFLOW, WORKFLOW_TEMPLATE)
