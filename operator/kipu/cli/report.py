"""A Workflow and all its steps as data, for `kipu get -o json` and `yaml`.

Promises: pure; the names of `.status`, and every time one that the log recorded; all steps of the definition, and of a
fan-out the counts with the items that have failed first or are under way. A key without a value is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from kipu.api.durations import timestamp
from kipu.api.status import steps_total
from kipu.core.lifecycle import StepPhase
from kipu.core.state import Attempt, Fanout, State
from kipu.eventlog.ports import Head, StreamId

from .tree import progress
from .waits import NOTHING_SHOWN, Shown, unmet, why

ITEMS_LISTED_MAX = 100  # of each fan-out


def report(
    stream: StreamId, head: Head | None, state: State, said: Shown = NOTHING_SHOWN, *, now: int
) -> dict[str, Any]:
    """Everything that the log says of the newest run. `now` is epoch milliseconds."""
    return _present(
        {
            "namespace": stream.namespace,
            "name": stream.name,
            "uid": stream.uid,
            "run": state.run or None,
            "phase": state.phase.value,
            "reason": state.end_reason if state.is_terminal else said.reason,
            "message": state.end_message if state.is_terminal else said.message,
            "progress": progress(state).removesuffix(" steps"),
            "startTime": timestamp(state.started_at),
            "completionTime": timestamp(state.finished_at),
            "log": None if head is None else {"position": head.position, "hash": head.hash},
            "problems": [str(problem) for problem in state.problems],
            "steps": [_step(state, place, said, now) for place in range(steps_total(state))],
        }
    )


def _step(state: State, place: int, said: Shown, now: int) -> dict[str, Any]:
    step, definition, fanout = state.steps[place], state.step(place), state.fanouts.get(place)
    is_pending = step.phase is StepPhase.PENDING and state.fanout_of(place) is None
    return _present(
        {
            "name": state.name(place),
            "phase": step.phase.value,
            "dependsOn": list(definition.depends_on),
            "waitsFor": [state.name(need) for need in unmet(state, place)] if is_pending else [],
            "attempts": step.attempts,
            "startTime": timestamp(step.started_at),
            "finishTime": timestamp(step.finished_at),
            "retryTime": timestamp(step.retry_at),
            "reason": step.reason.value if step.reason else None,
            "message": why(state, place, said, now=now),
            "exitCode": step.exit_code,
            "culprit": step.culprit,
            **_attempt(step.attempt),
            "outputs": dict(step.outputs) if step.outputs else None,
            "items": None if fanout is None else _items(state, fanout, said, now),
        }
    )


def _attempt(attempt: Attempt | None) -> Mapping[str, Any]:
    return {} if attempt is None else {"job": attempt.job, "pod": attempt.pod, "node": attempt.node}


def _items(state: State, fanout: Fanout, said: Shown, now: int) -> dict[str, Any]:
    return {
        "total": fanout.total,
        "running": len(fanout.under_way),
        "succeeded": fanout.over[StepPhase.SUCCEEDED],
        "failed": fanout.over[StepPhase.FAILED],
        "listed": [_step(state, place, said, now) for place in _listed(fanout)],
    }


def _listed(fanout: Fanout) -> Iterator[int]:
    return islice(chain(fanout.failures, fanout.under_way), ITEMS_LISTED_MAX)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value not in ("", [])}
