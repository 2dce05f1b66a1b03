"""Why an attempt's Job has no running pod, in a sentence: images, nodes, quotas, suspension.

Promises: pure; the cluster's own words stand behind ours; empty where nothing of that is seen. Must never conclude
that something is absent: what was not seen may only not have been there yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from kipu.core.definition import Effects
from kipu.shell.kube_views import JobView, PodView
from kipu.shell.observations import waiting_reason

IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
QUOTA = "exceeded quota"


def trouble(job: JobView | None, pods: Sequence[PodView], warnings: Sequence[str], told: str) -> str:
    """What keeps it from running. `warnings`: of Event objects, the newest last; `told`: what the operator says."""
    for pod in pods:
        if pod.status.phase in ("", "Pending") and (reason := waiting_reason(pod)):
            return _of_pod(reason)
    if job is None:
        return _named(told) if QUOTA in told else ""
    if job.spec.suspend:
        return _suspended(job)
    if not pods and warnings:
        refusal = next((each for each in reversed(warnings) if QUOTA in each), warnings[-1])
        return _named(refusal) if QUOTA in refusal else f"its pod cannot be created: {refusal}"
    return ""


def _of_pod(reason: str) -> str:
    if reason.startswith(IMAGE):
        return f"its image cannot be pulled: {reason}"
    if reason.startswith(CONTAINER):
        return f"its container cannot be made: {reason}"
    if reason.startswith(("Unschedulable", "SchedulingGated")):
        return f"no node takes its pod: {reason}"
    return reason


def _named(refusal: str) -> str:
    return f"a quota of the namespace stands against it: {refusal}"


def _suspended(job: JobView) -> str:
    if job.metadata.annotations.effects == Effects.EXTERNAL and job.status.start_time is None:
        return "its Job is suspended until the log knows its uid, since its effects are External"
    return "its Job is suspended, by somebody else than Kipu (a queue such as Kueue?)"
