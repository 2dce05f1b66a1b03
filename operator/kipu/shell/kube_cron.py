"""What CronWorkflows ask of the one client: their own objects, and the Workflows that they own (`kube_owned`).

Promises: those of `kube`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kipu.api.cron import CRON_LABEL
from kipu.eventlog.ports import Answer

from .kube_owned import OwnedKube, RunView
from .kube_resources import CRON_WORKFLOWS
from .kube_views import WorkflowView


class CronKube(OwnedKube):
    """The client, with these calls."""

    async def get_cron_workflow(self, namespace: str, name: str) -> WorkflowView | None:
        """A consistent read: None is proof of absence. Raises Unanswered."""
        return await self._get(CRON_WORKFLOWS, WorkflowView, namespace, name)

    async def patch_cron_workflow_status(self, view: WorkflowView, status: Mapping[str, object]) -> Answer:
        """Replace the status of just this version; 409 where another one stands by now."""
        metadata = view.metadata
        return await self.patch_workflow_status(
            metadata.namespace,
            metadata.name,
            metadata.uid,
            status,
            resource_version=metadata.resource_version,
            resource=CRON_WORKFLOWS,
        )

    async def list_cron_runs(self, namespace: str | None) -> Sequence[RunView]:
        """Those of all CronWorkflows of a namespace, or (None) of the cluster; consistent. Raises Unanswered."""
        return await self.list_runs(namespace, CRON_LABEL)
