"""What is asked of the one client for Workflows that others own: those of CronWorkflows, and the children of steps.

Promises: those of `kube`. Such a Workflow is read without its steps: one that has ended is kept for days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kipu.core.events import ShutdownMode
from kipu.eventlog.ports import Answer

from .kube import JSON_PATCH, workflow_path
from .kube_pending import PendingKube
from .kube_resources import JOBS, WORKFLOWS, resource_of
from .kube_views import AttemptView, JobView, View


class _Stop(View, frozen=True):
    mode: str = ""
    run: int = 1


class _Again(View, frozen=True):
    number: int = 0


class _RunSpec(View, frozen=True):
    shutdown: _Stop | None = None
    rerun: _Again | None = None


class _RunStatus(View, frozen=True):
    phase: str = ""
    run: int = 0
    message: str = ""
    start_time: str | None = None
    completion_time: str | None = None


class RunView(AttemptView, frozen=True):
    """A Workflow that something owns, as far as its owner is concerned."""

    spec: _RunSpec = _RunSpec()
    status: _RunStatus = _RunStatus()


RUNS = resource_of(RunView, WORKFLOWS.group_path, WORKFLOWS.plural)


def decode_run(body: Mapping[str, object]) -> RunView:
    """The view of a Workflow that is already parsed, as in an Answer."""
    return msgspec.convert(body, RunView)


class OwnedKube(PendingKube):
    """The client, with these calls."""

    async def list_runs(self, namespace: str | None, label_selector: str) -> Sequence[RunView]:
        """A consistent list, read in pages; None: of the whole cluster. Raises Unanswered."""
        return await self._list_all(RUNS, namespace, label_selector)

    async def list_jobs(self, namespace: str, label_selector: str) -> Sequence[JobView]:
        """A consistent list, read in pages. Raises Unanswered."""
        return await self._list_all(JOBS, namespace, label_selector)

    async def get_run(self, namespace: str, name: str) -> RunView | None:
        """A consistent read: None is proof of absence. Raises Unanswered."""
        return await self._get(RUNS, RunView, namespace, name)

    async def create_workflow(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """POST. 409 AlreadyExists where something holds the name."""
        return await self._create(WORKFLOWS.group_path, WORKFLOWS.plural, namespace, manifest)

    async def end_workflow(self, run: RunView, *, mode: ShutdownMode, number: int) -> Answer:
        """Ask just this version of this Workflow to end this run. 422 where another one stands by now."""
        metadata = run.metadata
        version = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version}
        return await self._shut_down(metadata.namespace, metadata.name, metadata.uid, mode, number, [version])

    async def cancel_workflow(self, namespace: str, name: str, uid: str, *, run: int) -> Answer:
        """Ask just this Workflow to end its run, as a person would. 422 where another one of that name stands."""
        return await self._shut_down(namespace, name, uid, ShutdownMode.CANCEL, run, [])

    async def _shut_down(
        self, namespace: str, name: str, uid: str, mode: ShutdownMode, run: int, guards: Sequence[Mapping[str, object]]
    ) -> Answer:
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            *guards,
            {"op": "add", "path": "/spec/shutdown", "value": {"mode": mode.value, "run": run}},
        ]
        path = workflow_path(namespace, name)
        return await self._patch("workflows", path, msgspec.json.encode(operations), JSON_PATCH)
