"""The conditions of a Workflow: Accepted, Finished, Succeeded for people and `kubectl wait`; SpecChanged; Ready,
Reconciling and Stalled for kstatus, by which Helm's `--wait` and Argo CD judge.

Promises: lastTransitionTime is a time of the log, so that a replay shows the same. Ready is True only after
success; Stalled is True once nothing will make it so. Must never say more than the state does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from kipu.core.lifecycle import WorkflowPhase
from kipu.core.policies import EVENTS_MAX, EVENTS_WARN
from kipu.core.state import State

from .durations import timestamp
from .v1alpha1_status import Condition, clip

Truth = Literal["True", "False", "Unknown"]
Row = tuple[str, Truth, str, str, int]  # type, status, reason, message, since
SPEC_CHANGED = "the spec was edited after it was taken up; that has no effect: delete the workflow and create it anew"


def conditions(
    state: State, *, generation: int, message: str, spec_changed: bool, warnings: Mapping[str, str]
) -> list[Condition]:
    """All conditions of a committed state. `message` says why the run ended as it did.

    `warnings`: conditions that are there only while they hold, by their type, each with its message.
    """
    rows = [_accepted(state, message), *_ending(state, message)]
    if spec_changed:
        # The log knows no time of an edit that it ignores.
        rows.append(("SpecChanged", "True", "SpecEdited", SPEC_CHANGED, _begun(state)))
    if state.suspension_at is not None:
        truth: Truth = "True" if state.suspended else "False"
        why = "spec.suspend is true: nothing new starts" if state.suspended else ""
        rows.append(("Suspended", truth, "Suspended" if state.suspended else "Resumed", why, state.suspension_at))
    if state.position >= EVENTS_WARN:
        rows.append(("LogLarge", "True", "ManyEvents", _large(), _begun(state)))
    rows += [(kind, "True", kind, clip(text), _begun(state)) for kind, text in warnings.items()]
    return [_condition(row, generation) for row in rows]


def _large() -> str:
    return (
        f"the log holds more than {EVENTS_WARN} events; at {EVENTS_MAX} the run ends as Failed: "
        "split such a workflow in several"
    )


def stalled_conditions(
    shown: Sequence[object], *, reason: str, message: str, generation: int, now: int
) -> list[dict[str, object]]:
    """The conditions that are shown, but Stalled. `now` dates what was not so before."""
    rows: list[Row] = [
        ("Ready", "False", reason, message, now),
        ("Reconciling", "False", reason, "", now),
        ("Stalled", "True", reason, message, now),
    ]
    return _over(shown, rows, generation)


def refused_conditions(shown: Sequence[object], *, message: str, generation: int, now: int) -> list[dict[str, object]]:
    """The conditions that are shown, and that no commit is taken for now. The next status that is, is without it."""
    return _over(shown, [("LogWriteRefused", "True", "LogWriteRefused", message, now)], generation)


def _over(shown: Sequence[object], rows: Sequence[Row], generation: int) -> list[dict[str, object]]:
    """The conditions that are shown, with these in place of their namesakes; what was so before keeps its time."""
    known = {item["type"]: item for item in shown if isinstance(item, dict) and isinstance(item.get("type"), str)}
    for row in rows:
        condition = _condition(row, generation).model_dump(by_alias=True)
        old = known.get(row[0], {})
        if old.get("status") == row[1] and isinstance(old.get("lastTransitionTime"), str):
            condition["lastTransitionTime"] = old["lastTransitionTime"]
        known[row[0]] = condition
    return list(known.values())


def _accepted(state: State, message: str) -> Row:
    if state.phase is WorkflowPhase.REJECTED:
        return "Accepted", "False", "Rejected", message, _begun(state)
    if state.definition is None:
        return "Accepted", "Unknown", "Pending", "", _begun(state)
    return "Accepted", "True", "Accepted", "", _begun(state)


def _ending(state: State, message: str) -> list[Row]:
    phase = state.phase.value
    if not state.is_terminal:
        since = _begun(state)
        return [
            ("Finished", "False", phase, "", since),
            ("Succeeded", "Unknown", phase, "", since),
            ("Ready", "False", phase, "", since),
            ("Reconciling", "True", phase, "", since),
            ("Stalled", "False", phase, "", since),
        ]
    since = state.ts if state.finished_at is None else state.finished_at
    why = state.end_reason or phase
    well: Truth = "True" if state.phase is WorkflowPhase.SUCCEEDED else "False"
    # A cancelled run is Stalled too: without it, whoever waits for Ready would wait for ever.
    ill: Truth = "False" if well == "True" else "True"
    return [
        ("Finished", "True", phase, message, since),
        ("Succeeded", well, why, message, since),
        ("Ready", well, why, message, since),
        ("Reconciling", "False", phase, "", since),
        ("Stalled", ill, why, message, since),
    ]


def _begun(state: State) -> int:
    known = (time for time in (state.accepted_at, state.finished_at) if time is not None)
    return next(known, state.ts)


def _condition(row: Row, generation: int) -> Condition:
    kind, truth, reason, message, since = row
    return Condition(
        type=kind,
        status=truth,
        reason=reason,
        message=message,
        last_transition_time=timestamp(since),
        observed_generation=generation,
    )
