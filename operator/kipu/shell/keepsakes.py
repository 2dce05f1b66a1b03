"""What the observer keeps of a Job or a pod until its next change: all that is asked of it then, equal parts but once.

Thousands of attempts run at once, and of each a Job and a pod are kept: as they were decoded 4.1 KB in 70 objects, so
1.3 KB. Most of it is the same in all of them, and the rest is the same in the Job as it was seen before.

Promises: whoever looks at what is kept comes to the same conclusion as from what was seen. Pure but for the memory of
equal parts, which is bounded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from msgspec.structs import replace

from .kube_views import POD_ENDED, AttemptMetadata, JobView, OwnerReference, PodView

PARTS_MAX = 1_024  # of them are remembered, each of some 0.1 KiB; of one that is forgotten another is kept

P = TypeVar("P")


def of_job(job: JobView, before: JobView | None = None) -> JobView:
    """The same, sharing what other Jobs have too, and what it had `before`."""
    metadata, known = job.metadata, None if before is None else before.metadata
    kept = replace(
        metadata,
        namespace=_one(metadata.namespace),
        owner_references=_one(metadata.owner_references),
        creation_timestamp=_one(metadata.creation_timestamp),
        finalizers=_one(metadata.finalizers),
        labels=replace(metadata.labels, workflow_uid=_one(metadata.labels.workflow_uid)),
    )
    if known is not None and known.uid == metadata.uid:
        kept = replace(
            kept,
            name=known.name,
            uid=known.uid,
            labels=known.labels if known.labels == metadata.labels else kept.labels,
            annotations=known.annotations if known.annotations == metadata.annotations else metadata.annotations,
        )
    return JobView(metadata=kept, spec=_one(job.spec), status=_one(job.status))


def of_pod(pod: PodView, job: JobView | None = None) -> PodView:
    """The same, but for labels and annotations: they have said already whose it is. It may be of `job`."""
    metadata = pod.metadata
    return PodView(
        metadata=AttemptMetadata(
            name=metadata.name,
            uid=metadata.uid,
            owner_references=tuple(_of(owner, job) for owner in metadata.owner_references if owner.controller),
            finalizers=_one(metadata.finalizers),
        ),
        spec=_one(pod.spec),
        status=pod.status if pod.status.phase in POD_ENDED else _one(pod.status),  # its last words are its own
    )


def _of(owner: OwnerReference, job: JobView | None) -> OwnerReference:
    uid = job.metadata.uid if job is not None and job.metadata.uid == owner.uid else owner.uid
    return OwnerReference(uid=uid, controller=True)


@lru_cache(maxsize=PARTS_MAX)
def _one(part: P) -> P:
    """The first of all equal parts."""
    return part
