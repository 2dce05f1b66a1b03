"""The judgement of one Workflow: what was seen from outside, what the log says, what the status shows. Pure.

Promises: every kind of fault has its own name; no fault means that it ended as if nothing had been. What Kipu does not
promise is counted, and no fault: a Job that started its pod twice (the Job controller does so when an answer to it is
lost), and an attempt that was given up and came back before it was proven gone (a create that was sent long ago landed
between the deletion of its Job and the placeholder: ADR 0008).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.apiserver import JsonObject
from e2e.history import Log
from e2e.namespace import attempts, is_placeholder, phases
from e2e.verdict import faults_found
from e2e.watching import Change, Execution, executions_in, step_of

from .load import FINISHED
from .shapes import Shape

OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one Workflow once nothing goes wrong any more."""

    status: JsonObject
    log: Log
    projected: JsonObject  # the status that its log amounts to, by the operator's own projection
    pods: Sequence[Change] = field(default_factory=list)  # of its pods
    jobs: Sequence[Change] = field(default_factory=list)  # of its Jobs, placeholders included
    shown: Sequence[Change] = field(default_factory=list)  # of itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The faults, each kind with its details; and what is only counted."""

    faults: Mapping[str, str]
    doubled: int = 0  # pods that the Job controller started twice
    came_back: int = 0  # Jobs of an attempt that had been given up
    evidence: Evidence | None = None  # on which it rests; None where there is no sound log


def judge(shape: Shape, evidence: Evidence) -> Judgement:
    """What went wrong."""
    runs = executions_in(evidence.pods)
    single = without_doubles(runs)
    found: dict[str, object] = {}
    found |= wrong_end(shape, evidence.status)
    found |= wrong_runs(shape, single, evidence.log)
    found |= wrong_jobs(evidence.jobs, evidence.log)
    found |= wrong_order(evidence)
    found["attempts of a step that ran at once"] = ran_at_once(evidence.pods)
    found |= wrong_status(evidence)
    faults = {kind: str(detail) for kind, detail in found.items() if detail}
    given_up = Counter(attempt for attempt in jobs_of(evidence.jobs).values() if attempt in evidence.log.given_up())
    came_back = (given_up - Counter(set(given_up))).total()
    return Judgement(faults=faults, doubled=len(runs) - len(single), came_back=came_back, evidence=evidence)


def without_doubles(runs: Sequence[Execution]) -> list[Execution]:
    """One execution for each Job: the one that succeeded, or else the first."""
    by_job: dict[str, Execution] = {}
    for run in runs:
        known = by_job.setdefault(run.job, run)
        if known.phase != "Succeeded" and run.phase == "Succeeded":
            by_job[run.job] = run
    return list(by_job.values())


def wrong_end(shape: Shape, status: JsonObject) -> dict[str, object]:
    """The phase of the Workflow, those of its steps, their attempts."""
    if status.get("phase") not in FINISHED:
        return {"never ended": f"{status.get('phase')!r} at {status.get('progress')}: {status.get('message', '')}"}
    ended, tried = phases(status), attempts(status)
    wrong = {name: phase for name, phase in ended.items() if phase not in shape.phases.get(name, "").split("|")}
    return {
        "wrong end": status["phase"] != shape.end
        and f"{status['phase']}, not {shape.end}: {status.get('message', '')}",
        "wrong phases of steps": wrong or set(shape.phases) - set(ended),
        "wrong number of attempts": {
            n: tried.get(n, 0) for n, many in shape.attempts.items() if tried.get(n, 0) != many
        },
    }


def wrong_runs(shape: Shape, runs: Sequence[Execution], log: Log) -> dict[str, object]:
    """Executions counted from outside, against the log."""
    settled = [run for run in runs if (run.step, run.attempt) not in log.given_up()]
    faults: dict[str, object] = dict(faults_found(shape.succeed, settled, log))
    ran = Counter((run.step, run.attempt) for run in settled)
    faults["attempts run twice"] = [each for each, times in ran.items() if times > 1]
    faults["executions not in the log"] = sorted({(run.step, run.attempt) for run in runs} - log.attempts())
    decided = Counter((record["step"], record["attempt"]) for record in log.of("StepScheduled"))
    faults["attempts decided twice"] = [each for each, times in decided.items() if times > 1]
    faults["ended more than once"] = max(0, len(log.of("WorkflowFinished")) - 1)
    return faults


