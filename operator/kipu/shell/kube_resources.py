"""The kinds that are listed and watched: where each is served and how its bytes are read.

Must never talk to a server: `watch` and `kube` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import msgspec

from .kube_views import JobView, MetadataView, Page, PodView, T, WatchEvent, WorkflowView


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[T]):
    """A kind that we list and watch: where it is served and how its bytes are read."""

    group_path: str  # "/apis/batch/v1"
    plural: str
    page: msgspec.json.Decoder[Page[T]]
    event: msgspec.json.Decoder[WatchEvent[T]]
    accept: str = "application/json"


def resource_of(view: type[T], group_path: str, plural: str, accept: str = "application/json") -> Resource[T]:
    """A kind that is read as this view."""
    return Resource(
        group_path=group_path,
        plural=plural,
        page=msgspec.json.Decoder(Page[view]),  # type: ignore[valid-type]
        event=msgspec.json.Decoder(WatchEvent[view]),  # type: ignore[valid-type, misc]
        accept=accept,
    )


JOBS = resource_of(JobView, "/apis/batch/v1", "jobs")
PODS = resource_of(PodView, "/api/v1", "pods")
WORKFLOWS = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "workflows")
WORKFLOW_TEMPLATES = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "workflowtemplates")
CRON_WORKFLOWS = resource_of(WorkflowView, "/apis/kipu.dev/v1alpha1", "cronworkflows")
# 0.6 KB an object in a list, whatever it holds: a log's chunks have up to 1 MB each.
METADATA_ALONE = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
CONFIG_MAPS = resource_of(MetadataView, "/api/v1", "configmaps", METADATA_ALONE)
