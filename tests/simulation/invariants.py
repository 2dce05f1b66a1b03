"""The invariants of design 03, each a small function by its number.

The rules of the log are asked of every record before it is believed: (story so far, record) -> what is wrong, or
None. The rules of the cluster are asked at every change of a Job or a pod. I1 to I3 are in `ledger`, what can only
be said at the end is in `ending`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kipu.core.definition import DISRUPTIONS_MAX
from kipu.core.events import (
    ApprovalGiven,
    ApprovalRequested,
    AttemptFailed,
    Reason,
    Resolution,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    WaitStarted,
    WorkflowFinished,
    WorkflowRerun,
)
from kipu.core.state import State
from kipu.eventlog.ports import Recorded
from tests.fakes.nodes import Execution

from .case import Case
from .ledger import Ledger
from .story import Story, parent_of

INTENT, PLACEHOLDER = "kipu.dev/intent", "kipu.dev/placeholder"
Rule = Callable[[Story, Recorded], str | None]
Job = Mapping[str, Any]


# -- of the log ------------------------------------------------------------------------------------------


def i4_a_step_succeeds_once(story: Story, record: Recorded) -> str | None:
    """I4: at most one StepSucceeded per step and run."""
    event = record.event
    if isinstance(event, StepSucceeded | StepAdopted | StepCompleted) and story.steps[event.step].successes:
        return f"step {event.step} succeeds a second time"
    return None


def i5_no_attempt_after_success(story: Story, record: Recorded) -> str | None:
    """I5: what has succeeded is not tried again, and neither is an item of it."""
    event = record.event
    parent = parent_of(event.step) if isinstance(event, StepScheduled) else ""
    if isinstance(event, StepScheduled) and parent != event.step and story.steps[parent].end:
        return f"attempt {event.attempt} of {event.step}, whose step has ended"
    begins = StepScheduled | StepStarted | ApprovalRequested | WaitStarted
    if isinstance(event, begins) and story.steps[event.step].successes:
        return f"{type(event).__name__} of step {event.step}, which has succeeded"
    return None


def i6_terminal_is_final(story: Story, record: Recorded) -> str | None:
    """I6: nothing follows the end of a run but the next run, and nothing the end of a step in its run."""
    event = record.event
    if isinstance(event, WorkflowRerun):
        is_next = story.end not in ("", "Rejected") and event.run == story.run + 1
        return None if is_next else f"run {event.run} is opened after run {story.run}, whose end is {story.end!r}"
    if isinstance(event, StreamClaimed) and story.end != "Rejected":
        return None  # by whoever is to open the next run
    if story.end:
        return f"{type(event).__name__} after the run has ended"
    match event:
        case StepScheduled() | StepStarted() | StepSucceeded() | StepAdopted() | AttemptFailed() | StepFailed():
            steps: Iterable[str] = (event.step,)
        case ApprovalRequested() | ApprovalGiven() | WaitStarted() | StepExpanded() | StepCompleted():
            steps = (event.step,)
        case StepsSkipped() | StepsCancelled():
            steps = event.steps
        case _:
            return None
    ended = [step for step in steps if story.steps[step].end]
    return f"{type(event).__name__} of {ended}, which have ended" if ended else None


def i8_attempts_follow_each_other(story: Story, record: Recorded) -> str | None:
    """I8, in the log: an attempt is decided only once the one before it has ended or is gone, and none is left out."""
    event = record.event
    if not isinstance(event, StepScheduled):
        return None
    account = story.steps[event.step]
    if account.is_open:
        return f"attempt {event.attempt} of step {event.step}, while attempt {account.attempts} is open"
    if event.attempt != account.attempts + 1:
        return f"attempt {event.attempt} of step {event.step} follows attempt {account.attempts}"
    return None


def i9_a_step_starts_by_its_rule(story: Story, record: Recorded) -> str | None:
    """I9: a step starts only when its rule holds, and not while the run stops or fails."""
    event = record.event
    if isinstance(event, StepCompleted):
        return story.why_not_complete(event.step, record.ts)
    if not isinstance(event, StepScheduled | StepExpanded | ApprovalRequested | WaitStarted):
        return None
    if story.is_stopping:
        return f"step {event.step} starts while the run is stopped"
    if story.is_suspended:
        return f"step {event.step} starts while the run is suspended"
    if story.rule_of(event.step).in_finally is not story.is_finalizing:
        return f"step {event.step} starts {'after' if story.is_finalizing else 'before'} the others were over"
    if not story.may_start(event.step):
        return f"step {event.step} starts, but its rule does not hold"
    begins = not isinstance(event, StepScheduled) or (event.attempt == 1 and event.step in story.by_name)
    if begins and story.is_held_back(event.step):
        return f"step {event.step} starts after step {story.failing} has failed"
    return None


def i9_an_item_starts_by_its_fan_out(story: Story, record: Recorded) -> str | None:
    """I9: an item starts only once its step is expanded, as long as not too many have failed, and beside few others."""
    event = record.event
    if not isinstance(event, StepScheduled) or (for_each := story.rule_of(event.step).for_each) is None:
        return None
    parent, index = parent_of(event.step), event.step.partition("[")[2][:-1]
    count, items = story.steps[parent].items, story.items_of(parent)
    if count is None or not index or int(index) >= count:
        return f"{event.step} starts, but its step has {count} items"
    if event.attempt == 1 and sum(item.end == "Failed" for item in items) > for_each.max_failures:
        return f"{event.step} starts although too many items have failed"
    if sum(item.is_open for item in items) >= for_each.parallelism:
        return f"{event.step} starts beside {for_each.parallelism} others"
    return None


def i9_a_fan_out_ends_by_its_items(story: Story, record: Recorded) -> str | None:
    """I9: a fan-out is over when all that has begun is, and well only if every item has run and few have failed."""
    event = record.event
    if not isinstance(event, StepCompleted | StepFailed) or story.steps[event.step].items is None:
        return None
    for_each, account = story.rule_of(event.step).for_each, story.steps[event.step]
    assert for_each is not None
    ends = [item.end for item in story.items_of(event.step)]
    too_many = ends.count("Failed") > for_each.max_failures
    if not all(ends):
        return f"step {event.step} ends before its items"
    if isinstance(event, StepCompleted) and (too_many or len(ends) != account.items or "Cancelled" in ends):
        return f"step {event.step} ends well, its items {ends} of {account.items}"
    if isinstance(event, StepFailed) and event.reason is Reason.ITEMS_FAILED and not too_many:
        return f"step {event.step} fails, its items {ends}, of which {for_each.max_failures} may fail"
    return None


def i10_retries_keep_to_the_policy(story: Story, record: Recorded) -> str | None:
    """I10: no more attempts than the policy allows, none before its recorded backoff has passed."""
    event = record.event
    if isinstance(event, AttemptFailed) and event.retry_at is not None:
        account, step = story.steps[event.step], story.rule_of(event.step)
        disrupted = event.reason is Reason.DISRUPTED
        if account.is_unknown:
            return f"step {event.step} is to be tried again, and nobody has said so"
        if account.word is Resolution.RETRY:
            return None  # that is not bound by the policy
        if account.failures + (not disrupted) >= step.retry.max_attempts and not disrupted:
            return f"step {event.step} is to be tried beyond its {step.retry.max_attempts} attempts"
        if account.disruptions + disrupted > DISRUPTIONS_MAX:
            return f"step {event.step} is to be tried beyond {DISRUPTIONS_MAX} disruptions"
    if isinstance(event, StepScheduled) and event.attempt > 1:
        due = story.steps[event.step].retry_at
        if due is None or record.ts < due:
            return f"attempt {event.attempt} of step {event.step} at {record.ts}, allowed from {due}"
    if isinstance(event, TimerFired) and event.kind is TimerKind.BACKOFF and event.due > record.ts:
        return f"a backoff due at {event.due} is over at {record.ts}"
    return None


def i13_what_a_step_reads_is_evaluated_once(story: Story, record: Recorded) -> str | None:
    """I13, in the log: what a step's expressions come to is recorded once, before its first attempt."""
    event = record.event
    if isinstance(event, StepEvaluated):
        account = story.steps.get(event.step)
        if event.step in story.values or (account is not None and account.attempts):
            return f"the expressions of step {event.step} are evaluated again"
    return None


