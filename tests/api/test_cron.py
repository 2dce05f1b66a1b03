"""A CronWorkflow's spec: what is accepted and what is refused, each at its bound; its Workflow, and its status."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api import cron_status
from kipu.api.cron import Asked, parse, workflow
from kipu.api.cron_status import Trouble
from kipu.api.v1alpha1_cron import CRON_NAME_LENGTH_MAX, STARTING_DEADLINE_SECONDS_MAX
from kipu.core.cron import HISTORY_MAX, MISSED_MAX, Child, Concurrency, Cron, Plan, Standing
from kipu.core.errors import UserError
from tests.api.specs import adopt, spec, step

UID = "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11"
NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def cron(template: Any = None, **fields: Any) -> dict[str, Any]:
    """A sound spec."""
    return {"schedule": "0 3 * * *", "workflowTemplate": {"spec": spec()} if template is None else template, **fields}


def problems(raw: object, name: str = "nightly") -> list[str]:
    try:
        parse(name, raw)
    except UserError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_what_is_absent_is_as_in_a_cronjob() -> None:
    asked = parse("nightly", cron())
    assert asked.cron == Cron(
        suspend=False,
        concurrency=Concurrency.ALLOW,
        starting_deadline_ms=None,
        successful_kept=3,
        failed_kept=1,
    )
    assert asked.time_zone is None


def test_what_is_given_is_taken() -> None:
    given = cron(
        suspend=True,
        concurrencyPolicy="Forbid",
        startingDeadlineSeconds=90,
        successfulWorkflowsHistoryLimit=0,
        failedWorkflowsHistoryLimit=7,
        timeZone="Europe/Berlin",
    )
    asked = parse("nightly", given)
    assert asked.cron == Cron(
        suspend=True,
        concurrency=Concurrency.FORBID,
        starting_deadline_ms=90_000,
        successful_kept=0,
        failed_kept=7,
    )
    assert asked.schedule.next(NOON) == NOON + 14 * 3_600_000  # 03:00 in Berlin is 02:00 UTC


BOUNDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("startingDeadlineSeconds, least", {"startingDeadlineSeconds": 1}, {"startingDeadlineSeconds": 0}, "at least 1"),
    (
        "startingDeadlineSeconds, most",
        {"startingDeadlineSeconds": STARTING_DEADLINE_SECONDS_MAX},
        {"startingDeadlineSeconds": STARTING_DEADLINE_SECONDS_MAX + 1},
        "at most 31536000",
    ),
    (
        "successful kept, least",
        {"successfulWorkflowsHistoryLimit": 0},
        {"successfulWorkflowsHistoryLimit": -1},
        "at least 0",
    ),
    (
        "successful kept, most",
        {"successfulWorkflowsHistoryLimit": HISTORY_MAX},
        {"successfulWorkflowsHistoryLimit": HISTORY_MAX + 1},
        "at most 100",
    ),
    ("failed kept", {"failedWorkflowsHistoryLimit": 100}, {"failedWorkflowsHistoryLimit": 101}, "at most 100"),
    ("policy", {"concurrencyPolicy": "Replace"}, {"concurrencyPolicy": "replace"}, "did you mean Replace?"),
    ("suspend", {"suspend": False}, {"suspend": "no"}, "must be true or false"),
    ("schedule", {"schedule": "59 23 31 12 7"}, {"schedule": "60 23 31 12 7"}, "the minute is wrong"),
    ("schedule's shape", {"schedule": "@daily"}, {"schedule": "0 0 * * * *"}, "without seconds"),
    ("schedule that never comes", {"schedule": "0 0 29 2 *"}, {"schedule": "0 0 30 2 *"}, "never comes"),
    ("zone", {"timeZone": "Europe/Berlin"}, {"timeZone": "Europe/berlin"}, "did you mean Europe/Berlin?"),
    ("zone's length", {"timeZone": "UTC"}, {"timeZone": ""}, "must not be empty"),
    ("a field of CronJob", {}, {"successfulJobsHistoryLimit": 3}, "did you mean 'successfulWorkflowsHistoryLimit'?"),
    (
        "labels",
        {"workflowTemplate": {"metadata": {"labels": {"team": "etl"}}, "spec": spec()}},
        {"workflowTemplate": {"metadata": {"labels": {"kipu.dev/x": "etl"}}, "spec": spec()}},
        "spec.workflowTemplate.metadata.labels[kipu.dev/x]: is one of the labels that Kipu sets",
    ),
    (
        "a name in the template",
        {"workflowTemplate": {"metadata": {"annotations": {"a": "b"}}, "spec": spec()}},
        {"workflowTemplate": {"metadata": {"name": "x"}, "spec": spec()}},
        "spec.workflowTemplate.metadata.name: is not a field",
    ),
    (
        "a request of one run",
        {"workflowTemplate": {"spec": spec(ttlAfterFinished="1h")}},
        {"workflowTemplate": {"spec": spec(shutdown={"mode": "Cancel"})}},
        "spec.workflowTemplate.spec.shutdown: is for one Workflow, not for a template",
    ),
    (
        "adoption",
        {"workflowTemplate": {"spec": spec()}},
        {"workflowTemplate": {"spec": spec(adopt=adopt("only"))}},
        "spec.workflowTemplate.spec.adopt: is for one Workflow",
    ),
    (
        "the rules of a Workflow",
        {"workflowTemplate": {"spec": spec(step("a"), step("b", dependsOn=["a"]))}},
        {"workflowTemplate": {"spec": spec(step("a"), step("b", dependsOn=["c"]))}},
        "spec.workflowTemplate.spec.steps[1].dependsOn[0]",
    ),
]


@pytest.mark.parametrize(("rule", "accepted", "refused", "told"), BOUNDS, ids=[bound[0] for bound in BOUNDS])
def test_every_rule_accepts_at_its_bound_and_refuses_beyond(
    rule: str, accepted: dict[str, Any], refused: dict[str, Any], told: str
) -> None:
    assert problems(cron() | accepted) == []
    found = problems(cron() | refused)
    assert len(found) == 1, found
    assert told in found[0]


def test_a_name_leaves_room_for_the_minutes() -> None:
    assert problems(cron(), "n" * CRON_NAME_LENGTH_MAX) == []
    (told,) = problems(cron(), "n" * (CRON_NAME_LENGTH_MAX + 1))
    assert told == "metadata.name: must have at most 52 characters (its Workflows are called NAME-29712960)"


def test_all_that_is_wrong_is_told_at_once() -> None:
    raw = {"schedule": "61 * * * *", "timeZone": "Mars", "suspend": 1, "workflowTemplate": {"spec": {"steps": []}}}
    paths = [told.partition(":")[0] for told in problems(raw)]
    assert sorted(paths) == ["spec.schedule", "spec.suspend", "spec.timeZone", "spec.workflowTemplate.spec.steps"]


@pytest.mark.parametrize(
    "raw",
    [
        *(None, 7, "x", [], {}, {"workflowTemplate": None}, {"workflowTemplate": {}}, {"schedule": None}),
        *({"workflowTemplate": {"spec": None}}, {"workflowTemplate": {"metadata": 3, "spec": [1]}}),
        *(
            cron({"metadata": {"labels": {"a": 1}}, "spec": spec()}),
            cron([]),
            cron(timeZone=3),
            cron(timeZone="x" * 65),
        ),
    ],
)
def test_no_json_value_raises_anything_but_its_problems(raw: object) -> None:
    assert problems(raw) != []


# -- the Workflow of one time ---------------------------------------------------------------------------


def test_the_workflow_of_a_time_has_its_name_its_owner_and_the_template_as_it_stands() -> None:
    template = {"metadata": {"labels": {"team": "etl"}, "annotations": {"note": "x"}}, "spec": spec(parallelism=3)}
    made = workflow("data", "nightly", UID, parse("nightly", cron(template)), NOON)
    assert made["spec"] == template["spec"]
    assert made["metadata"] == {
        "name": "nightly-29454480",
        "namespace": "data",
        "labels": {
            "team": "etl",
            "kipu.dev/cron-workflow": "nightly",
            "app.kubernetes.io/managed-by": "kipu",
        },
        "annotations": {"note": "x", "kipu.dev/scheduled-time": "2026-01-01T12:00:00Z"},
        "ownerReferences": [
            {
                "apiVersion": "kipu.dev/v1alpha1",
                "kind": "CronWorkflow",
                "name": "nightly",
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


# -- the status -----------------------------------------------------------------------------------------


def render(shown: dict[str, Any], plan: Plan, trouble: Trouble | None = None, **fields: Any) -> dict[str, Any]:
    asked: Asked = parse("nightly", cron(startingDeadlineSeconds=90, **fields))
    return cron_status.render(shown, plan, asked=asked, since=0, trouble=trouble, generation=4, now=NOON)


def condition(status: dict[str, Any], kind: str = "OnSchedule") -> tuple[str, str, str]:
    (found,) = [each for each in status["conditions"] if each["type"] == kind]
    return found["status"], found["reason"], found["message"]


def child(name: str) -> Child:
    return Child(name=name, uid=UID, scheduled_at=None, created_at=0)


ACTIVE = tuple(child(f"c-{number}") for number in range(25))


@pytest.mark.parametrize(
    ("plan", "trouble", "told"),
    [
        (Plan(), None, ("True", "OnSchedule", "")),
        (Plan(standing=Standing.SUSPENDED), None, ("Unknown", "Suspended", "spec.suspend is set")),
        (
            Plan(standing=Standing.WORKFLOW_ACTIVE, held=NOON, active=ACTIVE),
            None,
            (
                "False",
                "WorkflowActive",
                "the time 2026-01-01T12:00:00Z waits: 'c-0' has not ended, and concurrencyPolicy is Forbid",
            ),
        ),
        (
            Plan(standing=Standing.DEADLINE_MISSED, held=NOON),
            None,
            (
                "False",
                "DeadlineMissed",
                "the time 2026-01-01T12:00:00Z was missed by more than the 90 s of startingDeadlineSeconds",
            ),
        ),
        (Plan(start=NOON), Trouble(reason="NameTaken", message="x"), ("False", "NameTaken", "x")),
    ],
)
def test_the_status_says_how_it_stands_with_the_schedule(
    plan: Plan, trouble: Trouble | None, told: tuple[str, str, str]
) -> None:
    assert condition(render({}, plan, trouble)) == told


def test_the_status_is_bounded_and_says_how_many_there_are() -> None:
    status = render({}, Plan(active=ACTIVE))
    assert (len(status["active"]), status["activeCount"]) == (20, 25)
    wrong = cron_status.render(
        {},
        Plan(),
        asked=_problems(500),
        since=None,
        trouble=None,
        generation=1,
        now=NOON,
    )
    assert max(len(each["message"]) for each in wrong["conditions"]) == 1_024
    assert condition(wrong, "Stalled")[0] == condition(wrong, "Accepted")[0].replace("False", "True")


def _problems(number: int) -> tuple[Any, ...]:
    try:
        parse("nightly", cron({"spec": spec(*(step("a") for _ in range(number)))}))
    except UserError as error:
        return error.problems
    raise AssertionError("it is accepted")


def test_the_same_again_is_the_same_status_and_a_change_has_its_own_time() -> None:
    first = render({}, Plan(last_scheduled=NOON))
    asked = parse("nightly", cron(startingDeadlineSeconds=90))
    later: dict[str, Any] = {"asked": asked, "since": 0, "trouble": None, "generation": 4, "now": NOON + 60_000}
    assert cron_status.render(first, Plan(last_scheduled=NOON), **later) == first
    changed = cron_status.render(first, Plan(standing=Standing.SUSPENDED), **later)
    times = {each["type"]: each["lastTransitionTime"] for each in changed["conditions"]}
    assert (times["OnSchedule"], times["Ready"]) == ("2026-01-01T12:01:00Z", "2026-01-01T12:00:00Z")


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "9999999-01-01T00:00:00Z", "2026-01-01T00:00:00"])
def test_a_time_in_the_status_that_is_none_is_as_if_it_were_absent(text: object) -> None:
    assert cron_status.last_times({"lastScheduleTime": text}) == (None, None)
    asked = parse("nightly", cron())
    observed = {"observedSchedule": {"schedule": "0 3 * * *", "since": text}}
    assert cron_status.since(observed, asked, created_at=1, now=2) == 2


def test_what_was_missed_is_counted_up_to_a_bound() -> None:
    assert cron_status.missed_message(Plan(start=NOON)) == ""
    assert cron_status.missed_message(Plan(start=NOON, missed=2)).startswith("2 times before 2026-01-01T12:00:00Z")
    assert cron_status.missed_message(Plan(start=NOON, missed=MISSED_MAX + 1)).startswith("more than 100 times")
