"""Why a step stands where it stands, in a few words; and what the status knows of that and the log does not.

Promises: pure; total over the phases; what comes from programs and clusters is one printable line. What the status
says of a step is taken only while the step still waits as it says. Must never read a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kipu.api.durations import for_people
from kipu.core.definition import Definition, Kind
from kipu.core.events import Reason, SkipReason
from kipu.core.lifecycle import TERMINAL_STEP_PHASES, StepPhase
from kipu.core.policies import is_plain
from kipu.core.state import Fanout, State, StepState
from kipu.core.texts import NOBODY_KNOWS

from .details import printable, some

WAITING_PHASES = (StepPhase.SCHEDULED, StepPhase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a status says beside the log."""

    waiting: Mapping[str, str] = field(default_factory=dict)  # by step, as `step/attempt`
    reason: str = ""
    message: str = ""


NOTHING_SHOWN = Shown()


def shown(workflow: Mapping[str, Any]) -> Shown:
    """Of a Workflow object."""
    status = workflow.get("status") or {}
    reports = [report for report in status.get("running", ()) if report.get("message")]
    return Shown(
        waiting={f"{report['step']}/{report['attempt']}": report["message"] for report in reports},
        reason=status.get("reason", ""),
        message=status.get("message", ""),
    )


def why(state: State, place: int, said: Shown, *, now: int) -> str:
    """Empty where there is nothing to say. `now` is epoch milliseconds."""
    return printable(_why(state, place, said, now))


def _why(state: State, place: int, said: Shown, now: int) -> str:
    step, fanout = state.steps[place], state.fanouts.get(place)
    match step.phase:
        case _ if fanout is not None:
            return _words(counted(fanout), step.message if step.phase in TERMINAL_STEP_PHASES else "")
        case StepPhase.PENDING:
            return _pending(state, place)
        case StepPhase.SCHEDULED | StepPhase.RUNNING:
            return _under_way(state, place, said)
        case StepPhase.RETRYING:
            return _words(_again(state, place, now), because(step))
        case StepPhase.UNKNOWN:
            return f"{NOBODY_KNOWS} ({because(step)}): say so in spec.resolutions"
        case StepPhase.SUSPENDED:
            return _resting(state, place, now)
        case StepPhase.FAILED:
            return because(step)
        case StepPhase.SKIPPED:
            return skipped(step)
        case StepPhase.SUCCEEDED if step.attempt is None and step.started_at is None:
            return "done elsewhere: adopted"
        case _:
            return step.message if step.phase is StepPhase.SUCCEEDED else ""


def counted(fanout: Fanout) -> str:
    """How far a fan-out is, such as `3/10 items, 2 running, 1 failed`."""
    over, failed, running = fanout.over.total(), fanout.over[StepPhase.FAILED], len(fanout.under_way)
    return _words(
        f"{over}/{fanout.total} items",
        f"{running} running" if running else "",
        f"{failed} failed" if failed else "",
    )


def because(step: StepState) -> str:
    """The reason of the last failure, with its message; of an exit code that says it all."""
    if step.reason is Reason.EXIT_CODE:
        return step.message or f"exit code {step.exit_code}"
    reason = step.reason.value if step.reason else ""
    return f"{reason}: {step.message}" if reason and step.message else reason or step.message


def skipped(step: StepState) -> str:
    """Why it never ran."""
    if step.reason is SkipReason.CONDITION_FALSE:
        return "its `when` does not hold"
    if step.reason is SkipReason.WORKFLOW_FAILING:
        return f"step '{step.culprit}' had failed: nothing new starts (onFailure)"
    return f"because of '{step.culprit}'"


def unmet(state: State, place: int) -> list[int]:
    """The dependencies that are not over yet."""
    assert state.graph is not None
    fanout = state.fanout_of(place)
    needs = state.graph.needs[place if fanout is None else fanout.parent]
    return [need for need in needs if state.steps[need].phase not in TERMINAL_STEP_PHASES]


def with_phases(state: State, places: Sequence[int]) -> str:
    """The first of these steps, each with its phase."""
    return some([f"{state.name(place)} ({state.steps[place].phase})" for place in places])


def parallelism_full(state: State) -> int | None:
    """The workflow's own bound on Jobs at once, if it is what keeps the next one from starting."""
    limit = _definition(state).parallelism
    return limit if limit is not None and state.jobs_active >= limit else None


def _pending(state: State, place: int) -> str:
    if state.fanout_of(place) is not None:
        return "not begun"
    if state.stopping is not None:
        return "to be cancelled"
    if place in state.doomed:
        return f"to be skipped because of '{state.doomed[place]}'"
    if places := unmet(state, place):
        return f"after {with_phases(state, places)}"
    if place in state.held:
        return "finally: once all others are over"
    if state.suspended:
        return "the Workflow is suspended"
    if state.failing is not None and is_plain(state, place) and place not in state.ready:
        return f"step '{state.failing}' has failed"
    return _for_a_place(state)


def _for_a_place(state: State) -> str:
    limit = parallelism_full(state)
    return "waits for a place" if limit is None else f"waits for a place: parallelism is {limit}"


def _under_way(state: State, place: int, said: Shown) -> str:
    step = state.steps[place]
    attempt = step.attempt
    assert attempt is not None  # a fan-out was told of before
    told = said.waiting.get(f"{state.name(place)}/{attempt.number}", "")
    if place in state.leaving:
        abandoned = attempt.abandoned.value if attempt.abandoned else ""
        return _words("ending: " + (attempt.abandoned_message or abandoned), told)
    child = f"Workflow {attempt.job}" if state.step(place).kind is Kind.WORKFLOW else ""
    return _words(child, told)


def _again(state: State, place: int, now: int) -> str:
    due = state.steps[place].retry_at
    if due is None:
        return "suspended" if state.suspended else _for_a_place(state)
    return f"again in {for_people(due - now)}" if due > now else "again now"


def _resting(state: State, place: int, now: int) -> str:
    step, due = state.step(place), state.steps[place].deadline
    left = "" if due is None else for_people(due - now)
    if step.approval is None:
        return f"waits {left} more"
    asked = f": {step.approval.message}" if step.approval.message else ""
    return f"waits for an answer in spec.approvals{f', {left} more' if left else ''}{asked}"


def _words(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _definition(state: State) -> Definition:
    assert state.definition is not None
    return state.definition
