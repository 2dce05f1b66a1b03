"""The kinds that are listed and watched: where each is served, how its bytes are read, what a watch remembers of it.

Promises: what is remembered of a Job or a pod says who it is, in which version, and whose, and no more.
Must never talk to a server: `watch` and `kube` do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import msgspec

from .kube_views import AttemptMetadata, JobView, Labels, MetadataView, Page, PodView, T, WatchEvent, WorkflowView


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[T]):
    """A kind that we list and watch: where it is served and how its bytes are read."""

    group_path: str  # "/apis/batch/v1"
    plural: str
    page: msgspec.json.Decoder[Page[T]]
    event: msgspec.json.Decoder[WatchEvent[T]]
    trace: Callable[[T], T]  # what a watch remembers of an object: all that is told of it if it vanishes unseen
    accept: str = "application/json"


def resource_of(
    view: type[T],
    group_path: str,
    plural: str,
    accept: str = "application/json",
    trace: Callable[[T], T] = lambda view: view,
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


def _trace(metadata: AttemptMetadata) -> AttemptMetadata:
    """Who it is, in which version, and whose: 0.4 KB, for there are tens of thousands."""
    workflow_uid = sys.intern(metadata.labels.workflow_uid)
    return AttemptMetadata(
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels=Labels(workflow_uid=workflow_uid, job_name=metadata.labels.job_name),
    )


JOBS = resource_of(JobView, "/apis/batch/v1", "jobs", trace=lambda job: JobView(metadata=_trace(job.metadata)))
PODS = resource_of(PodView, "/api/v1", "pods", trace=lambda pod: PodView(metadata=_trace(pod.metadata)))
WORKFLOWS = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "workflows")
WORKFLOW_TEMPLATES = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "workflowtemplates")
CRON_WORKFLOWS = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "cronworkflows")
# 0.6 KB an object in a list, whatever it holds: a log's chunks have up to 1 MB each.
METADATA_ALONE = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
CONFIG_MAPS = resource_of(MetadataView, "/api/v1", "configmaps", METADATA_ALONE)
