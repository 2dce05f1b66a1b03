"""What kopf is to the engine that ships: every change of a Workflow, its deletion too, into the engine's inbox."""

from __future__ import annotations

from kipu.shell.engine import Engine
from kipu.shell.kube import Kube
from kipu.shell.kube_resources import WORKFLOWS
from kipu.shell.watch import list_and_watch


async def feed(kube: Kube, engine: Engine, namespace: str | None = None) -> None:
    """For ever, as kopf does (`main.deliver`), of one namespace or of the whole cluster."""
    async for change in list_and_watch(kube, WORKFLOWS, namespace=namespace):
        if change.view is None:
            continue
        if change.kind == "Deleted":
            engine.workflow_deleted(change.view.metadata.uid)
        else:
            engine.workflow_changed(change.view)