def wrong_jobs(changes: Sequence[Change], log: Log) -> dict[str, object]:
    """An attempt has one Job; one that was given up may have had more, until a placeholder took its name."""
    attempts_of = jobs_of(changes)
    many = Counter(attempts_of.values())
    first = first_versions(changes)
    # A placeholder that a list told of after a gap has stood since some moment that nobody knows.
    held = {attempt_of(c): first[c.uid] for c in changes if is_placeholder(c.body) and first[c.uid]}
    return {
        "attempts with two Jobs": [each for each, jobs in many.items() if jobs > 1 and each not in log.given_up()],
        "attempts that came back from behind their placeholder": [
            each for uid, each in attempts_of.items() if first[uid] > held.get(each, first[uid])
        ],
    }


def jobs_of(changes: Sequence[Change]) -> dict[str, tuple[str, int]]:
    """The attempt of each Job that was to run."""
    return {change.uid: attempt_of(change) for change in changes if not is_placeholder(change.body)}


def attempt_of(change: Change) -> tuple[str, int]:
    """Of which attempt this Job or pod is."""
    return step_of(change.labels), int(change.labels["kipu.dev/attempt"])


def ran_at_once(pods: Sequence[Change]) -> list[str]:
    """Pods that were created while a pod of another attempt of their step was not over."""
    begun, over = first_versions(pods), first_versions(change for change in pods if is_over(change))
    attempts = {change.uid: attempt_of(change) for change in pods}
    return [
        f"{later} beside {earlier}"
        for later, (step, number) in attempts.items()
        for earlier, (other, before) in attempts.items()
        if step == other and before < number and 0 < begun[later] < over.get(earlier, begun[later] + 1)
    ]


def wrong_order(evidence: Evidence) -> dict[str, object]:
    """Nothing begins after the end; when the phase becomes Cancelled, everything is over; now nothing runs."""
    newest = {change.uid: change for change in evidence.pods}
    faults: dict[str, object] = {"pods left running": [c.uid for c in newest.values() if not is_over(c)]}
    end = next((change for change in evidence.shown if change.phase in FINISHED), None)
    if end is None:
        return faults
    jobs = [change for change in evidence.jobs if not is_placeholder(change.body)]
    over = first_versions(change for change in evidence.pods if is_over(change))
    moved = {change.phase for change in evidence.shown if change.version > latest(end)} - {end.phase}
    return faults | {
        "Jobs made after the end": after(end, first_versions(jobs)),
        "pods begun after the end": after(end, first_versions(evidence.pods)),
        "pods alive when it became Cancelled": after(end, over) if end.phase == "Cancelled" else [],
        "moved after its end": sorted(moved),
    }


def first_versions(changes: Iterable[Change]) -> dict[str, int]:
    """At which version each object was first among these."""
    first: dict[str, int] = {}
    for change in changes:
        first.setdefault(change.uid, change.version)
    return first


def after(end: Change, versions: Mapping[str, int]) -> list[str]:
    """Those objects that came later."""
    return [uid for uid, version in versions.items() if version > latest(end)]


def latest(change: Change) -> int:
    """When it was so at the latest. What a list told after a gap came after its `version`, and before this one."""
    return int(change.body["metadata"]["resourceVersion"])


def wrong_status(evidence: Evidence) -> dict[str, object]:
    """The status is what the log amounts to."""
    shown, projected = evidence.status, evidence.projected
    keys = sorted(key for key in {*shown, *projected} if shown.get(key) != projected.get(key))
    difference = {key: (shown.get(key), projected.get(key)) for key in keys}
    return {"status and log disagree": difference}


def is_over(change: Change) -> bool:
    """Whether this pod has ended, or is gone."""
    return change.kind == "DELETED" or change.phase in OVER
