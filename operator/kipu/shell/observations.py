"""What a Job and its pods, as seen, say about an attempt. Pure: views in, at most one command out.

The fast path (design 03): a pod's terminal phase is decisive when its controller is our Job's uid, the Job is as we
create them, and the Job controller will count the pod; it comes about 1 s before the Job's own condition, which the
Job controller batches. What the Job says later changes nothing. Must never conclude an absence: only a consistent
GET may.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kipu.api import outputs
from kipu.api.pods import MAIN
from kipu.core.commands import AttemptRef, ObserveOutcome, ObserveStarted
from kipu.core.definition import Effects, Output
from kipu.core.events import Reason
from kipu.core.texts import log_tail

from .kube_owned import RunView
from .kube_views import POD_ENDED, Condition, JobView, PodView, Terminated, epoch_ms

TRACKING = "batch.kubernetes.io/job-tracking"  # the finalizer of a pod that its Job has still to count
NEVER_RAN = ("StartError", "ContainerCannotRun")  # of containerd, of others
DISRUPTION_TARGET = "DisruptionTarget"  # KEP-3329: eviction, preemption, node loss

Observation = ObserveStarted | ObserveOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a success of a step has to bring along, and thus which pod it is whose success counts."""

    outputs: Sequence[Output] = ()
    files: bool = False

    @property
    def is_any(self) -> bool:
        """Whether a success without a pod that is known is none."""
        return self.files or bool(self.outputs)


NOTHING = Promise()


def is_placeholder(job: JobView | RunView) -> bool:
    """Whether this Job, or child, only holds a given-up attempt's name."""
    return job.metadata.annotations.placeholder == "true"


def is_owned(job: JobView | RunView, workflow_uid: str) -> bool:
    """Whether this Workflow, and none of the same name, controls the Job or child."""
    return any(owner.uid == workflow_uid and owner.controller for owner in job.metadata.owner_references)


def intent_of(job: JobView | RunView) -> str:
    """The record that asked for the Job or child, as "position:hash"; empty where it names none."""
    return job.metadata.annotations.intent


def is_taken_up(placeholder: JobView) -> bool:
    """Whether the Job controller has seen it. Until then it may believe in the Job before, and make a pod for it."""
    return any(each.type == "Suspended" and each.status == "True" for each in placeholder.status.conditions)


def attempt_of(job: JobView | RunView) -> AttemptRef | None:
    """Which attempt the labels of the Job or child name; None where they are not ours."""
    labels = job.metadata.labels
    run, attempt = labels.run, labels.attempt
    if not (run.isascii() and run.isdigit() and attempt.isascii() and attempt.isdigit()):
        return None
    name = f"{labels.step}[{labels.index}]" if labels.index else labels.step
    return AttemptRef(run=int(run), step=name, attempt=int(attempt))


def observe(
    job: JobView, pods: Iterable[PodView], *, advance_on_pod: bool, promise: Promise = NOTHING
) -> Observation | None:
    """The most that can be said of the attempt now, or None. A success is one only with what was promised."""
    ref = attempt_of(job)
    if ref is None or is_placeholder(job):
        return None
    own = [pod for pod in pods if controller_uid(pod) == job.metadata.uid]
    ended = next((pod for pod in own if pod.status.phase in POD_ENDED), None)
    if finished_condition(job) is not None:
        return _job_outcome(ref, job, own, promise)
    if ended is not None and advance_on_pod and _pod_decides(job, ended, own):
        return _pod_outcome(ref, job, ended, promise)
    running = next((pod for pod in own if pod.status.phase == "Running"), ended)
    if running is None:
        return _born(ref, job)
    return ObserveStarted(
        ref=ref,
        job_uid=job.metadata.uid,
        started_at=_started_at(job, running),
        pod=running.metadata.name,
        node=running.spec.node_name or None,
    )


def _born(ref: AttemptRef, job: JobView) -> ObserveStarted | None:
    """An External attempt's Job waits, suspended, until its uid is recorded."""
    born_at = epoch_ms(job.metadata.creation_timestamp)
    if not job.spec.suspend or job.metadata.annotations.effects != Effects.EXTERNAL or born_at is None:
        return None
    return ObserveStarted(ref=ref, job_uid=job.metadata.uid, started_at=born_at, is_awaited=True)


