"""What the cluster shows of one attempt: its Job and pods, their Event objects, its child Workflow.

Promises: what may not be read is said, and is no error: the log alone explains much. Must never write.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from kipu.core.definition import Kind
from kipu.core.naming import split_item
from kipu.core.state import State
from kipu.eventlog.ports import StreamId
from kipu.shell.kube_views import JobView, PodView, epoch_ms

from .cluster import CORE, JOBS, Cluster, refused, workflow_at
from .explanation import Notice, Sight

NOTICES_READ_MAX = 100  # about each object; they live for an hour
PODS_READ_MAX = 10  # of one attempt, which has one unless somebody meddled


async def sight_of(cluster: Cluster, stream: StreamId, state: State, place: int) -> Sight:
    """Of the step's newest attempt; nothing where it has none."""
    attempt = state.steps[place].attempt
    if attempt is None:
        return Sight()
    reader = _Reader(cluster, stream.namespace)
    if state.step(place).kind is Kind.WORKFLOW:
        child = await reader.get(workflow_at(stream.namespace, attempt.job), "its Workflow")
        return Sight(child=None if child is None else dict(child.get("status", {})), unread=tuple(reader.unread))
    found = await reader.get(f"{JOBS}/namespaces/{stream.namespace}/jobs/{attempt.job}", "its Job")
    pods = await reader.list("pods", {"labelSelector": pods_selector(stream.uid, state, place)}, PODS_READ_MAX)
    job = None if found is None else msgspec.convert(found, JobView)
    views = tuple(msgspec.convert(pod, PodView) for pod in pods)
    uids = [*([job.metadata.uid] if job else []), *(pod.metadata.uid for pod in views)]
    notices: list[Notice] = []
    for uid in uids:
        events = await reader.list("events", {"fieldSelector": f"involvedObject.uid={uid}"}, NOTICES_READ_MAX)
        notices += [_notice(event) for event in events]
    notices.sort(key=lambda notice: notice.seen_at or 0)
    return Sight(job=job, pods=views, notices=tuple(notices), unread=tuple(dict.fromkeys(reader.unread)))


def pods_selector(uid: str, state: State, place: int, attempt: int | None = None) -> str:
    """The labels of the pods of an attempt, the newest unless another one is named."""
    name = state.name(place)
    step, index = split_item(name) or (name, None)
    number = state.steps[place].attempts if attempt is None else attempt
    labels = f"kipu.dev/workflow-uid={uid},kipu.dev/run={state.run},kipu.dev/step={step},kipu.dev/attempt={number}"
    return labels + ("" if index is None else f",kipu.dev/index={index}")


class _Reader:
    """Notes what it could not read."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.unread: list[str] = []

    async def get(self, path: str, what: str) -> Mapping[str, Any] | None:
        answer = await self._cluster.get(path)
        if answer.status == HTTPStatus.NOT_FOUND:
            self.unread.append(f"{what} is not there (any more)")
            return None
        if answer.status != HTTPStatus.OK:
            self.unread.append(str(refused(answer, f"read {what}")))
            return None
        return answer.body

    async def list(self, plural: str, query: Mapping[str, str], count_max: int) -> list[Mapping[str, Any]]:
        path = f"{CORE}/namespaces/{self._namespace}/{plural}"
        answer = await self._cluster.get(path, {**query, "limit": str(count_max)})
        if answer.status != HTTPStatus.OK:
            self.unread.append(str(refused(answer, f"list its {plural}")))
            return []
        items: Any = answer.body.get("items")
        return list(items or ())


def _notice(event: Mapping[str, Any]) -> Notice:
    about = event.get("involvedObject", {})
    series = event.get("series") or {}
    seen = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return Notice(
        about=f"{about.get('kind', '')} {about.get('name', '')}",
        reason=event.get("reason", ""),
        message=event.get("message", ""),
        warning=event.get("type") == "Warning",
        count=series.get("count") or event.get("count") or 1,
        seen_at=epoch_ms(seen),
    )