def i13_an_output_is_what_its_pod_has_written(story: Story, record: Recorded) -> str | None:
    """I13, in the log: the outputs of a success are whole, and those of the pod that it names."""
    event = record.event
    if not isinstance(event, StepSucceeded):
        return None
    declared = {output.name for output in story.rule_of(event.step).outputs}
    written = event.outputs or {}
    if set(written) != declared:
        return f"step {event.step} succeeds with {sorted(written)}, declared are {sorted(declared)}"
    if written.get("text", event.pod_uid) != event.pod_uid:
        return f"step {event.step} has the output {written['text']!r}, its pod {event.pod_uid} has not written that"
    return None


def i11_an_end_leaves_no_attempt_open(story: Story, record: Recorded) -> str | None:
    """I11, in the log: when a run ends, every step has ended and no attempt is open."""
    if not isinstance(record.event, WorkflowFinished):
        return None
    left = [name for name, account in story.steps.items() if account.is_open or not account.end]
    return f"the run ends while {left} have not" if left else None


RULES: dict[str, tuple[Rule, ...]] = {
    "I4": (i4_a_step_succeeds_once,),
    "I5": (i5_no_attempt_after_success,),
    "I6": (i6_terminal_is_final,),
    "I8": (i8_attempts_follow_each_other,),
    "I9": (i9_a_step_starts_by_its_rule, i9_an_item_starts_by_its_fan_out, i9_a_fan_out_ends_by_its_items),
    "I10": (i10_retries_keep_to_the_policy,),
    "I11": (i11_an_end_leaves_no_attempt_open,),
    "I13": (i13_what_a_step_reads_is_evaluated_once, i13_an_output_is_what_its_pod_has_written),
}


