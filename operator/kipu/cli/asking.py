"""What a person asks of a Workflow that exists, as a patch of its spec; or why it makes no sense now.

Promises: pure. Every rule takes the Workflow as it is seen and gives a Change, which is empty where all is so already;
what the operator would ignore is refused with the reason, as far as the object shows it. Must never take another
person's word out of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kipu.api.v1alpha1 import RESOLUTIONS_MAX
from kipu.api.v1alpha1_control import ANSWERS_MAX
from kipu.core.lifecycle import StepPhase, WorkflowPhase
from kipu.core.reasons import Decision, Resolution, ShutdownMode
from kipu.core.texts import nearest

from .details import printable, some
from .errors import Refused
from .seen import STEP_OVER, Seen

Operation = Mapping[str, object]
ESCALATION = list(ShutdownMode)
SHOWN_LENGTH_MAX = 60  # of a name that was not found
ENDS = {
    ShutdownMode.DRAIN: "what runs ends by itself, nothing new starts, then the steps of finally run",
    ShutdownMode.CANCEL: "what runs is deleted; once no pod is left the steps of finally run",
    ShutdownMode.TERMINATE: "what runs is deleted, and finally does not run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to write, and what to say of it. No operations: it is so already. `run`: the one that it is about."""

    operations: tuple[Operation, ...] = ()
    said: str
    follows: str = ""
    run: int


def suspend(seen: Seen) -> Change:
    """Nothing new starts until it is resumed."""
    _check_open(seen, "suspend")
    if seen.spec.get("suspend"):
        return Change(said="is suspended already", run=seen.run)
    follows = f"nothing new starts; what runs goes on, and so does time, until 'kipu resume {seen.name}'"
    return Change(operations=(_put("suspend", True),), said="asked to suspend", follows=follows, run=seen.run)


def resume(seen: Seen) -> Change:
    """The end of a suspension."""
    _check_stuck(seen)
    if seen.spec.get("suspend"):
        follows = "another run of it will start at once" if seen.is_over else "what can start does"
        return Change(operations=(_put("suspend", False),), said="asked to resume", follows=follows, run=seen.run)
    _check_open(seen, "resume")
    asking = seen.waiting_for_approval
    follows = f"step '{asking[0]}' waits for an answer: 'kipu approve {seen.name} {asking[0]}'" if asking else ""
    return Change(said="is not suspended", follows=follows, run=seen.run)


def shut_down(seen: Seen, mode: ShutdownMode) -> Change:
    """The end of the run before its time."""
    verb = mode.value.lower()
    _check_open(seen, verb)
    known = _shutdown_of(seen)
    if known is mode:
        return Change(said=f"was asked to {verb} run {seen.run} already", run=seen.run)
    if known is not None and ESCALATION.index(mode) < ESCALATION.index(known):
        raise Refused(
            f"Workflow '{seen.name}' was asked to {known.value.lower()}: that may only escalate, from drain to cancel "
            "to terminate"
        )
    if seen.phase == WorkflowPhase.FINALIZING and mode is not ShutdownMode.TERMINATE:
        raise Refused(
            f"the steps of Workflow '{seen.name}' are over, and finally runs: only 'kipu terminate' means something now"
        )
    waits = seen.next_run is not None and not seen.is_between_runs
    later = f"; run {seen.next_run}, which is asked for, opens then" if waits else ""
    shutdown = {"mode": mode.value, "run": seen.run}
    return Change(
        operations=(_put("shutdown", shutdown),),
        said=f"asked to {verb} run {seen.run}",
        follows=ENDS[mode] + later,
        run=seen.run,
    )


def approve(seen: Seen, step: str, decision: Decision, *, by: str, message: str) -> Change:
    """An answer to a step that asks."""
    _check_open(seen, "answer")
    _check_step(seen, step, those=_asking(seen))
    if not seen.asks_for_approval(step):
        raise Refused(f"step '{step}' asks for no approval{_those(_asking(seen))}")
    given = seen.entries("approvals", step)
    if given:
        first = given[0]
        if first["decision"] == decision.value:
            said = f"step '{step}' was answered already: {decision.value} by {first['by']}"
            return Change(said=said, run=seen.run)
        raise Refused(f"step '{step}' was answered: {first['decision']} by {first['by']}; the first answer stands")
    phase = "" if seen.is_between_runs else seen.phase_of(step)
    if phase in STEP_OVER:
        raise Refused(f"step '{step}' is over, {phase}: nobody is asked any more")
    answer: dict[str, object] = {"step": step, "run": seen.run, "decision": decision.value, "by": by}
    if message:
        answer["message"] = message
    comes = "succeeds" if decision is Decision.APPROVE else "fails, and is not tried again"
    asks = phase == StepPhase.SUSPENDED
    return Change(
        operations=(_append(seen, "approvals", answer, ANSWERS_MAX),),
        said=f"{decision.value} of step '{step}' in run {seen.run} by {by}",
        follows=f"the step {comes}" + ("" if asks else ", once it asks: it does not yet"),
        run=seen.run,
    )


