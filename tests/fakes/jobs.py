"""The fake Job controller: pods from Jobs, counts and conditions from pods.

Its order of writes and its delays are those of a real controller 1.37, read off its watch: what a pod does is
acted on one second later (SyncJobBatchPeriod), the success or failure criterion is written first, then the
pods' finalizers go, then the counts and Complete or Failed are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .clock import timestamp
from .etcd import Change, Json, Key, Stored
from .kinds import BY_PLURAL, TRACKING
from .refusals import Refused
from .registry import ORPHAN

if TYPE_CHECKING:
    from .apiserver import ApiServer

USER = "job-controller"
SOON_SECONDS, BATCH_SECONDS, STEP_SECONDS = 0.005, 1.0, 0.005
BACKOFF_SECONDS = 10.0  # before a failed pod's replacement, doubled for each failure
ENDED = ("Succeeded", "Failed")
INDEX = "batch.kubernetes.io/job-completion-index"


class JobController:
    """One sync of a Job at a time, each from what is stored then."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._due: dict[Key, asyncio.TimerHandle] = {}
        self._pods: dict[str, set[Key]] = {}  # Job uid -> its pods
        self._retry_at: dict[str, float] = {}  # Job uid -> loop time
        self._began: dict[
            tuple[str, str], float
        ] = {}  # Job uid, startTime -> loop time (exact: the text is cut to 1 s)
        server.etcd.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        stored = change.after or change.before
        assert stored is not None
        if change.key.plural == "jobs":
            generations = [each.object["metadata"]["generation"] for each in (change.before, change.after) if each]
            if change.before is None or change.after is None or generations[0] != generations[-1]:
                self._sync_in(SOON_SECONDS, change.key)
        elif change.key.plural == "pods" and (owner := controller_of(stored.object)) is not None:
            pods = self._pods.setdefault(owner["uid"], set())
            if change.after is None:
                pods.discard(change.key)
            else:
                pods.add(change.key)
            self._sync_in(BATCH_SECONDS, Key("jobs", change.key.namespace, owner["name"]))

    def _sync_in(self, seconds: float, key: Key) -> None:
        """Sync the Job then, or earlier if that was asked for already."""
        at = self._server.time() + seconds
        known = self._due.get(key)
        if known is not None:
            if known.when() <= at:
                return
            known.cancel()
        self._due[key] = self._server.later(seconds, self._sync, key)

    # -- one sync ----------------------------------------------------------------------------------------

    def _sync(self, key: Key) -> None:
        self._due.pop(key, None)
        stored = self._server.etcd.get(key)
        if stored is None:
            for pod in self._pods_named(key):
                self._release(pod)
            return
        pods = self._stored(sorted(self._pods.get(stored.uid, ())))
        if is_finished(stored.object):
            for pod in pods:
                self._release(pod)
            return
        if "deletionTimestamp" in stored.object["metadata"]:
            self._leave(stored, pods)
            return
        self._go_on(stored, pods)

    def _leave(self, stored: Stored, pods: Sequence[Stored]) -> None:
        if ORPHAN not in stored.object["metadata"].get("finalizers", ()):
            for pod in pods:
                self._release(pod)
        self._write(stored, {**stored.object["status"], **self._counts(stored, pods)})

    def _go_on(self, stored: Stored, pods: Sequence[Stored]) -> None:
        status: Json = dict(stored.object["status"])
        uncounted = status.get("uncountedTerminatedPods") or {}
        if any(uncounted.values()):
            self._count(stored, status, uncounted, pods)
            return
        suspended = stored.object["spec"]["suspend"]
        self._begin(status, suspended=suspended)
        fresh = self._newly_ended(pods, status)
        verdict = self._verdict(stored, status, fresh)
        if verdict is not None and verdict["type"] == "FailureTarget":
            for pod in self._delete_active(stored, pods):
                fresh["failed"].append(pod.uid)
        elif verdict is None and suspended:
            for pod in self._delete_active(stored, pods):
                self._release(pod)  # a pod that goes for a suspension is counted nowhere
        elif verdict is None:
            pods = [*pods, *self._create_missing(stored, status, fresh, pods)]
        if verdict is not None:
            status["conditions"] = [*status.get("conditions", ()), verdict]
        status |= self._counts(stored, [self._server.etcd.get(pod.key) or pod for pod in pods])
        status["uncountedTerminatedPods"] = {each: uids for each, uids in fresh.items() if uids}
        self._conclude(status)
        self._write(stored, status)
        if status["uncountedTerminatedPods"]:
            self._sync_in(STEP_SECONDS, stored.key)

    def _count(self, stored: Stored, status: Json, uncounted: Json, pods: Sequence[Stored]) -> None:
        """Second half of a pod's end: its finalizer goes, it is counted, and the Job may be over."""
        counted = {uid for uids in uncounted.values() for uid in uids}
        for pod in pods:
            if pod.uid in counted:
                self._release(pod)
        for each in ("succeeded", "failed"):
            if uncounted.get(each):
                status[each] = status.get(each, 0) + len(uncounted[each])
        status["uncountedTerminatedPods"] = {}
        status |= self._counts(stored, self._stored(pod.key for pod in pods))
        self._conclude(status)
        self._write(stored, status)
        self._sync_in(BATCH_SECONDS, stored.key)

    def _begin(self, status: Json, *, suspended: bool) -> None:
        now = timestamp(self._server.clock.now())
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

    def _newly_ended(self, pods: Sequence[Stored], status: Json) -> dict[str, list[str]]:
        fresh: dict[str, list[str]] = {"succeeded": [], "failed": []}
        for pod in pods:
            phase = pod.object["status"]["phase"]
            if phase in ENDED and TRACKING in pod.object["metadata"].get("finalizers", ()):
                fresh[phase.lower()].append(pod.uid)
        return fresh

    def _verdict(self, stored: Stored, status: Json, fresh: dict[str, list[str]]) -> Json | None:
        """The condition that decides the Job, if it is decided now."""
        if any(each["type"] in ("SuccessCriteriaMet", "FailureTarget") for each in status.get("conditions", ())):
            return None
        now, spec = timestamp(self._server.clock.now()), stored.object["spec"]
        if status.get("succeeded", 0) + len(fresh["succeeded"]) >= spec.get("completions", 1):
            message = "Reached expected number of succeeded pods"
            return condition("SuccessCriteriaMet", "True", "CompletionsReached", message, now)
        if status.get("failed", 0) + len(fresh["failed"]) > spec["backoffLimit"]:
            message = "Job has reached the specified backoff limit"
            return condition("FailureTarget", "True", "BackoffLimitExceeded", message, now)
        if self._deadline_passed(stored, status):
            message = "Job was active longer than specified deadline"
            return condition("FailureTarget", "True", "DeadlineExceeded", message, now)
        return None

    def _deadline_passed(self, stored: Stored, status: Json) -> bool:
        seconds = stored.object["spec"].get("activeDeadlineSeconds")
        if seconds is None or "startTime" not in status or stored.object["spec"]["suspend"]:
            return False
        began = self._began.setdefault((stored.uid, status["startTime"]), self._server.time())
        left: float = began + seconds - self._server.time()
        if left > 0:
            self._sync_in(left, stored.key)
        return left <= 0

    # -- pods --------------------------------------------------------------------------------------------

    def _create_missing(
        self, stored: Stored, status: Json, fresh: dict[str, list[str]], pods: Sequence[Stored]
    ) -> list[Stored]:
        spec = stored.object["spec"]
        if any(each["type"] in ("SuccessCriteriaMet", "FailureTarget") for each in status.get("conditions", ())):
            return []
        waits_for_terminating = spec["podReplacementPolicy"] == "Failed"
        live = [pod for pod in pods if pod.object["status"]["phase"] not in ENDED]
        held = [pod for pod in live if waits_for_terminating or "deletionTimestamp" not in pod.object["metadata"]]
        succeeded = status.get("succeeded", 0) + len(fresh["succeeded"])
        wanted = min(spec["parallelism"], spec.get("completions", 1) - succeeded) - len(held)
        if wanted <= 0 or not self._may_retry(stored, status.get("failed", 0) + len(fresh["failed"])):
            return []
        indexes = self._free_indexes(stored, pods)
        return [self._create_pod(stored, indexes[place] if indexes else None) for place in range(wanted)]

    def _may_retry(self, stored: Stored, failed: int) -> bool:
        if not failed:
            return True
        now = self._server.time()
        due = self._retry_at.setdefault(f"{stored.uid}/{failed}", now + BACKOFF_SECONDS * 2 ** (failed - 1))
        if due > now:
            self._sync_in(due - now, stored.key)
        return due <= now

    def _free_indexes(self, stored: Stored, pods: Sequence[Stored]) -> list[int]:
        if stored.object["spec"]["completionMode"] != "Indexed":
            return []
        taken = {
            int(pod.object["metadata"]["annotations"][INDEX])
            for pod in pods
            if pod.object["status"]["phase"] != "Failed"
        }
        return [index for index in range(stored.object["spec"]["completions"]) if index not in taken]

    def _create_pod(self, stored: Stored, index: int | None) -> Stored:
        job = stored.copy()
        template, metadata = job["spec"]["template"], job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        annotations = dict(template["metadata"].get("annotations") or {})
        if index is not None:
            annotations[INDEX] = str(index)
        pod = {
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
        created = self._server.record(
            USER,
            "POST",
            Key("pods", stored.key.namespace, ""),
            self._server.registry.create,
            BY_PLURAL["pods"],
            stored.key.namespace,
            pod,
        )
        return created

    def _delete_active(self, stored: Stored, pods: Sequence[Stored]) -> list[Stored]:
        """Delete the pods that have not ended; those that count as failed from now on."""
        deleted = []
        for pod in pods:
            if pod.object["status"]["phase"] in ENDED:
                continue
            if "deletionTimestamp" not in pod.object["metadata"]:
                self._server.delete("pods", pod.key.namespace, pod.key.name, user=USER)
            if TRACKING in pod.object["metadata"].get("finalizers", ()):
                deleted.append(pod)
        return deleted

    def _release(self, pod: Stored) -> None:
        """Take the tracking finalizer off."""
        if TRACKING not in pod.object["metadata"].get("finalizers", ()):
            return

        def released(body: Json) -> Json:
            finalizers = body["metadata"]["finalizers"]
            body["metadata"]["finalizers"] = [each for each in finalizers if each != TRACKING]
            return body

        try:
            self._server.update("pods", pod.key.namespace, pod.key.name, released, user=USER)
        except Refused:
            return  # it is gone already

    def _stored(self, keys: Iterable[Key]) -> list[Stored]:
        return [stored for key in keys if (stored := self._server.etcd.get(key)) is not None]

    def _pods_named(self, job: Key) -> list[Stored]:
        """The pods of a Job that is gone."""
        pods = []
        for stored in self._server.etcd.all("pods"):
            owner = controller_of(stored.object)
            if stored.key.namespace == job.namespace and owner is not None and owner["name"] == job.name:
                pods.append(stored)
        return pods

    # -- status ------------------------------------------------------------------------------------------

    def _counts(self, stored: Stored, pods: Sequence[Stored]) -> Json:
        live = [pod.object for pod in pods if pod.object["status"]["phase"] not in ENDED]
        leaving = [pod for pod in pods if "deletionTimestamp" in pod.object["metadata"]]
        staying = [body for body in live if "deletionTimestamp" not in body["metadata"]]
        ready = [body for body in staying if _is_ready(body)]
        return {"active": len(staying), "terminating": len(leaving), "ready": len(ready)}

    def _conclude(self, status: Json) -> None:
        """Complete or Failed, once the criterion is written, every pod counted and none is ending."""
        if any(status["uncountedTerminatedPods"].values()) or status["terminating"]:
            return
        for each in status.get("conditions", ()):
            final = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}.get(each["type"])
            if final is not None:
                now = timestamp(self._server.clock.now())
                status["conditions"] = [
                    *status["conditions"],
                    condition(final, "True", each["reason"], each["message"], now),
                ]
                if final == "Complete":
                    status["completionTime"] = now
                return

    def _write(self, stored: Stored, status: Json) -> None:
        status = {
            key: value for key, value in status.items() if value not in (0, None) or key in ("ready", "terminating")
        }

        def with_status(body: Json) -> Json:
            body["status"] = status
            return body

        self._server.update("jobs", stored.key.namespace, stored.key.name, with_status, status=True, user=USER)


def controller_of(body: Json) -> Json | None:
    """The owner reference of the Job that controls this pod."""
    owners: list[Json] = body["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller") and owner["kind"] == "Job"), None)


def is_finished(body: Json) -> bool:
    """Whether the Job is Complete or Failed."""
    conditions: list[Json] = body["status"].get("conditions", [])
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def condition(kind: str, status: str, reason: str, message: str, now: str) -> Json:
    """One entry of a Job's status.conditions."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}


def _is_ready(body: Json) -> bool:
    conditions: list[Json] = body["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
