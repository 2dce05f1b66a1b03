"""The kinds that are listed and watched: where each is served, how its bytes are read, what a watch remembers of it.

Promises: what is remembered of a Job or a pod says who it is, in which version, and whose, and no more.
Must never talk to a server: `watch` and `kube` do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from .kube_views import (
    AttemptMetadata,
    JobView,
    Labels,
    MetadataView,
    Page,
    PodView,
    T,
    T_co,
    View,
    WatchEvent,
    WorkflowView,
)

A = TypeVar("A", JobView, PodView)


class Trace(Protocol[T_co]):
    """What a watch remembers of an object."""

    @property
    def resource_version(self) -> str:
        """In which it was last seen."""

    def view(self) -> T_co:
        """All that is told of the object if it vanishes unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[T]):
    """A kind that we list and watch: where it is served and how its bytes are read."""

    group_path: str  # "/apis/batch/v1"
    plural: str
    page: msgspec.json.Decoder[Page[T]]
    event: msgspec.json.Decoder[WatchEvent[T]]
    trace: Callable[[T], Trace[T]]
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class Whole(Generic[T]):
    """The object as it was."""

    it: T

    @property
    def resource_version(self) -> str:
        """See Trace."""
        return self.it.metadata.resource_version

    def view(self) -> T:
        """See Trace."""
        return self.it


class Trimmed(View, Generic[A], frozen=True):
    """Of an attempt's Job or pod who it is, in which version, and whose: for there are tens of thousands."""

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


def _trimmed(view: A) -> Trimmed[A]:
    metadata = view.metadata
    return Trimmed(
        kind=type(view),
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        workflow_uid=sys.intern(metadata.labels.workflow_uid),
        job_name=metadata.labels.job_name,
    )


def resource_of(
    view: type[T],
    group_path: str,
    plural: str,
    accept: str = "application/json",
    trace: Callable[[T], Trace[T]] = Whole,
) -> Resource[T]:
    """A kind that is read as this view."""
    return Resource(
        group_path=group_path,
        plural=plural,
        page=msgspec.json.Decoder(Page[view]),  # type: ignore[valid-type]
        event=msgspec.json.Decoder(WatchEvent[view]),  # type: ignore[valid-type, misc]
        trace=trace,
        accept=accept,
    )


JOBS = resource_of(JobView, "/apis/batch/v1", "jobs", trace=_trimmed)
PODS = resource_of(PodView, "/api/v1", "pods", trace=_trimmed)
WORKFLOWS = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "workflows")
WORKFLOW_TEMPLATES = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "workflowtemplates")
CRON_WORKFLOWS = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "cronworkflows")
# 0.6 KB an object in a list, whatever it holds: a log's chunks have up to 1 MB each.
METADATA_ALONE = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
CONFIG_MAPS = resource_of(MetadataView, "/api/v1", "configmaps", METADATA_ALONE)