def needs_pods(job: JobView, pods: Iterable[PodView], promise: Promise = NOTHING) -> bool:
    """Whether the Job has ended and no pod was seen that says how, or with what: a list must tell, or its absence."""
    condition = finished_condition(job)
    if condition == "Failed":
        telling: Sequence[str] = POD_ENDED if _has_one_pod(job) else ("Failed",)
    elif condition == "Complete" and promise.is_any:
        telling = ("Succeeded",)
    else:
        return False
    return not any(controller_uid(pod) == job.metadata.uid and pod.status.phase in telling for pod in pods)


def finished_condition(job: JobView) -> str | None:
    """`Complete` or `Failed` once the Job has that condition, else None."""
    for condition in job.status.conditions:
        if condition.type in ("Complete", "Failed") and condition.status == "True":
            return condition.type
    return None


def controller_uid(pod: PodView) -> str | None:
    """The uid of the object that controls this pod."""
    return next((owner.uid for owner in pod.metadata.owner_references if owner.controller), None)


def waiting_reason(pod: PodView) -> str:
    """Why a pod has not started, in the cluster's own words; empty when nothing says."""
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = container.state.waiting
        if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing"):
            return f"{waiting.reason}: {waiting.message}".rstrip(": ")
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"{condition.reason}: {condition.message}".rstrip(": ")
    return ""


def _pod_decides(job: JobView, pod: PodView, own: Iterable[PodView]) -> bool:
    """The exact predicate of the fast path: this Job cannot do anything but follow this pod."""
    spec = job.spec
    as_we_made_it = (
        _has_one_pod(job)
        and spec.backoff_limit == 0
        and spec.restart_policy == "Never"
        and not spec.has_pod_failure_policy
        and not spec.has_success_policy
    )
    # A pod that fails while its Job is being deleted by a third party was killed, not wrong: the Job's
    # absence will be observed instead.
    is_leaving = job.metadata.deletion_timestamp is not None
    killed = is_leaving and pod.status.phase == "Failed"
    # A pod that the Job controller has let go uncounted was taken down for a suspension: when the Job is resumed,
    # another pod runs. (One that was counted has no finalizer either: then the Job's condition comes next.)
    # While a Job leaves, all are let go; but not what it was before, while another one of its pods runs.
    runs_on = any(each.status.phase not in POD_ENDED for each in own)
    counts = TRACKING in pod.metadata.finalizers or (is_leaving and not runs_on)
    return as_we_made_it and counts and not killed


def ends_with_its_job(job: JobView) -> bool:
    """Whether no pod can tell the end of this one, which has several and has not come to it: its condition will."""
    return not _has_one_pod(job) and finished_condition(job) is None


def _has_one_pod(job: JobView) -> bool:
    return job.spec.completions == 1 and job.spec.parallelism == 1


def _pod_outcome(ref: AttemptRef, job: JobView, pod: PodView, promise: Promise) -> ObserveOutcome:
    main = next((c for c in pod.status.container_statuses if c.name == MAIN), None)
    end = main.state.terminated if main is not None else None
    reason, message = _judge(pod)
    said = end.message if end is not None and end.exit_code != 0 and _ran(end) else ""
    seen = ObserveOutcome(
        ref=ref,
        job_uid=job.metadata.uid,
        reason=reason,
        message=message,
        exit_code=end.exit_code if end is not None else None,
        started_at=epoch_ms(end.started_at if end is not None else None) or _started_at(job, pod),
        finished_at=epoch_ms(end.finished_at if end is not None else None),
        pod=pod.metadata.name,
        node=pod.spec.node_name or None,
        log_tail=said if reason is not None else "",
    )
    if reason is not None or not promise.is_any:
        return seen
    seen = replace(seen, pod_uid=pod.metadata.uid)
    message = end.message if end is not None else ""
    return _with_outputs(seen, pod, message, promise.outputs) if promise.outputs else seen


