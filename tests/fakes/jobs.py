"""The fake Job controller: pods from Jobs, counts and conditions from pods.

Its order of writes and its delays are those of a real controller 1.37, read off its watch: what a pod does is
acted on one second later (SyncJobBatchPeriod), the success or failure criterion is written first, then the
pods' finalizers go, then the counts and Complete or Failed are written.

As the real one does, it decides from its own caches of Jobs and of pods, which lag behind the store apart. So it may
create a pod for a Job that was just deleted, or judge a deadline before a success that it has not seen. It never
creates a pod twice for that: until it has heard of what it created, it creates nothing more for that Job; and a
status is written only over the version that it was computed from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from . import job_status
from .clock import timestamp
from .etcd import Change, Json, Key, Stored
from .informers import Informer
from .job_status import INDEX, controller_of, has_ended, is_leaving, is_tracked
from .kinds import BY_PLURAL, TRACKING
from .nodes import notify
from .refusals import Refused

if TYPE_CHECKING:
    from .apiserver import ApiServer

USER = "job-controller"
SOON_SECONDS, BATCH_SECONDS, STEP_SECONDS = 0.005, 1.0, 0.005
RETRY_SECONDS = 1.0  # after a write that was refused
BACKOFF_SECONDS = 10.0  # before a failed pod's replacement, doubled for each failure


class JobController:
    """One sync of a Job at a time, each from what was heard by then."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._jobs = Informer(server, ["jobs"], lambda lags: lags.job_controller_jobs_seconds, self._job_changed)
        self._pods = Informer(server, ["pods"], lambda lags: lags.job_controller_pods_seconds, self._pod_changed)
        self._due: dict[Key, asyncio.TimerHandle] = {}
        self._written: dict[Key, int] = {}  # Job -> the revision of the last status that was written
        self._busy: set[Key] = set()  # Jobs in the middle of a sync, which has two writes
        self._pods_of: dict[str, dict[Key, None]] = {}  # Job uid -> its pods, as heard
        self._expected: dict[str, set[str]] = {}  # Job uid -> pods that were created and not heard of yet
        self._released: set[str] = set()  # pods whose finalizer was taken off, which was not heard of yet
        self._retry_at: dict[str, float] = {}  # Job uid and its failures -> loop time

    # -- what is heard -----------------------------------------------------------------------------------

    def _job_changed(self, change: Change) -> None:
        generations = [each.object["metadata"]["generation"] for each in (change.before, change.after) if each]
        if change.before is None or change.after is None or generations[0] != generations[-1]:
            self._sync_in(SOON_SECONDS, change.key)
        if change.after is None:
            assert change.before is not None
            for pod in self._known_pods(change.before.uid):
                self._later(self._release, pod)

    def _pod_changed(self, change: Change) -> None:
        stored = change.after or change.before
        assert stored is not None
        if change.after is None or not is_tracked(change.after):
            self._released.discard(stored.uid)
        owner = controller_of(stored.object)
        if owner is None:
            self._later(self._release, stored)  # it was orphaned
            return
        pods = self._pods_of.setdefault(owner["uid"], {})
        self._expected.get(owner["uid"], set()).discard(stored.uid)
        if change.after is None:
            pods.pop(change.key, None)
        else:
            pods[change.key] = None
        key = Key("jobs", change.key.namespace, owner["name"])
        job = self._jobs.known.get(key)
        if job is not None and job.uid == owner["uid"]:
            self._sync_in(BATCH_SECONDS, key)
        else:
            self._later(self._release, stored)  # of a Job that is gone

    def restored(self) -> None:
        """The store went back: begin anew, as a controller that is started with it. What is there, it is told next."""
        for known in (self._written, self._busy, self._expected, self._released, self._retry_at):
            known.clear()

    def _known_pods(self, job_uid: str) -> list[Stored]:
        keys = sorted(self._pods_of.get(job_uid, ()))
        return [stored for key in keys if (stored := self._pods.known.get(key)) is not None]

    def _sync_in(self, seconds: float, key: Key) -> None:
        """Sync the Job then, or earlier if that was asked for already."""
        at = self._server.time() + seconds
        known = self._due.get(key)
        if known is not None:
            if known.when() <= at:
                return
            known.cancel()
        self._due[key] = self._server.later(seconds, self._sync, key)

    def _later(self, act: Callable[[Stored], None], stored: Stored) -> None:
        self._server.later(SOON_SECONDS, act, stored)

    # -- one sync ----------------------------------------------------------------------------------------

    def _sync(self, key: Key) -> None:
        self._due.pop(key, None)
        if key in self._busy:
            self._sync_in(SOON_SECONDS, key)
            return
        stored = self._jobs.known.get(key)
        if stored is None:
            self._written.pop(key, None)
            return
        if stored.revision < self._written.get(key, 0):
            self._sync_in(RETRY_SECONDS, key)  # its own last write was not heard of yet
            return
        pods = self._known_pods(stored.uid)
        if job_status.is_finished(stored.object):
            self._release_all(pods)
        else:
            self._go_on(stored, pods)

    def _go_on(self, stored: Stored, pods: Sequence[Stored]) -> None:
        now, status = timestamp(self._server.clock.now()), dict(stored.object["status"])
        if any((status.get("uncountedTerminatedPods") or {}).values()):
            self._busy.add(stored.key)
            self._count(stored, ())
            return
        if not is_leaving(stored):
            job_status.begin(status, now, suspended=stored.object["spec"]["suspend"])
        fresh = self._newly_ended(pods)
        late = self._deadline_passed(stored, status)
        verdict = job_status.verdict(stored.object["spec"], status, fresh, now, deadline_passed=late)
        if verdict is not None:
            status["conditions"] = [*status.get("conditions", ()), verdict]
        deleted: list[Stored] = []
        if job_status.has_failed(status):
            deleted = self._delete_active(pods)
            if self._expected.get(stored.uid):
                return  # it cannot be over while a pod of its was not heard of
            fresh["failed"] += [pod.uid for pod in deleted if self._is_uncounted(pod)]
        elif is_leaving(stored):
            self._release_all(pod for pod in pods if not has_ended(pod))
        elif job_status.is_decided(status):
            pass  # every pod it needs has succeeded
        elif stored.object["spec"]["suspend"]:
            deleted = self._delete_active(pods)
            self._release_all(deleted)  # a pod that goes for a suspension is counted nowhere
        else:
            pods = [*pods, *self._create_missing(stored, status, fresh, pods)]
        status |= job_status.counts(pods, deleted)
        status["uncountedTerminatedPods"] = {each: uids for each, uids in fresh.items() if uids}
        job_status.conclude(status, now)
        written = self._write(stored, status)
        if written is not None and status["uncountedTerminatedPods"]:
            self._busy.add(stored.key)
            self._server.later(STEP_SECONDS, self._count, written, deleted)

    def _count(self, stored: Stored, deleted: Sequence[Stored]) -> None:
        """Second half of a pod's end: its finalizer goes, it is counted, and the Job may be over."""
        if stored.key not in self._busy:
            return  # the store was restored in between
        self._busy.discard(stored.key)
        status = dict(stored.object["status"])
        uncounted: Json = status["uncountedTerminatedPods"]
        counted = {uid for uids in uncounted.values() for uid in uids}
        pods = self._known_pods(stored.uid)
        self._release_all(pod for pod in pods if pod.uid in counted)
        for each in ("succeeded", "failed"):
            if uncounted.get(each):
                status[each] = status.get(each, 0) + len(uncounted[each])
        status["uncountedTerminatedPods"] = {}
        status |= job_status.counts(pods, deleted)
        job_status.conclude(status, timestamp(self._server.clock.now()))
        self._write(stored, status)
        self._sync_in(BATCH_SECONDS, stored.key)

    def _newly_ended(self, pods: Sequence[Stored]) -> dict[str, list[str]]:
        fresh: dict[str, list[str]] = {"succeeded": [], "failed": []}
        for pod in pods:
            if has_ended(pod) and self._is_uncounted(pod):
                fresh[pod.object["status"]["phase"].lower()].append(pod.uid)
        return fresh

    def _is_uncounted(self, pod: Stored) -> bool:
        return is_tracked(pod) and pod.uid not in self._released

    def _deadline_passed(self, stored: Stored, status: Json) -> bool:
        """Of a start time that is stored in whole seconds, but for the sync that begins the Job."""
        seconds = stored.object["spec"].get("activeDeadlineSeconds")
        if seconds is None or "startTime" not in status or stored.object["spec"]["suspend"]:
            return False
        left = float(seconds)
        if "startTime" in stored.object["status"]:
            began_ms = datetime.fromisoformat(status["startTime"]).timestamp() * 1000
            left -= (self._server.clock.now() - began_ms) / 1000
        if left > 0:
            self._sync_in(left, stored.key)
        return left <= 0

    def _write(self, stored: Stored, status: Json) -> Stored | None:
        """Over just the version it was computed from: on a conflict, the whole sync again, later."""
        shown, version = job_status.shown(status), stored.object["metadata"]["resourceVersion"]
        if shown == stored.object["status"]:
            return stored

        def with_status(body: Json) -> Json:
            body["metadata"]["resourceVersion"] = version
            body["status"] = shown
            return body

        key = stored.key
        try:
            self._server.amend("jobs", key.namespace, key.name, with_status, status=True, user=USER)
        except Refused:
            self._sync_in(RETRY_SECONDS, key)
            return None
        written = self._server.etcd.get(key)
        assert written is not None
        self._written[key] = written.revision
        return written

    # -- pods --------------------------------------------------------------------------------------------

    def _create_missing(
        self, stored: Stored, status: Json, fresh: dict[str, list[str]], pods: Sequence[Stored]
    ) -> list[Stored]:
        spec = stored.object["spec"]
        if self._expected.get(stored.uid):
            return []
        waits_for_terminating = spec["podReplacementPolicy"] == "Failed"
        held = [pod for pod in pods if not has_ended(pod) and (waits_for_terminating or not is_leaving(pod))]
        succeeded = status.get("succeeded", 0) + len(fresh["succeeded"])
        wanted = min(spec["parallelism"], spec.get("completions", 1) - succeeded) - len(held)
        if wanted <= 0 or not self._may_retry(stored, status.get("failed", 0) + len(fresh["failed"])):
            return []
        indexes = self._free_indexes(stored, pods)
        created = [self._create_pod(stored, indexes[place] if indexes else None) for place in range(wanted)]
        return [pod for pod in created if pod is not None]

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

    def _create_pod(self, stored: Stored, index: int | None) -> Stored | None:
        pod = job_status.pod_of(stored.copy(), index)
        try:
            created = self._server.create_stored(BY_PLURAL["pods"], stored.key.namespace, pod, user=USER)
        except Refused as refused:  # by a quota, or by a policy of the test
            notify(self._server, stored.object, f"FailedCreate: Error creating: {refused.message}", USER)
            self._sync_in(RETRY_SECONDS, stored.key)
            return None
        self._expected.setdefault(stored.uid, set()).add(created.uid)
        return created

    def _delete_active(self, pods: Sequence[Stored]) -> list[Stored]:
        """Delete the pods that have not ended; returns them."""
        active = [pod for pod in pods if not has_ended(pod)]
        for pod in active:
            if not is_leaving(pod):
                try:
                    self._server.delete("pods", pod.key.namespace, pod.key.name, user=USER)
                except Refused:
                    continue  # it is gone already
        return active

    def _release_all(self, pods: Iterable[Stored]) -> None:
        for pod in pods:
            self._release(pod)

    def _release(self, pod: Stored) -> None:
        """Take the tracking finalizer off."""
        if not self._is_uncounted(pod):
            return
        self._released.add(pod.uid)

        def released(body: Json) -> Json:
            finalizers = body["metadata"].get("finalizers", ())
            body["metadata"]["finalizers"] = [each for each in finalizers if each != TRACKING]
            return body

        try:
            self._server.amend("pods", pod.key.namespace, pod.key.name, released, user=USER)
        except Refused:
            return  # it is gone already
