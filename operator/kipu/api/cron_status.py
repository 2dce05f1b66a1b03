"""The `.status` of a CronWorkflow: what `core.cron` has concluded, for people, kubectl and Helm.

Promises: short, whatever there is (every list and text is bounded); the same conclusions over the same earlier status
give the same status, so that an unchanged one need not be written. Only three things are read back from it: the two
last times, which outlive the Workflows they are about, and since when the schedule counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from kipu.core.cron import MISSED_MAX, Concurrency, Plan, Standing
from kipu.core.errors import Problem

from .cron import Asked
from .durations import timestamp
from .pods import mapping
from .v1alpha1_cron import ActiveWorkflow, CronWorkflowStatus, ObservedSchedule
from .v1alpha1_status import LISTED_MAX, Condition, clip

EXPRESSION_SHOWN_MAX = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Truth = Literal["True", "False", "Unknown"]
Row = tuple[str, Truth, str, str]  # type, status, reason, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a Workflow that is due could not be created, in one word and in a sentence."""

    reason: str
    message: str


def last_times(status: Mapping[str, object]) -> tuple[int | None, int | None]:
    """The last time for which a Workflow was created, and when one last succeeded."""
    return _ms(status.get("lastScheduleTime")), _ms(status.get("lastSuccessfulTime"))


def since(status: Mapping[str, object], asked: Asked, *, created_at: int, now: int) -> int:
    """From when on the schedule counts. One that is seen to have changed counts from now."""
    observed = mapping(status, "observedSchedule")
    if not observed:
        return created_at
    known = _ms(observed.get("since"))
    is_same = (observed.get("schedule"), observed.get("timeZone")) == (_shown(asked.expression), asked.time_zone)
    return known if is_same and known is not None else now


def render(
    shown: Mapping[str, object],
    plan: Plan,
    *,
    asked: Asked | Sequence[Problem],
    since: int | None,
    trouble: Trouble | None,
    generation: int,
    now: int,
) -> dict[str, Any]:
    """The status after this plan was carried out, over the one that is shown. `asked`: what the spec asks for, or
    what is wrong with it."""
    observed = mapping(shown, "observedSchedule")
    if isinstance(asked, Asked) and since is not None:
        observed = {"schedule": _shown(asked.expression), "timeZone": asked.time_zone, "since": timestamp(since)}
    status = CronWorkflowStatus(
        active=[ActiveWorkflow(name=child.name, uid=child.uid) for child in plan.active[:LISTED_MAX]],
        active_count=len(plan.active),
        last_schedule_time=timestamp(plan.last_scheduled),
        last_successful_time=timestamp(plan.last_successful),
        next_schedule_time=timestamp(plan.next),
        observed_schedule=ObservedSchedule.model_validate(observed) if observed else None,
        observed_generation=generation,
        conditions=[_condition(row, shown, generation, now) for row in _rows(plan, asked, trouble)],
    )
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")


def missed_message(plan: Plan) -> str:
    """What to tell of times that nothing makes up for; "" if there are none."""
    if plan.missed == 0:
        return ""
    many = f"more than {MISSED_MAX} times" if plan.missed > MISSED_MAX else f"{plan.missed} times"
    return f"{many} before {timestamp(plan.start)} were missed; only the last one is made up for"


def _rows(plan: Plan, asked: Asked | Sequence[Problem], trouble: Trouble | None) -> list[Row]:
    if not isinstance(asked, Asked):
        message = clip("; ".join(str(problem) for problem in asked))
        return [
            ("Accepted", "False", "Invalid", message),
            ("OnSchedule", "Unknown", "Invalid", message),
            ("Ready", "False", "Invalid", message),
            ("Reconciling", "False", "Invalid", ""),
            ("Stalled", "True", "Invalid", message),
        ]
    return [
        ("Accepted", "True", "Accepted", ""),
        _on_schedule(plan, asked, trouble),
        ("Ready", "True", "Accepted", ""),
        ("Reconciling", "False", "Accepted", ""),
        ("Stalled", "False", "Accepted", ""),
    ]


def _on_schedule(plan: Plan, asked: Asked, trouble: Trouble | None) -> Row:
    if trouble is not None:
        return "OnSchedule", "False", trouble.reason, clip(trouble.message)
    reason = plan.standing.value
    match plan.standing:
        case Standing.ON_SCHEDULE:
            return "OnSchedule", "True", reason, ""
        case Standing.SUSPENDED:
            return "OnSchedule", "Unknown", reason, "spec.suspend is set"
        case Standing.WORKFLOW_ACTIVE:
            holds = f"'{plan.active[0].name}' has not ended, and concurrencyPolicy is {Concurrency.FORBID}"
            return "OnSchedule", "False", reason, f"the time {timestamp(plan.held)} waits: {holds}"
        case Standing.DEADLINE_MISSED:
            seconds = (asked.cron.starting_deadline_ms or 0) // 1_000
            late = f"by more than the {seconds} s of startingDeadlineSeconds"
            return "OnSchedule", "False", reason, f"the time {timestamp(plan.held)} was missed {late}"


def _condition(row: Row, shown: Mapping[str, object], generation: int, now: int) -> Condition:
    """What was so before keeps its time."""
    kind, truth, reason, message = row
    known = shown.get("conditions")
    listed = known if isinstance(known, list) else []
    old = next((each for each in listed if isinstance(each, dict) and each.get("type") == kind), {})
    kept = old.get("lastTransitionTime") if old.get("status") == truth else None
    return Condition(
        type=kind,
        status=truth,
        reason=reason,
        message=message,
        last_transition_time=kept if isinstance(kept, str) else timestamp(now),
        observed_generation=generation,
    )


def _shown(expression: str) -> str:
    return expression[:EXPRESSION_SHOWN_MAX]


def _ms(text: object) -> int | None:
    """RFC 3339 to milliseconds; None for what is no time."""
    if not isinstance(text, str):
        return None
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError):  # no time, or one without a zone
        return None
