"""A Workflow made of an exported file, created where the old one is out of the way.

Promises: nothing is created while the old Workflow, or a pod of it, may run what the new one would run again, unless
a person says so. Must never delete the old one: that is theirs to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from kipu.shell.kube_views import POD_ENDED

from .cluster import CORE, Cluster, list_all, refused, workflow_at
from .details import some
from .errors import CannotTell
from .seen import Seen
from .transcript import Verdict


async def create(cluster: Cluster, verdict: Verdict, manifest: Mapping[str, Any], *, force: bool) -> None:
    """Create the Workflow. Raises CannotTell with what to do about it."""
    if not force:
        await _check_old_workflow(cluster, verdict)
        await _check_old_pods(cluster, verdict)
    metadata = manifest["metadata"]
    answer = await cluster.create_workflow(metadata["namespace"], manifest)
    if answer.status == HTTPStatus.CONFLICT:
        raise CannotTell(
            f"there is a Workflow '{metadata['name']}' in namespace '{metadata['namespace']}': delete it, or choose "
            "another name by --name"
        )
    if answer.status != HTTPStatus.CREATED:
        raise refused(answer, f"create Workflow '{metadata['name']}'")


async def _check_old_workflow(cluster: Cluster, verdict: Verdict) -> None:
    answer = await cluster.get(workflow_at(verdict.namespace, verdict.name))
    if answer.status == HTTPStatus.NOT_FOUND:
        return
    if answer.status != HTTPStatus.OK:
        raise refused(answer, f"see whether Workflow '{verdict.name}' still runs")
    old = Seen.of(answer.body)
    if old.uid == verdict.uid and old.condition("Finished") is None and old.condition("Stalled") is None:
        raise CannotTell(f"Workflow '{verdict.name}' still runs: let it end, cancel it or delete it, or use --force")


async def _check_old_pods(cluster: Cluster, verdict: Verdict) -> None:
    """Two attempts of a step must not run at once, and only a person knows where the old Workflow is given up."""
    pods = await list_all(
        cluster, f"{CORE}/namespaces/{verdict.namespace}/pods", f"kipu.dev/workflow-uid={verdict.uid}"
    )
    running = [pod["metadata"]["name"] for pod in pods if pod.get("status", {}).get("phase") not in POD_ENDED]
    if running:
        raise CannotTell(
            f"pods of the old Workflow have not ended: {some(running)}; wait for them or delete it with "
            f"'kubectl delete kw {verdict.name} -n {verdict.namespace} --cascade=foreground', or use --force"
        )