# -- of the cluster --------------------------------------------------------------------------------------


def i7_a_job_has_a_committed_intent(story: Story, job: Job) -> str | None:
    """I7: every Job, or child, names a record that decided it; a placeholder names one that was given up."""
    metadata = job["metadata"]
    intent = metadata.get("annotations", {}).get(INTENT, "")
    if story.jobs.get(intent) != metadata["name"]:
        return f"{metadata['name']} has no committed intent, but {intent!r}"
    if is_placeholder(job) and intent not in story.abandoned:
        return f"a placeholder stands for {metadata['name']}, which was not given up"
    return None


def i13_a_job_reads_what_was_committed(story: Story, job: Job) -> str | None:
    """I13: what a Job is given of another step is what is committed of it, and what was recorded for this step."""
    if is_placeholder(job):
        return None
    labels = job["metadata"]["labels"]
    step = labels["kipu.dev/step"]
    name_of_it = f"{step}[{labels['kipu.dev/index']}]" if "kipu.dev/index" in labels else step
    given = {
        each["name"]: each.get("value", "") for each in job["spec"]["template"]["spec"]["containers"][0].get("env", ())
    }
    for name, value in given.items():
        if name.startswith("IN_"):
            committed = story.read(name.removeprefix("IN_"))
            if value != committed:
                return f"Job {job['metadata']['name']} reads {name}={value!r}, committed is {committed!r}"
            if value not in story.values.get(name_of_it, {}).values():
                return f"Job {job['metadata']['name']} reads {name}={value!r}, which is not recorded for it"
    return None


def i13_a_job_mounts_what_was_committed(story: Story, job: Job) -> str | None:
    """I13: in a workspace a Job reads the folders of the pods that were committed, all of them and no other."""
    if is_placeholder(job) or story.definition is None or story.definition.workspace is None:
        return None
    metadata, (main, *_) = job["metadata"], job["spec"]["template"]["spec"]["containers"]
    uid, step = metadata["labels"]["kipu.dev/workflow-uid"], metadata["labels"]["kipu.dev/step"]
    given = {each["mountPath"]: each["subPath"] for each in main.get("volumeMounts", ()) if each.get("readOnly")}
    files = {where: pod for name in story.by_name[step].inputs for where, pod in story.files(name).items()}
    committed = {f"/kipu/inputs/{where}": f"kipu/{uid}/{where}/{pod}" for where, pod in files.items()}
    return None if given == committed else f"Job {metadata['name']} mounts {given}, committed is {committed}"


def i13_the_winner_has_ended_well(event: StepSucceeded, executions: Sequence[Execution]) -> str | None:
    """I13: the pod whose files stand is one of just this attempt, and its program has ended well.

    One that a restore of etcd has brought back runs again under its uid: the last time counts.
    """
    won = [each for each in executions if each.pod_uid == event.pod_uid]
    if won and (won[-1].step, won[-1].attempt, won[-1].exit_code) == (event.step, str(event.attempt), 0):
        return None
    return f"the files of pod {event.pod_uid} stand for step {event.step} attempt {event.attempt}, it was {won}"


