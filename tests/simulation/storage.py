"""What befalls the store as a whole: quotas, and an etcd that is restored from a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kipu.shell.kube_http import Request
from tests.fakes.etcd import FIRST_REVISION
from tests.fakes.faults import Fault
from tests.fakes.watching import End

from .faults import DEAF_SECONDS
from .script import Harm

if TYPE_CHECKING:
    from .replica import Replica
    from .world import World

RESTART_SECONDS = 20.0  # from the API server's start to the operator's
RETRY_SECONDS_MAX = 30.0  # a session that has failed again and again waits so long


@dataclass(frozen=True, slots=True)
class Quota:
    """A ResourceQuota for `seconds` that leaves no room for another object: "configmaps" or "jobs.batch"."""

    resource: str
    seconds: float
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        name = f"quota-{self.resource.replace('.', '-')}"
        if world.server.get("resourcequotas", "default", name) is not None:
            return None
        world.disturb(self.seconds + RETRY_SECONDS_MAX)
        manifest = {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": {"name": name}}
        world.server.create({**manifest, "spec": {"hard": {f"count/{self.resource}": "0"}}})
        world.server.later(self.seconds, self._lift, world, name)
        return None

    def _lift(self, world: World, name: str) -> None:
        if world.server.get("resourcequotas", "default", name) is not None:
            world.server.delete("resourcequotas", "default", name)


@dataclass(frozen=True, slots=True)
class RestoreEtcd:
    """etcd goes back by `revisions` writes: the API server is started anew with it, or lives on for `live_seconds`.

    Whoever has caches of the lost future is restarted in the end, as the Kubernetes documentation asks for: before
    that no harm may be done, after it every run has to end.
    """

    revisions: int
    live_seconds: float = 0.0
    harm: ClassVar[Harm] = Harm.LOG

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """See Strike."""
        server = world.server
        if server.etcd.lost is not None:
            return None
        target = max(server.etcd.compacted, FIRST_REVISION, server.etcd.revision - self.revisions)
        server.restore(target, under_a_live_server=self.live_seconds > 0)
        world.auditor.restored()
        world.disturb(self.live_seconds + RESTART_SECONDS + DEAF_SECONDS)
        if self.live_seconds:
            server.later(self.live_seconds, self._restart, world)
        else:
            self._restart(world)
        return None

    def _restart(self, world: World) -> None:
        world.server.etcd.restart_server()
        for quota in world.server.all("resourcequotas"):  # one that has come back is lifted again
            world.server.delete("resourcequotas", "default", quota["metadata"]["name"])
        world.ask_again()
        world.server.end_watches(End.RESET)
        for replica in world.replicas:
            world.server.later(RESTART_SECONDS, replica.kill, replica.lane)
