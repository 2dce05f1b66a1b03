"""What others do to Jobs, pods, nodes and Workflows. It may change what the steps come to, so I15 is not asked;
everything else must hold, and every run must end.

`pick` chooses among what is there at that moment, by number, so that a script means the same in every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kipu.shell.kube_http import Request
from tests.fakes.etcd import Json
from tests.fakes.faults import Fault
from tests.fakes.nodes import EVICTION_SECONDS
from tests.fakes.refusals import Refused

from .script import Harm

if TYPE_CHECKING:
    from .replica import Replica
    from .world import World

GRACE_SECONDS = 31.0  # until a pod that was deleted is gone for certain
ORPHAN_SECONDS = 60.0
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """kubectl delete job, with a propagation policy: by "Orphan" its pod is left behind, for its author to delete.

    Kipu may not delete pods: an orphan that never ends keeps its step from going on, and the status names it.
    """

    pick: int
    policy: str = "Background"
    harm: ClassVar[Harm] = Harm.OUTCOME

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        job = chosen(world, "jobs", self.pick)
        if job is not None:
            world.disturb(GRACE_SECONDS)
            world.server.delete("jobs", "default", name_of(job), propagationPolicy=self.policy)
            if self.policy == "Orphan":
                world.disturb(ORPHAN_SECONDS + GRACE_SECONDS)
                world.server.later(ORPHAN_SECONDS, _delete_orphans, world)
        return None


@dataclass(frozen=True, slots=True)
class DeletePod:
    """kubectl delete pod; `force` leaves it no time, and nobody waits for its kubelet."""

    pick: int
    force: bool = False
    harm: ClassVar[Harm] = Harm.OUTCOME

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        pod = chosen(world, "pods", self.pick)
        if pod is not None:
            grace_seconds = 0 if self.force else None
            world.disturb(GRACE_SECONDS)
            world.server.delete("pods", "default", name_of(pod), gracePeriodSeconds=grace_seconds)
        return None


@dataclass(frozen=True, slots=True)
class EvictPod:
    """The eviction API: no fault of the program, so that it costs no attempt of the budget."""

    pick: int
    harm: ClassVar[Harm] = Harm.OUTCOME

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        pod = chosen(world, "pods", self.pick)
        if pod is not None:
            world.disturb(GRACE_SECONDS)
            world.server.nodes.evict("default", name_of(pod))
        return None


@dataclass(frozen=True, slots=True)
class SuspendJob:
    """Somebody suspends a Job, and resumes it `seconds` later."""

    pick: int
    seconds: float
    harm: ClassVar[Harm] = Harm.OUTCOME

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        job = chosen(world, "jobs", self.pick)
        if job is not None:
            world.disturb(self.seconds + GRACE_SECONDS)
            _suspend(world, job, suspend=True)
            world.server.later(self.seconds, lambda: _suspend(world, job, suspend=False))
        return None


@dataclass(frozen=True, slots=True)
class LoseNode:
    """The node is cut off and comes back `seconds` later, before or after its pods were given up."""

    seconds: float
    harm: ClassVar[Harm] = Harm.OUTCOME

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        if world.auditor.is_node_lost:
            return None
        world.disturb(max(self.seconds, EVICTION_SECONDS) + GRACE_SECONDS)
        world.auditor.is_node_lost = True
        world.server.nodes.lose("node-1")
        world.server.later(self.seconds, self._recover, world)
        return None

    def _recover(self, world: World) -> None:
        world.auditor.is_node_lost = False
        world.server.nodes.recover("node-1")


@dataclass(frozen=True, slots=True)
class EditWorkflow:
    """Somebody edits the spec of a Workflow that runs: it has no effect, and is shown."""

    pick: int
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        workflow = chosen(world, "workflows", self.pick)
        if workflow is not None:
            world.server.update("workflows", "default", name_of(workflow), _edited)
        return None


@dataclass(frozen=True, slots=True)
class DeleteWorkflow:
    """kubectl delete workflow: everything of it has to go."""

    pick: int
    policy: str = "Background"
    harm: ClassVar[Harm] = Harm.OUTCOME

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        workflow = chosen(world, "workflows", self.pick)
        if workflow is not None:
            world.disturb(GRACE_SECONDS)
            world.server.delete("workflows", "default", name_of(workflow), propagationPolicy=self.policy)
        return None


def chosen(world: World, plural: str, pick: int) -> Json | None:
    """One of the objects of a kind that have not ended and are not being deleted."""
    found = [body for body in world.server.all(plural) if not _is_over(body)]
    return found[pick % len(found)] if found else None


def name_of(body: Json) -> str:
    """Its name."""
    return str(body["metadata"]["name"])


def _delete_orphans(world: World) -> None:
    for pod in world.server.all("pods"):
        if not pod["metadata"].get("ownerReferences") and "deletionTimestamp" not in pod["metadata"]:
            world.server.delete("pods", "default", name_of(pod))


def _is_over(body: Json) -> bool:
    if "deletionTimestamp" in body["metadata"]:
        return True
    if body["kind"] == "Pod":
        return body["status"]["phase"] in ENDED
    if body["kind"] != "Job":
        return False
    conditions = body["status"].get("conditions", ())
    return body["spec"]["suspend"] or any(each["type"] in ("Complete", "Failed") for each in conditions)


def _suspend(world: World, job: Json, *, suspend: bool) -> None:
    def suspended(body: Json) -> Json:
        body["spec"]["suspend"] = suspend
        return body

    now = world.server.get("jobs", "default", name_of(job))
    if now is not None and now["metadata"]["uid"] == job["metadata"]["uid"]:
        try:
            world.server.update("jobs", "default", name_of(job), suspended)
        except Refused:
            return  # it has ended


def _edited(body: Json) -> Json:
    body["spec"]["priority"] = body["spec"].get("priority", 0) + 1  # a field that may stand beside a templateRef, too
    return body
