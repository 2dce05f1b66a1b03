"""What people ask of a run through its spec, as commands.

Promises: total on every JSON value; the same spec gives the same commands, so that reading it twice is harmless.
Must never act: what a request means is `decide`'s, what is no request is shown by the status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

from kipu.api.v1alpha1 import RESOLUTIONS_MAX, StepResolution
from kipu.api.v1alpha1_base import Model
from kipu.api.v1alpha1_control import ANSWERS_MAX, Answer, Rerun
from kipu.core import requests
from kipu.core.commands import (
    AttemptRef,
    Command,
    GiveApproval,
    RequestRerun,
    RequestShutdown,
    ResolveUnknown,
    SetSuspended,
)
from kipu.core.definition import Effects, Kind, OnUnknown
from kipu.core.events import ApprovalRequested, AttemptUnknown, ShutdownMode, WorkflowFinished
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.state import State

# The spec may have answered, or asked to run again, before: what a run comes to must not depend on who came first.
WAITED_FOR = (ApprovalRequested, AttemptUnknown, WorkflowFinished)

Spec = Mapping[str, object]
M = TypeVar("M", bound=Model)


def read(spec: Spec) -> list[Command]:
    """Everything that this spec asks for."""
    shutdown, again = _shutdown(spec), rerun(spec)
    rare: list[Command] = [each for each in (shutdown, again) if each is not None]
    return [suspension(spec), *rare, *_answers(spec), *_resolutions(spec)]


def suspension(spec: Spec) -> SetSuspended:
    """Whether anything new may start. It has to be known before anything is decided."""
    return SetSuspended(suspended=spec.get("suspend") is True)


def rerun(spec: Spec) -> RequestRerun | None:
    """The run that is asked for."""
    if (raw := spec.get("rerun")) is None:
        return None
    try:
        asked = Rerun.model_validate(raw)
    except ValueError:
        return None
    suspended = suspension(spec).suspended
    return RequestRerun(number=asked.number, from_=tuple(asked.from_ or ()), suspended=suspended)


def opens_run(spec: Spec, phase: object, run: object) -> bool:
    """Whether a Workflow that has ended so, in this run, is still to be run again: as far as a status can tell."""
    asked = rerun(spec)
    return asked is not None and phase != WorkflowPhase.REJECTED and asked.number == run_after(run)


def run_after(run: object) -> int | None:
    """The number of the run that can follow this one."""
    return run + 1 if isinstance(run, int) else None


def ignored(spec: Spec, state: State) -> str:
    """What is asked for and cannot be, in words; empty if all is well."""
    asked = rerun(spec)
    faults = [requests.rerun_fault(state, asked)] if asked is not None else []
    if state.graph is not None:
        faults += [_answer_fault(answer, state) for answer in _answers(spec)]
        faults += [_resolution_fault(said.ref.step, state) for said in _resolutions(spec)]
    return "; ".join(fault for fault in faults if fault)


def _shutdown(spec: Spec) -> RequestShutdown | None:
    shutdown = spec.get("shutdown")
    if not isinstance(shutdown, Mapping) or shutdown.get("mode") not in list(ShutdownMode):
        return None
    run = shutdown.get("run", 1)
    return RequestShutdown(run=run if isinstance(run, int) else 1, mode=ShutdownMode(str(shutdown["mode"])))


def _answers(spec: Spec) -> Iterator[GiveApproval]:
    for answer in _sound(spec.get("approvals"), Answer, ANSWERS_MAX):
        yield GiveApproval(
            run=answer.run or 1,
            step=answer.step,
            decision=answer.decision,
            by=answer.by,
            message=answer.message or "",
        )


def _resolutions(spec: Spec) -> Iterator[ResolveUnknown]:
    """Of several words about one attempt the last one counts."""
    for said in _sound(spec.get("resolutions"), StepResolution, RESOLUTIONS_MAX):
        ref = AttemptRef(run=said.run or 1, step=said.step, attempt=said.attempt)
        yield ResolveUnknown(ref=ref, decision=said.decision, by=said.by)


def _sound(raw: object, model: type[M], count_max: int) -> Iterator[M]:
    """The entries of a list that have the right shape; the API server would have refused the others."""
    for each in raw[:count_max] if isinstance(raw, list) else ():
        with suppress(ValueError):
            yield model.model_validate(each)


def _answer_fault(answer: GiveApproval, state: State) -> str:
    place = state.place_of(answer.step)
    if place is None:
        return requests.unknown_step(state, answer.step, "spec.approvals")
    if state.step(place).kind is not Kind.APPROVAL:
        return f"spec.approvals: step '{answer.step}' asks for no approval"
    return ""


def _resolution_fault(name: str, state: State) -> str:
    place = state.place_of(name)
    if place is None:
        return requests.unknown_step(state, name, "spec.resolutions")
    step = state.step(place)
    if step.effects is not Effects.EXTERNAL or step.on_unknown is not OnUnknown.ASK:
        return f"spec.resolutions: step '{name}' asks nobody: only one with effects External and onUnknown Ask does"
    return ""
