"""`.status` from the state: a projection, so that the same log always shows the same.

Promises: every time in it is one that the log recorded; every text and list is bounded; nested objects always
have all their keys, since a merge patch would keep the old ones. Must never be read back to decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice
from typing import Any

from kipu.core.errors import Problem
from kipu.core.lifecycle import TERMINAL_STEP_PHASES, StepPhase, WorkflowPhase
from kipu.core.state import Fanout, State, StepState
from kipu.core.texts import NOBODY_KNOWS, json_bytes, last_lines, shorten

from .conditions import conditions, refused_conditions, stalled_conditions
from .durations import for_people, timestamp
from .v1alpha1_status import (
    LISTED_MAX,
    MESSAGE_LENGTH_MAX,
    STEPS_SHOWN_MAX,
    Counts,
    Log,
    StepReport,
    WorkflowStatus,
    clip,
)

# In JSON; with conditions (8 KiB after a failure) and the rest (1 KiB) a status without `steps` has at most 16 KiB.
RUNNING_BYTES_MAX, FAILED_BYTES_MAX = 5 * 1_024, 6 * 1_024
TEXT_KEYS_BYTES = len(',"message":,"logTail":')
EMPTY_BYTES = len('""')
NO_WARNINGS: Mapping[str, str] = {}


def project(
    state: State,
    *,
    generation: int,
    log_position: int,
    log_hash: str,
    waiting: Mapping[str, str],
    spec_changed: bool,
    warnings: Mapping[str, str] = NO_WARNINGS,
    crowded: str = "",
) -> dict[str, object]:
    """The status of a committed state.

    What the shell sees: `waiting`, by step, is what it waits for; `crowded` is the kind of place that steps which are
    ready wait for; `warnings` are conditions that hold, by type.
    """
    total = steps_total(state)
    over = sum(state.counts[phase] for phase in TERMINAL_STEP_PHASES)
    reason, message = _why(state, waiting, crowded)
    status = WorkflowStatus(
        phase=state.phase,
        outcome=state.phase.value if state.is_terminal else None,
        reason=reason or None,
        message=message or None,
        progress=f"{over}/{total}",
        run=state.run,
        counts=_counts(state),
        start_time=timestamp(state.started_at),
        completion_time=timestamp(state.finished_at),
        duration=_duration(state),
        observed_generation=generation,
        log=Log(position=log_position, hash=log_hash),
        running=_running(state, waiting),
        failed=_failed(state),
        conditions=conditions(
            state, generation=generation, message=message, spec_changed=spec_changed, warnings=warnings
        ),
    )
    shown = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return shown | {"steps": _steps(state)} if total <= STEPS_SHOWN_MAX else shown


def _duration(state: State) -> str | None:
    if state.started_at is None or state.finished_at is None:
        return None
    return for_people(state.finished_at - state.started_at)


def steps_total(state: State) -> int:
    """How many steps the definition has; items are part of theirs."""
    return len(state.steps) - len(state.owners)


def stalled(shown: Mapping[str, Any], *, reason: str, message: str, generation: int, now: int) -> dict[str, object]:
    """What to write over the status that is shown when the workflow must not be touched any more.

    `now` is epoch milliseconds; it is used for what was not so before. Nothing else of the status changes.
    """
    message = clip(message)
    known = shown.get("conditions")
    return {
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "conditions": stalled_conditions(
            known if isinstance(known, list) else [], reason=reason, message=message, generation=generation, now=now
        ),
    }


def refused(shown: Mapping[str, Any], *, message: str, generation: int, now: int) -> dict[str, object]:
    """What to write over the status that is shown while the API server refuses every commit. `now` as above.

    Unlike `stalled` it does not say that the spec was taken up: the run goes on once a commit is taken.
    """
    message = clip(message)
    known = shown.get("conditions")
    return {
        "reason": "LogWriteRefused",
        "message": message,
        "conditions": refused_conditions(
            known if isinstance(known, list) else [], message=message, generation=generation, now=now
        ),
    }


def queued(shown: Mapping[str, Any], *, others: int) -> dict[str, object]:
    """The status that is shown, and that its turn to be taken up has not come: `others` wait for theirs."""
    message = f"waits to be taken up: the highest priority first, then the oldest; others that wait: {others}"
    return {"phase": WorkflowPhase.PENDING.value, **shown, "reason": "Waiting", "message": message}


def _why(state: State, waiting: Mapping[str, str], crowded: str) -> tuple[str, str]:
    """Why it ended so, or what it waits for; empty if there is nothing to say."""
    if state.phase is WorkflowPhase.REJECTED:
        return "Rejected", _summary(state.problems)
    if state.is_terminal:
        return state.end_reason, clip(state.end_message)
    if waiting:
        step, why = next(iter(waiting.items()))
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        return "Waiting", clip(f"step '{step}'{more}: {why}")
    if state.unknown:
        return "Unknown", clip(_ask(state))
    if state.suspended:
        return "Suspended", f"spec.suspend is true: nothing new starts; Jobs that run: {state.jobs_active}"
    if crowded and (state.ready or state.startable):
        count = len(state.ready) + len(state.startable)
        who = f"step '{state.name(next(chain(state.ready, state.startable)))}'" + (
            f" (and {count - 1} more)" if count > 1 else ""
        )
        return "Waiting", clip(f"{who}: waits for {crowded}")
    if state.resting:
        place = next(iter(state.resting))
        more = f" (and {len(state.resting) - 1} more)" if len(state.resting) > 1 else ""
        return "Waiting", clip(f"step '{state.step(place).name}'{more}: {_resting(state, place)}")
    if state.outcome is not None:
        return "Finalizing", clip(f"the steps have ended as {state.outcome}; finally runs")
    return "", ""


def _ask(state: State) -> str:
    """What is to be said, of the first step that is waited for."""
    place = next(iter(state.unknown))
    name, step = state.name(place), state.steps[place]
    more = f" (and {len(state.unknown) - 1} more)" if len(state.unknown) > 1 else ""
    said = f"{{step: {name}, run: {state.run}, attempt: {step.attempts}, decision: Succeed, Fail or Retry}}"
    return f"step '{name}'{more}: {NOBODY_KNOWS} ({step.reason}: {step.message}); add {said} to spec.resolutions"


def _resting(state: State, place: int) -> str:
    """What a step without a Job waits for."""
    step, until = state.step(place), timestamp(state.steps[place].deadline)
    if step.approval is None:
        return f"waits until {until}"
    asked = f": {step.approval.message}" if step.approval.message else ""
    return f"waits for an answer in spec.approvals{f' until {until}' if until else ''}{asked}"


def _summary(problems: tuple[Problem, ...]) -> str:
    """As many problems as there is room for, and how many are left out."""
    room, texts = MESSAGE_LENGTH_MAX - len("; and 5000 more"), [str(problem) for problem in problems]
    for shown in range(len(texts), 0, -1):
        text = "; ".join(texts[:shown])
        if len(text) <= room or shown == 1:
            left_out = f"; and {len(texts) - shown} more" if shown < len(texts) else ""
            return clip(text[:room] + left_out)
    return ""


def _counts(state: State) -> Counts:
    count = state.counts
    return Counts(
        total=steps_total(state),
        pending=count[StepPhase.PENDING],
        scheduled=count[StepPhase.SCHEDULED],
        running=count[StepPhase.RUNNING],
        retrying=count[StepPhase.RETRYING],
        unknown=count[StepPhase.UNKNOWN],
        suspended=count[StepPhase.SUSPENDED],
        succeeded=count[StepPhase.SUCCEEDED],
        failed=count[StepPhase.FAILED],
        skipped=count[StepPhase.SKIPPED],
        cancelled=count[StepPhase.CANCELLED],
    )


def _running(state: State, waiting: Mapping[str, str]) -> list[StepReport]:
    places = chain(state.live, state.leaving, state.retrying, state.unknown, state.resting)
    under_way = islice(places, LISTED_MAX)
    return _fitted([_report(state, place, waiting) for place in under_way], RUNNING_BYTES_MAX)


def _failed(state: State) -> list[StepReport]:
    """Steps, then items: a fan-out that has failed says first what came of it as a whole."""
    failed = range(steps_total(state)) if state.counts[StepPhase.FAILED] else ()
    places = (place for place in failed if state.steps[place].phase is StepPhase.FAILED)
    items = chain.from_iterable(fanout.failures for fanout in state.fanouts.values())
    reports = [_report(state, place, {}) for place in islice(chain(places, items), LISTED_MAX)]
    return _fitted(reports, FAILED_BYTES_MAX)


def _fitted(reports: list[StepReport], bytes_max: int) -> list[StepReport]:
    """The same in so many bytes: if need be their texts share alike what the rest leaves, a message before its tail."""
    if sum(map(_bytes_of, reports)) <= bytes_max:
        return reports
    bare = [report.model_copy(update={"message": None, "log_tail": None}) for report in reports]
    share = (bytes_max - sum(map(_bytes_of, bare))) // len(reports) - TEXT_KEYS_BYTES
    return [_cut(report, share) for report in reports]


def _cut(report: StepReport, bytes_max: int) -> StepReport:
    message = shorten(report.message or "", max(EMPTY_BYTES, bytes_max))
    tail = last_lines(report.log_tail or "", max(EMPTY_BYTES, bytes_max - json_bytes(message)))
    return report.model_copy(update={"message": message or None, "log_tail": tail or None})


def _bytes_of(report: StepReport) -> int:
    return len(report.model_dump_json(by_alias=True, exclude_none=True).encode()) + len(",")


def _report(state: State, place: int, waiting: Mapping[str, str]) -> StepReport:
    step, name = state.steps[place], state.name(place)
    attempt = step.attempt
    reason: str = step.phase.value
    message, exit_code, tail = waiting.get(name, ""), None, ""
    if step.phase is StepPhase.FAILED:
        reason = step.reason or reason
    if step.phase in (StepPhase.FAILED, StepPhase.RETRYING, StepPhase.UNKNOWN):
        message, exit_code, tail = message or step.message, step.exit_code, step.log_tail
    elif place in state.resting:
        message = _resting(state, place)
    elif place in state.leaving and attempt is not None:
        reason, message = "Ending", message or attempt.abandoned_message
    return StepReport(
        step=name,
        attempt=step.attempts,
        reason=reason,
        job=attempt.job if attempt else None,
        exit_code=exit_code,
        message=clip(message) or None,
        log_tail=tail or None,
    )


def _steps(state: State) -> list[dict[str, object]]:
    """Plain objects of the shape of StepStatus, which the tests hold them to: models cost six times as much."""
    return [_step(state, place) for place in range(steps_total(state))]


def _items(fanout: Fanout) -> dict[str, int]:
    return {
        "total": fanout.total,
        "running": len(fanout.under_way),
        "succeeded": fanout.over[StepPhase.SUCCEEDED],
        "failed": fanout.over[StepPhase.FAILED],
    }


def _is_adopted(step: StepState) -> bool:
    return step.phase is StepPhase.SUCCEEDED and step.attempt is None and step.started_at is None


def _step(state: State, place: int) -> dict[str, object]:
    step, fanout = state.steps[place], state.fanouts.get(place)
    shown = {
        "name": state.name(place),
        "phase": step.phase.value,
        "attempts": step.attempts,
        "startTime": timestamp(step.started_at),
        "finishTime": timestamp(step.finished_at),
        "reason": "Adopted" if _is_adopted(step) else step.reason.value if step.reason else None,
        "culprit": step.culprit,
        "items": None if fanout is None else _items(fanout),
    }
    return {key: value for key, value in shown.items() if value is not None}