def rerun(seen: Seen, again: Sequence[str]) -> Change:
    """Another run in the same log."""
    _check_stuck(seen)
    if seen.phase == WorkflowPhase.REJECTED:
        raise Refused(f"Workflow '{seen.name}' was rejected: there is nothing to run again ({seen.message})")
    if not seen.phase:
        raise Refused(f"no operator has taken Workflow '{seen.name}' up yet: there is nothing to run again")
    for step in again:
        _check_rerun(seen, step)
    number = seen.shown_run + 1
    asked = {"number": number} | ({"from": list(again)} if again else {})
    if seen.next_run is not None:
        if seen.spec["rerun"] == asked:
            return Change(said=f"was asked for run {number} already", run=number)
        raise Refused(f"run {number} of Workflow '{seen.name}' is asked for already, and has not opened yet")
    if not again and _all_stays_done(seen):
        raise Refused(
            f"all steps of Workflow '{seen.name}' have succeeded, and stay done: name by --from what is to run again"
        )
    when = "it opens now" if seen.is_over else f"it opens once run {seen.shown_run} is over"
    held = f", and is suspended: 'kipu resume {seen.name}'" if seen.spec.get("suspend") else ""
    what = f"{some(again)}, what has not succeeded," if again else "what has not succeeded"
    return Change(
        operations=(_put("rerun", asked),),
        said=f"asked for run {number}",
        follows=f"{when}{held}; {what} and all that rests on it runs again",
        run=number,
    )


def resolve(seen: Seen, step: str, word: Resolution, *, by: str) -> Change:
    """A person's word on an attempt of which nobody knows."""
    _check_open(seen, "resolve")
    unknown = seen.unknown
    if step not in unknown:
        _check_step(seen, step.partition("[")[0], those=list(unknown))
        raise Refused(f"step '{step}' waits for no word: its outcome is not unknown{_those(list(unknown))}")
    attempt = unknown[step]
    said = {"step": step, "run": seen.run, "attempt": attempt, "decision": word.value, "by": by}
    follows = {
        Resolution.SUCCEED: "the step has succeeded, without outputs",
        Resolution.FAIL: "the step has failed, and is not tried again",
        Resolution.RETRY: "the step is tried again, if its own time is not over",
    }
    return Change(
        operations=(_append(seen, "resolutions", said, RESOLUTIONS_MAX),),
        said=f"{word.value} of attempt {attempt} of step '{step}' by {by}",
        follows=follows[word],
        run=seen.run,
    )


# -- what makes no sense -----------------------------------------------------------------------------------


def _check_open(seen: Seen, verb: str) -> None:
    _check_stuck(seen)
    if seen.is_over:
        raise Refused(
            f"Workflow '{seen.name}' has ended, {seen.phase}: there is nothing to {verb} "
            f"('kipu rerun {seen.name}' runs it again)"
        )


def _check_stuck(seen: Seen) -> None:
    if seen.stuck is not None:
        raise Refused(f"Workflow '{seen.name}' is stalled, and nothing is read from its spec: {printable(seen.stuck)}")


def _check_step(seen: Seen, step: str, *, those: Sequence[str] | None = None) -> None:
    """Known steps alone. Where the object does not name them all, the operator judges."""
    names = seen.step_names
    if step in names or not names:
        return
    hint = nearest(step[:SHOWN_LENGTH_MAX], names)
    shown = printable(step[:SHOWN_LENGTH_MAX])
    rest = f": {hint}" if hint else "" if those is None else _those(those)
    raise Refused(f"Workflow '{seen.name}' has no step '{shown}'{rest}")


def _check_rerun(seen: Seen, step: str) -> None:
    name, bracket, _ = step.partition("[")
    _check_step(seen, name)
    if bracket:
        raise Refused(f"'{printable(step[:SHOWN_LENGTH_MAX])}' is an item: name its step, '{name}'")
    if step in seen.last:
        raise Refused(f"step '{step}' is one of finally, which runs again in any case")


def _all_stays_done(seen: Seen) -> bool:
    counts = seen.status.get("counts") or {}
    is_whole = bool(seen.spec.get("steps")) and not seen.spec.get("finally")
    return seen.is_over and is_whole and counts.get("succeeded", 0) == counts.get("total", -1)


def _shutdown_of(seen: Seen) -> ShutdownMode | None:
    """What was asked for of this run."""
    shutdown = seen.spec.get("shutdown")
    if not shutdown or (shutdown.get("run") or 1) != seen.run:
        return None
    return ShutdownMode(shutdown["mode"])


def _asking(seen: Seen) -> list[str]:
    return seen.waiting_for_approval or seen.asking


def _those(names: Sequence[str]) -> str:
    return f"; those that do: {some(names)}" if names else "; none does"


# -- what is written ---------------------------------------------------------------------------------------


def _put(key: str, value: object) -> Operation:
    return {"op": "add", "path": f"/spec/{key}", "value": value}


def _append(seen: Seen, key: str, entry: Mapping[str, object], count_max: int) -> Operation:
    """Behind what others have said."""
    listed = seen.spec.get(key)
    if listed is None:
        return _put(key, [entry])
    if len(listed) >= count_max:
        raise Refused(
            f"spec.{key} of Workflow '{seen.name}' holds {len(listed)} entries, as many as it may: take out those of "
            f"earlier runs ('kubectl edit kw {seen.name}'), which the log keeps"
        )
    return _put(f"{key}/-", entry)
