"""What is kept of Jobs and pods costs little, however many there are. That it says the same: test_observations."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from kipu.shell import keepsakes
from kipu.shell.kube_views import JobView, PodView

ATTEMPTS = 2_000
BYTES_MAX = 1_200  # of a Job and its pod, on any Python
WORKFLOW = "0b1c2d3e-0000-4000-8000-000000000000"


def labels(index: int) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "kipu",
        "kipu.dev/workflow": "nightly",
        "kipu.dev/workflow-uid": WORKFLOW,
        "kipu.dev/run": "1",
        "kipu.dev/step": "shard",
        "kipu.dev/index": str(index),
        "kipu.dev/attempt": "1",
    }


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def a_job(index: int) -> bytes:
    """As the watch brings it."""
    owner = {"kind": "Workflow", "name": "nightly", "uid": WORKFLOW, "controller": True, "blockOwnerDeletion": True}
    body: dict[str, Any] = {
        "metadata": {
            "name": f"nightly-shard-{index}-0123456789abcdef",
            "namespace": "default",
            "uid": uid(index),
            "resourceVersion": str(100_000 + index),
            "creationTimestamp": "2026-11-24T03:00:00Z",
            "labels": labels(index),
            "annotations": {"kipu.dev/intent": f"{index}:{index:064x}"},
            "ownerReferences": [owner],
            "finalizers": ["orphan"],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never"}},
        },
        "status": {"startTime": "2026-11-24T03:00:00Z", "active": 1, "ready": 1},
    }
    return msgspec.json.encode(body)


def a_pod(index: int) -> bytes:
    """Likewise, running."""
    started = "2026-11-24T03:00:01Z"
    job = f"nightly-shard-{index}-0123456789abcdef"
    body: dict[str, Any] = {
        "metadata": {
            "name": f"{job}-x2x4z",
            "namespace": "default",
            "uid": uid(1_000_000 + index),
            "resourceVersion": str(200_000 + index),
            "creationTimestamp": "2026-11-24T03:00:00Z",
            "labels": {**labels(index), "batch.kubernetes.io/job-name": job},
            "ownerReferences": [{"kind": "Job", "name": job, "uid": uid(index), "controller": True}],
            "finalizers": ["batch.kubernetes.io/job-tracking"],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running",
            "startTime": started,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": started}],
            "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": started}}}],
        },
    }
    return msgspec.json.encode(body)


def kept_of(job: JobView, pod: PodView) -> tuple[JobView, PodView]:
    kept = keepsakes.of_job(job)
    return kept, keepsakes.of_pod(pod, kept)


def test_thousands_of_attempts_that_run_share_what_they_have_in_common() -> None:
    jobs, pods = msgspec.json.Decoder(JobView), msgspec.json.Decoder(PodView)
    bodies = [(a_job(index), a_pod(index)) for index in range(ATTEMPTS)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [kept_of(jobs.decode(job), pods.decode(pod)) for job, pod in bodies]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(kept) < BYTES_MAX


def test_of_a_job_that_changes_only_what_has_changed_is_new() -> None:
    jobs = msgspec.json.Decoder(JobView)
    before, after = keepsakes.of_job(jobs.decode(a_job(7))), jobs.decode(a_job(7))
    changed = msgspec.structs.replace(after.metadata, resource_version="9", deletion_timestamp="2026-11-24T03:00:09Z")
    kept = keepsakes.of_job(JobView(metadata=changed, spec=after.spec, status=after.status), before)
    assert kept == JobView(metadata=changed, spec=after.spec, status=after.status)
    for part in ("name", "uid", "labels", "annotations"):
        assert getattr(kept.metadata, part) is getattr(before.metadata, part)


@pytest.mark.parametrize("part", ["uid", "labels", "annotations"])
def test_what_has_changed_is_not_what_it_was(part: str) -> None:
    jobs = msgspec.json.Decoder(JobView)
    before, other = jobs.decode(a_job(7)), jobs.decode(a_job(8))
    changed = msgspec.structs.replace(before.metadata, **{part: getattr(other.metadata, part)})
    view = JobView(metadata=changed, spec=before.spec, status=before.status)
    assert keepsakes.of_job(view, keepsakes.of_job(before)) == view


def test_no_more_parts_are_remembered_than_are_bounded() -> None:
    for index in range(2 * keepsakes.PARTS_MAX):
        body = msgspec.json.decode(a_job(index))
        body["status"]["startTime"] = f"{2_000 + index}-11-24T03:00:00Z"
        keepsakes.of_job(msgspec.convert(body, JobView))
    assert keepsakes._one.cache_info().currsize <= keepsakes.PARTS_MAX
