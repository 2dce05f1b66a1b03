"""What a Job controller makes of a Job's pods: counts, conditions, the verdict. Pure.

The order of its judgement is that of a real controller 1.37: too many failures first, then the deadline, and only
then success.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .etcd import Json, Stored
from .kinds import TRACKING

ENDED = ("Succeeded", "Failed")
INDEX = "batch.kubernetes.io/job-completion-index"
_CRITERIA = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


def controller_of(body: Json) -> Json | None:
    """The owner reference of the Job that controls this pod."""
    owners: list[Json] = body["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller") and owner["kind"] == "Job"), None)


def is_finished(body: Json) -> bool:
    """Whether the Job is Complete or Failed."""
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in _conditions(body))


def is_decided(status: Json) -> bool:
    """Whether the criterion of its end is written."""
    return any(each["type"] in _CRITERIA for each in status.get("conditions", ()))


def has_failed(status: Json) -> bool:
    """Whether that criterion is that it failed."""
    return any(each["type"] == "FailureTarget" for each in status.get("conditions", ()))


def is_tracked(pod: Stored) -> bool:
    """Whether it is still to be counted."""
    return TRACKING in pod.object["metadata"].get("finalizers", ())


def has_ended(pod: Stored) -> bool:
    """Whether its phase is terminal."""
    return pod.object["status"]["phase"] in ENDED


def is_leaving(pod: Stored) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in pod.object["metadata"]


def begin(status: Json, now: str, *, suspended: bool) -> None:
    """The start time, or the condition Suspended."""
    conditions = [each for each in status.get("conditions", ()) if each["type"] != "Suspended"]
    was_suspended = len(conditions) < len(status.get("conditions", ()))
    if suspended:
        conditions.append(condition("Suspended", "True", "JobSuspended", "Job suspended", now))
        status.pop("startTime", None)
    else:
        if was_suspended:
            conditions.insert(0, condition("Suspended", "False", "JobResumed", "Job resumed", now))
        status.setdefault("startTime", now)
    if conditions and conditions != status.get("conditions"):
        known = {each["type"]: each for each in status.get("conditions", ())}
        status["conditions"] = [
            known[each["type"]] if known.get(each["type"], {}).get("status") == each["status"] else each
            for each in conditions
        ]


def verdict(
    spec: Json, status: Json, fresh: Mapping[str, list[str]], now: str, *, deadline_passed: bool
) -> Json | None:
    """The condition that decides the Job, if it is decided now. `fresh` are the pods that have ended since."""
    if is_decided(status):
        return None
    if status.get("failed", 0) + len(fresh["failed"]) > spec["backoffLimit"]:
        message = "Job has reached the specified backoff limit"
        return condition("FailureTarget", "True", "BackoffLimitExceeded", message, now)
    if deadline_passed:
        message = "Job was active longer than specified deadline"
        return condition("FailureTarget", "True", "DeadlineExceeded", message, now)
    if status.get("succeeded", 0) + len(fresh["succeeded"]) >= spec.get("completions", 1):
        message = "Reached expected number of succeeded pods"
        return condition("SuccessCriteriaMet", "True", "CompletionsReached", message, now)
    return None


def counts(pods: Iterable[Stored], deleted: Iterable[Stored]) -> Json:
    """How many pods are active, terminating and ready; `deleted` were asked to go just now."""
    going = {pod.uid for pod in deleted}
    active = ready = terminating = 0
    for pod in pods:
        if is_leaving(pod) or pod.uid in going:
            terminating += 1
        elif not has_ended(pod):
            active += 1
            ready += _is_ready(pod.object)
    return {"active": active, "terminating": terminating, "ready": ready}


def conclude(status: Json, now: str) -> None:
    """Complete or Failed, once the criterion is written, every pod counted and none is ending."""
    if any(status["uncountedTerminatedPods"].values()) or status["terminating"]:
        return
    for each in status.get("conditions", ()):
        final = _CRITERIA.get(each["type"])
        if final is not None:
            end = condition(final, "True", each["reason"], each["message"], now)
            status["conditions"] = [*status["conditions"], end]
            if final == "Complete":
                status["completionTime"] = now
            return


def shown(status: Json) -> Json:
    """As it is stored: without zeros, but for two."""
    return {key: value for key, value in status.items() if value not in (0, None) or key in ("ready", "terminating")}


def condition(kind: str, status: str, reason: str, message: str, now: str) -> Json:
    """One entry of a Job's status.conditions."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}


def pod_of(job: Json, index: int | None) -> Json:
    """A pod that this Job asks for."""
    template, metadata = job["spec"]["template"], job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    annotations = dict(template["metadata"].get("annotations") or {})
    if index is not None:
        annotations[INDEX] = str(index)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{metadata['name']}-" + (f"{index}-" if index is not None else ""),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            "finalizers": [TRACKING],
        },
        "spec": template["spec"],
    }


def _conditions(body: Json) -> list[Json]:
    conditions: list[Json] = body["status"].get("conditions", [])
    return conditions


def _is_ready(body: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in _conditions(body))
