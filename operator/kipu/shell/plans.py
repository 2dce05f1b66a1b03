"""What an effect asks of the cluster: the attempt's Job, or child, as it is to be, or the placeholder in its stead.

Promises: pure; the same effect of the same state gives the same plan, so that performing it twice is harmless.
Must never look at the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from kipu.api import jobs, sub_workflows
from kipu.core import files
from kipu.core.commands import AttemptRef
from kipu.core.definition import Kind
from kipu.core.effects import Effect
from kipu.core.events import ShutdownMode
from kipu.core.state import State
from kipu.eventlog.ports import StreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One attempt's Job as it is to be, or to be no more; of a sub-workflow step, its child."""

    namespace: str
    workflow_uid: str
    ref: AttemptRef
    job: str
    intent: str
    manifest: Callable[[], Mapping[str, object]]
    placeholder: Callable[[], Mapping[str, object]]
    placeholder_job: Callable[[], Mapping[str, object]]  # the same but where a Workflow holds the name
    is_child: bool = False
    child_uid: str | None = None  # as recorded, once it was seen
    mode: ShutdownMode = ShutdownMode.CANCEL  # in which it is asked to end, if it is
    claim: Callable[[], Mapping[str, object] | None] = lambda: None  # what its pods mount, if it is made for them
    inputs: tuple[files.Folder, ...] = ()  # in a workspace: whose files it reads


def plan(effect: Effect, state: State, *, stream: StreamId, intent: str, depth: int = 0) -> Plan:
    """Of an effect of this state; `intent` is "position:hash" of the attempt's StepScheduled.

    `depth` is how many Workflows are above this one.
    """
    ref, definition = effect.ref, state.definition
    assert definition is not None
    place = state.place_of(ref.step)
    assert place is not None
    step, attempt = state.step(place), _attempt(effect, state, place, stream, intent)
    placeholder = partial(jobs.placeholder_manifest, attempt)
    whole = Plan(
        namespace=stream.namespace,
        workflow_uid=stream.uid,
        ref=ref,
        job=effect.job,
        intent=intent,
        manifest=lambda: jobs.job_manifest(definition, step, attempt),
        placeholder=placeholder,
        placeholder_job=placeholder,
        claim=lambda: jobs.claim_manifest(definition, attempt),
        inputs=attempt.inputs,
    )
    return _of_child(whole, state, place, attempt, depth) if step.kind is Kind.WORKFLOW else whole


def _attempt(effect: Effect, state: State, place: int, stream: StreamId, intent: str) -> jobs.AttemptRef:
    """What its manifest is made of."""
    step, fanout = state.step(place), state.fanout_of(place)
    deadlines = [due for due in (state.steps[place].deadline, state.deadline) if due is not None]
    return jobs.AttemptRef(
        namespace=stream.namespace,
        workflow_name=stream.name,
        workflow_uid=stream.uid,
        run=effect.ref.run,
        step=step.name,
        item=state.item(place),
        attempt=effect.ref.attempt,
        job_name=effect.job,
        intent=intent,
        attempt_timeout_ms=step.attempt_timeout_ms,
        deadline=min(deadlines, default=None),
        values=state.steps[place].values,
        redone=state.steps[place if fanout is None else fanout.parent].redone,
        outcome=None if state.outcome is None else state.outcome.value,
        inputs=tuple(files.inputs(state, place)),
    )


def _of_child(whole: Plan, state: State, place: int, attempt: jobs.AttemptRef, depth: int) -> Plan:
    """The same where the attempt is a Workflow."""
    assert state.definition is not None
    definition, step, known = state.definition, state.step(place), state.steps[place].attempt
    return replace(
        whole,
        manifest=lambda: sub_workflows.manifest(definition, step, attempt, depth=depth + 1),
        placeholder=lambda: sub_workflows.placeholder_manifest(definition, step, attempt, depth=depth + 1),
        is_child=True,
        child_uid=None if known is None else known.job_uid,
        mode=ShutdownMode.TERMINATE if state.shutdown is ShutdownMode.TERMINATE else ShutdownMode.CANCEL,
    )
