"""What the observer keeps of a Job or a pod until its next change: all that is asked of it then, equal parts but once.

Its watches remember less, while an attempt runs and after it: who the object is, in which version, and whose.

Thousands of attempts run at once, and of each a Job and a pod are kept: as they were decoded 4.1 KB in 70 objects, so
1.3 KB. Most of it is the same in all of them, and the rest is the same in the Job as it was seen before.

Promises: whoever looks at what is kept comes to the same conclusion as from what was seen. Pure but for the memory of
equal parts, which is bounded.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Generic, TypeVar

from msgspec.structs import replace

from .kube_views import POD_ENDED, AttemptMetadata, JobView, Labels, OwnerReference, PodView, View

PARTS_MAX = 1_024  # of them are remembered, each of some 0.1 KiB; of one that is forgotten another is kept
NOTHING = AttemptMetadata()

P = TypeVar("P")
A = TypeVar("A", JobView, PodView)


class Trimmed(View, Generic[A], frozen=True):
    """The trace of an attempt's Job or pod, for there are tens of thousands."""

    kind: type[A]
    name: str
    uid: str
    resource_version: str
    workflow_uid: str
    job_name: str

    def view(self) -> A:
        """See Trace."""
        metadata = AttemptMetadata(
            name=self.name,
            uid=self.uid,
            resource_version=self.resource_version,
            labels=Labels(workflow_uid=self.workflow_uid, job_name=self.job_name),
        )
        return self.kind(metadata=metadata)


def trimmed(view: A, job: JobView | None = None) -> Trimmed[A]:
    """Sharing what is kept of it, or of the Job whose pod it is."""
    metadata, known = view.metadata, NOTHING if job is None else job.metadata
    return Trimmed(
        kind=type(view),
        name=_known(metadata.name, known.name),
        uid=_known(metadata.uid, known.uid),
        resource_version=metadata.resource_version,
        workflow_uid=sys.intern(metadata.labels.workflow_uid),
        job_name=_known(metadata.labels.job_name, known.name),
    )


def of_job(job: JobView, before: JobView | None = None) -> JobView:
    """The same, sharing what other Jobs have too, and what it had `before`."""
    metadata, known = job.metadata, NOTHING if before is None else before.metadata
    return JobView(
        metadata=replace(
            metadata,
            name=_known(metadata.name, known.name),
            uid=_known(metadata.uid, known.uid),
            labels=known.labels if known.labels == metadata.labels else _interned(metadata.labels),
            annotations=_known(metadata.annotations, known.annotations),
            namespace=sys.intern(metadata.namespace),
            owner_references=_one(metadata.owner_references),
            creation_timestamp=_one(metadata.creation_timestamp),
            finalizers=_one(metadata.finalizers),
        ),
        spec=_one(job.spec),
        status=_one(job.status),
    )


def of_pod(pod: PodView, job: JobView | None = None) -> PodView:
    """The same, but for labels and annotations: they have said already whose it is. It may be of `job`."""
    metadata, known = pod.metadata, NOTHING if job is None else job.metadata
    return PodView(
        metadata=AttemptMetadata(
            name=metadata.name,
            uid=metadata.uid,
            owner_references=tuple(
                OwnerReference(uid=_known(owner.uid, known.uid), controller=True)
                for owner in metadata.owner_references
                if owner.controller
            ),
            finalizers=_one(metadata.finalizers),
        ),
        spec=_one(pod.spec),
        status=pod.status if pod.status.phase in POD_ENDED else _one(pod.status),  # its last words are its own
    )


def _interned(labels: Labels) -> Labels:
    """Most values are those of many attempts."""
    return replace(
        labels,
        workflow_uid=sys.intern(labels.workflow_uid),
        run=sys.intern(labels.run),
        step=sys.intern(labels.step),
        attempt=sys.intern(labels.attempt),
    )


def _known(part: P, known: P) -> P:
    """What is known already, where it is equal."""
    return known if known == part else part


@lru_cache(maxsize=PARTS_MAX)
def _one(part: P) -> P:
    """The first of all equal parts."""
    return part