def _with_outputs(seen: ObserveOutcome, pod: PodView, message: str, declared: Sequence[Output]) -> ObserveOutcome:
    """What the program has written makes the success, or unmakes it."""
    spec = pod.spec  # as it is now: the kubelet counts the containers each time it writes the status
    containers = len(spec.containers) + len(spec.init_containers) + len(spec.ephemeral_containers)
    try:
        written = outputs.read(message, declared, containers=containers)
        return replace(seen, outputs=written)
    except outputs.OutputError as error:
        return replace(seen, reason=error.reason, message=str(error), pod_uid=None)


def _judge(pod: PodView) -> tuple[Reason | None, str]:
    if pod.status.phase == "Succeeded":
        return None, ""
    for condition in pod.status.conditions:
        if condition.type == DISRUPTION_TARGET and condition.status == "True":
            return Reason.DISRUPTED, f"{condition.reason}: {condition.message}".rstrip(": ")
    for container in sorted(pod.status.container_statuses, key=lambda status: status.name != MAIN):
        end = container.state.terminated
        if end is None or end.exit_code == 0:
            continue
        if end.reason == "OOMKilled":
            return Reason.OUT_OF_MEMORY, f"container '{container.name}' ran out of memory"
        said = f": {end.message.strip()}" if end.message.strip() else ""
        if container.name == MAIN and _ran(end):
            said = f": {line}" if (line := log_tail(end.message).rpartition("\n")[2].strip()) else ""
        if container.name == MAIN:
            return Reason.EXIT_CODE, f"exit code {end.exit_code}{said}"
        return Reason.POD_FAILED, f"container '{container.name}' ended with exit code {end.exit_code}{said}"
    return Reason.POD_FAILED, f"{pod.status.reason}: {pod.status.message}".strip(": ") or "the pod failed"


def _ran(end: Terminated) -> bool:
    """Whether what it has said last is its own word, and not its runtime's on why it could not be started."""
    return end.reason not in NEVER_RAN


def _job_outcome(ref: AttemptRef, job: JobView, own: Iterable[PodView], promise: Promise) -> ObserveOutcome:
    condition = next(c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True")
    ended = _telling_pod(job, condition, own)
    if ended is not None:
        return _pod_outcome(ref, job, ended, promise)
    if condition.type == "Complete" and promise.is_any:
        reason, message = Reason.LOST, "its pod vanished, and with it what says which outputs or files stand"
    elif condition.type == "Complete":
        reason, message = None, ""
    elif condition.reason == "DeadlineExceeded":
        reason, message = Reason.TIMED_OUT, "the Job's activeDeadlineSeconds passed"
    else:
        reason, message = Reason.LOST, f"its pod vanished ({condition.reason}: {condition.message})"
    return ObserveOutcome(
        ref=ref,
        job_uid=job.metadata.uid,
        reason=reason,
        message=message,
        exit_code=0 if reason is None else None,
        started_at=epoch_ms(job.status.start_time),
        finished_at=epoch_ms(job.status.completion_time) or epoch_ms(condition.last_transition_time),
    )


def _telling_pod(job: JobView, condition: Condition, own: Iterable[PodView]) -> PodView | None:
    """The pod that says how the Job came to its end; None where no single one does."""
    phase = "Failed" if condition.type == "Failed" else "Succeeded"
    ended = [pod for pod in own if pod.status.phase == phase]
    if _has_one_pod(job):
        return ended[0] if ended else None
    # Of several, the first that failed: the others were taken down for it. By all is a success made, or by the time.
    if condition.type == "Complete" or condition.reason == "DeadlineExceeded":
        return None
    return min(ended, key=_ended_at, default=None)


def _ended_at(pod: PodView) -> tuple[int, str]:
    main = next((c for c in pod.status.container_statuses if c.name == MAIN), None)
    end = main.state.terminated if main is not None else None
    return epoch_ms(end.finished_at if end is not None else None) or sys.maxsize, pod.metadata.name


def _started_at(job: JobView, pod: PodView) -> int:
    for time in (job.status.start_time, pod.status.start_time, job.metadata.creation_timestamp):
        if (ms := epoch_ms(time)) is not None:
            return ms
    raise AssertionError("every stored object has a creationTimestamp")
