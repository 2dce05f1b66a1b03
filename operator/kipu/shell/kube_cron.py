"""What CronWorkflows ask of the one client: their own objects, and the Workflows that they own.

Promises: those of `kube`. A Workflow of theirs is read without its steps: one that has ended is kept for days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kipu.api.cron import CRON_LABEL
from kipu.eventlog.ports import Answer

from .kube import JSON_PATCH, Kube, workflow_path
from .kube_views import CRON_WORKFLOWS, WORKFLOWS, MetadataView, View, WorkflowView, resource_of


class _Stop(View, frozen=True):
    mode: str = ""
    run: int = 1


class _RunSpec(View, frozen=True):
    shutdown: _Stop | None = None


class _RunStatus(View, frozen=True):
    phase: str = ""
    run: int = 0
    completion_time: str | None = None


class RunView(MetadataView, frozen=True):
    """A Workflow that a CronWorkflow owns, as far as the CronWorkflow is concerned."""

    spec: _RunSpec = _RunSpec()
    status: _RunStatus = _RunStatus()


RUNS = resource_of(RunView, WORKFLOWS.group_path, WORKFLOWS.plural)


def decode_run(body: Mapping[str, object]) -> RunView:
    """The view of a Workflow that is already parsed, as in an Answer."""
    return msgspec.convert(body, RunView)


class CronKube(Kube):
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

    async def list_runs(self) -> Sequence[RunView]:
        """All of the cluster, consistent, read in pages. Raises Unanswered."""
        return await self._list_all(RUNS, None, CRON_LABEL)

    async def get_run(self, namespace: str, name: str) -> RunView | None:
        """A consistent read: None is proof of absence. Raises Unanswered."""
        return await self._get(RUNS, RunView, namespace, name)

    async def create_workflow(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST. 409 AlreadyExists where something holds the name."""
        return await self._create(WORKFLOWS.group_path, WORKFLOWS.plural, namespace, manifest)

    async def cancel_workflow(self, namespace: str, name: str, uid: str, *, run: int) -> Answer:
        """Ask just this Workflow to end its run, as a person would. 422 where another one of that name stands."""
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/spec/shutdown", "value": {"mode": "Cancel", "run": run}},
        ]
        return await self._patch(
            "workflows", workflow_path(namespace, name), msgspec.json.encode(operations), JSON_PATCH
        )
