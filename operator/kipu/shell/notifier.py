"""Kubernetes Event objects (notices) for people: start, retry, failure, end.

Promises: best effort and never in anybody's way; a notice told twice (by a replay, by two replicas) is one
object, because its name is its position in the log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime

from kipu.core.effects import Notify
from kipu.eventlog.ports import Unanswered

from .clock import Clock
from .kube import Kube
from .kube_views import WorkflowView

BACKLOG_MAX = 1_000  # x about 1 KiB = 1 MiB; past it the oldest are dropped, the log has them all
NOTE_LENGTH_MAX = 1_024  # events.k8s.io/v1 allows 1 KiB


class Notifier:
    """One sender for all workflows; `run` sends one notice after another."""

    def __init__(self, kube: Kube, clock: Clock, identity: str) -> None:
        self._kube = kube
        self._clock = clock
        self._identity = identity
        self._backlog: deque[tuple[WorkflowView, Notify]] = deque(maxlen=BACKLOG_MAX)
        self._wake = asyncio.Event()

    def tell(self, view: WorkflowView, notice: Notify) -> None:
        """Send this when there is time."""
        self._backlog.append((view, notice))
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled. An answer of any kind settles a notice: it is worth no retry."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._backlog:
                view, notice = self._backlog.popleft()
                try:
                    await self._kube.create_event(view.metadata.namespace, self._manifest(view, notice))
                except Unanswered:
                    continue

    def _manifest(self, view: WorkflowView, notice: Notify) -> dict[str, object]:
        now = datetime.fromtimestamp(self._clock.now() // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{view.metadata.name[:200]}.{view.metadata.uid[:13]}.{notice.position}",
                "namespace": view.metadata.namespace,
                "labels": {"app.kubernetes.io/managed-by": "kipu"},
            },
            "eventTime": now,
            "reportingController": "kipu.dev/operator",
            "reportingInstance": self._identity[:128],
            "action": notice.reason,
            "reason": notice.reason,
            "note": notice.message[:NOTE_LENGTH_MAX],
            "type": "Warning" if notice.warning else "Normal",
            "regarding": {
                "apiVersion": "kipu.dev/v1alpha1",
                "kind": "Workflow",
                "name": view.metadata.name,
                "namespace": view.metadata.namespace,
                "uid": view.metadata.uid,
            },
        }