def i11_no_job_after_the_end(story: Story, job: Job) -> str | None:
    """I11: once a run has ended, no Job, or child, that runs anything is made."""
    if story.end and not is_placeholder(job):
        return f"{job['metadata']['name']} is made after the run has ended"
    return None


def i8_one_attempt_runs_at_once(started: Execution, others: Iterable[Execution]) -> str | None:
    """I8, in the cluster: while an attempt's program runs, no other attempt's does."""
    for other in others:
        if other.ended is None and other.attempt != started.attempt:
            return f"step {started.step}: attempt {started.attempt} runs beside attempt {other.attempt}"
    return None


def i8_one_child_runs_at_once(case: Case) -> str | None:
    """I8, of children: while anything runs below one attempt of a step, nothing does below another one."""
    for other in case.beside():
        if (running := next(other.running(), None)) is not None:
            return f"{case.name} runs beside {other.name}, of which {running.step} still runs"
    return None


def i5_nothing_runs_after_success(story: Story, started: Execution) -> str | None:
    """I5, in the cluster: the program of a step that has succeeded is not started again."""
    account = story.steps.get(started.step)
    if account is not None and account.successes:
        return f"step {started.step} runs again (attempt {started.attempt}) after its success"
    return None


def i11_nothing_starts_after_the_end(story: Story, started: Execution) -> str | None:
    """I11: once a run has ended, no program of it is started."""
    if story.end:
        return f"step {started.step} (attempt {started.attempt}) is started after the run has ended"
    return None


def i11_nothing_runs_at_the_end(running: Iterable[Execution]) -> str | None:
    """I11: at the moment at which the end of a run is committed, nothing of it runs."""
    left = sorted(f"{each.step}/{each.attempt}" for each in running if each.ended is None)
    return f"the run has ended while {left} run" if left else None


def i14_the_status_shows_no_more_than_the_log(ledger: Ledger, state: State, status: Mapping[str, Any]) -> str | None:
    """I14, at every moment: the status shows a record that was committed; if it is the newest, phases and counts too.

    `state` is what the whole ledger yields.
    """
    shown = status.get("log")
    if not shown:
        return None
    position, digest = shown["position"], shown["hash"]
    if position > len(ledger.records) or ledger.records[position - 1].hash != digest:
        return f"the status shows position {position}, which is not in the log"
    if position < len(ledger.records):
        return None
    steps = state.definition.steps if state.definition else ()
    phases = {step.name: state.steps[place].phase.value for place, step in enumerate(steps)}
    told = {step["name"]: step["phase"] for step in status.get("steps", ())}
    if status["phase"] != state.phase.value or ("steps" in status and told != phases):
        return f"the status at position {position} says {status['phase']} {told}, the log {state.phase.value} {phases}"
    return None


# -- of recoveries and of logs that somebody has changed -------------------------------------------------


def i20_a_claim_comes_first(lane: str, case: Case, job: Job) -> str | None:
    """I20: whoever takes a workflow over claims it before it acts on it: this life, not an earlier one."""
    if lane in case.ledger.writers:
        return None
    return f"{lane} makes Job {job['metadata']['name']} and has not claimed {case.name}"


def i19_a_stop_is_a_stop(lane: str, case: Case, deed: str) -> str | None:
    """I19: a replica that has said that a workflow must not be touched does not touch it."""
    return f"{lane} has stopped {case.name}, and {deed}" if lane in case.stalled_by else None


def i19_no_witness_is_ignored(case: Case, status: Mapping[str, Any], intents: Mapping[str, str]) -> str | None:
    """I19: nothing is decided on a log whose end is missing, if anything that was shown has seen that end.

    Asked at the first decision of a session that has read it so; `intents` are those of the Jobs that it knows.
    """
    shown, records = status.get("log"), case.ledger.records
    if shown:
        position = shown["position"]
        if position > len(records) or records[position - 1].hash != shown["hash"]:
            return f"it goes on at {len(records)}, though the status has seen position {position}"
    for job, intent in intents.items():
        if intent not in case.story.jobs:
            return f"it goes on at {len(records)}, though Job {job} was made at {intent}"
    return None


def is_placeholder(job: Job) -> bool:
    """Whether the Job only holds a name."""
    return bool(job["metadata"].get("annotations", {}).get(PLACEHOLDER) == "true")
