"""A CronWorkflow: its spec to `core.cron.Cron`, the Workflow of one of its times, and its `.status`.

Promises: pure and total: any JSON value gives a Cron or a UserError that names each fault; the same template and time
are the same Workflow, under the same name. A template is judged by the very rules of a Workflow's spec.
Must never trust the CRD or an admission policy to have checked anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from kipu.core.cron import FAILED_KEPT, SUCCESSFUL_KEPT, Concurrency, Cron, Schedule, child_name
from kipu.core.errors import Problem, UserError

from . import reuse, schedules
from .durations import timestamp
from .jobs import MANAGED_BY, MANAGED_BY_LABEL
from .passthrough import JsonMap, join
from .pods import mapping
from .problems import translate
from .v1alpha1_base import API_VERSION, KIND
from .v1alpha1_cron import CRON_KIND, CRON_NAME_LENGTH_MAX, CronWorkflowSpec

CRON_LABEL = "kipu.dev/cron-workflow"
SCHEDULED_ANNOTATION = "kipu.dev/scheduled-time"
OWN_KEYS = "kipu.dev/"
TEMPLATE = "spec.workflowTemplate"
SPEC = f"{TEMPLATE}.spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a sound CronWorkflow asks for."""

    cron: Cron
    schedule: Schedule
    expression: str
    time_zone: str | None
    template: JsonMap


def parse(name: str, raw: object) -> Asked:
    """What a spec asks for. Raises UserError with all problems."""
    sound = raw if isinstance(raw, Mapping) else {}
    template = mapping(sound, "workflowTemplate")
    problems: list[Problem] = list(_name_problems(name))
    try:
        spec = CronWorkflowSpec.model_validate(raw)
    except ValidationError as error:
        # Those of the template's spec are told below, by the rules of a Workflow.
        faults = translate(error, CronWorkflowSpec, "spec")
        problems += [fault for fault in faults if "spec" not in template or not fault.path.startswith(SPEC)]
        spec = None
    problems += _time_problems(sound)
    problems += _template_problems(template)
    if problems or spec is None:
        raise UserError(tuple(problems))
    deadline = spec.starting_deadline_seconds
    cron = Cron(
        suspend=spec.suspend or False,
        concurrency=spec.concurrency_policy or Concurrency.ALLOW,
        starting_deadline_ms=None if deadline is None else deadline * 1_000,
        successful_kept=_given(spec.successful_workflows_history_limit, SUCCESSFUL_KEPT),
        failed_kept=_given(spec.failed_workflows_history_limit, FAILED_KEPT),
    )
    return Asked(
        cron=cron,
        schedule=schedules.schedule(spec.schedule, spec.time_zone),
        expression=spec.schedule,
        time_zone=spec.time_zone,
        template=template,
    )


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


def _name_problems(name: str) -> Iterator[Problem]:
    if len(name) > CRON_NAME_LENGTH_MAX:
        reason = f"must have at most {CRON_NAME_LENGTH_MAX} characters"
        yield Problem(path="metadata.name", reason=reason, hint="its Workflows are called NAME-29712960")


def _time_problems(raw: JsonMap) -> Iterator[Problem]:
    """Of what has the right shape."""
    expression, zone = raw.get("schedule"), raw.get("timeZone")
    if isinstance(expression, str) and schedules.has_shape(expression):
        yield from schedules.expression_problems(expression, "spec.schedule")
    if isinstance(zone, str) and 0 < len(zone) <= schedules.ZONE_LENGTH_MAX:
        yield from schedules.zone_problems(zone, "spec.timeZone")


def _template_problems(template: JsonMap) -> Iterator[Problem]:
    metadata = mapping(template, "metadata")
    for part in ("labels", "annotations"):
        for key in mapping(metadata, part):
            if isinstance(key, str) and (key.startswith(OWN_KEYS) or key == MANAGED_BY_LABEL):
                path = join(f"{TEMPLATE}.metadata.{part}", key)
                yield Problem(path=path, reason=f"is one of the {part} that Kipu sets")
    if "spec" not in template:
        return
    spec = template["spec"]
    yield from reuse.of_one_run(spec if isinstance(spec, Mapping) else {}, SPEC)
    try:
        reuse.check(spec)
    except UserError as error:
        for problem in error.problems:
            yield Problem(path=f"{TEMPLATE}.{problem.path}", reason=problem.reason, hint=problem.hint)


# -- the Workflow of one time ------------------------------------------------------------------------


def workflow(namespace: str, name: str, uid: str, asked: Asked, scheduled_at: int) -> dict[str, object]:
    """The manifest of the Workflow for this time."""
    metadata = mapping(asked.template, "metadata")
    ours = {CRON_LABEL: name, MANAGED_BY_LABEL: MANAGED_BY}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": child_name(name, scheduled_at),
            "namespace": namespace,
            "labels": {**mapping(metadata, "labels"), **ours},
            "annotations": {**mapping(metadata, "annotations"), SCHEDULED_ANNOTATION: timestamp(scheduled_at)},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": CRON_KIND,
                    "name": name,
                    "uid": uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": asked.template["spec"],
    }
