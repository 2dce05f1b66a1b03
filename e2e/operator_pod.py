"""The operator's pods, to be killed, stopped and replaced: every way in which a leader ends without being asked.

The leader is the replica whose pod's uid the Lease names, as docs/operations.md tells a person to find it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .apiserver import ApiServer, JsonObject, deployments, leases, pods, wait_until
from .namespace import OPERATOR_NAMESPACE, OPERATOR_SELECTOR

RESTART_SECONDS = 60.0
NAME = "kipu"  # of the Deployment and of the Lease


class Operator:
    """The replicas that the chart runs."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def pods(self) -> list[JsonObject]:
        """The pods that are not on their way out."""
        found = self._api.items(pods(OPERATOR_NAMESPACE), OPERATOR_SELECTOR)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def holder(self) -> str:
        """The uid of the pod that the Lease names; "" while nobody leads."""
        lease = self._api.get(leases(OPERATOR_NAMESPACE, NAME))
        return str(lease.get("spec", {}).get("holderIdentity") or "")

    def leader(self) -> JsonObject:
        """The pod that leads, once there is one that is not on its way out."""

        def look() -> JsonObject | None:
            holder = self.holder()
            return next((pod for pod in self.pods() if pod["metadata"]["uid"] == holder), None)

        return wait_until(look, RESTART_SECONDS, "a leader")

    def ready(self) -> JsonObject:
        """The leader, once every replica is ready and none is left over."""

        def look() -> JsonObject | None:
            wanted = self._api.get(deployments(OPERATOR_NAMESPACE, NAME))["spec"]["replicas"]
            found = self._api.items(pods(OPERATOR_NAMESPACE), OPERATOR_SELECTOR)
            return self.leader() if len(found) == wanted and all(map(is_ready, found)) else None

        return wait_until(look, RESTART_SECONDS, "all replicas of the operator are ready")

    # -- what is done to the leader ------------------------------------------------------------------

    def delete(self, *, by_force: bool = True) -> str:
        """`kubectl delete pod`, or the same with `--grace-period=0 --force`; returns the name of that pod."""
        name = str(self.leader()["metadata"]["name"])
        self._api.delete(pods(OPERATOR_NAMESPACE, name), grace_seconds=0 if by_force else None)
        return name

    def kill(self) -> int:
        """SIGKILL from the node's side; the kubelet starts the container again. Returns the pid."""
        return self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """SIGSTOP: it does nothing more and does not know it. Returns the pid, for `resume`."""
        return self._signal(signal.SIGSTOP)

    def resume(self, process: int) -> None:
        """SIGCONT."""
        os.kill(process, signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> int:
        process = self.process(str(self.leader()["metadata"]["uid"]))
        os.kill(process, number)
        return process

    def process(self, pod_uid: str) -> int:
        """The pid of this pod's program on this machine. Raises AssertionError if it is not to be seen here."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _belongs(folder, pod_uid) and b"kipu" in _read(folder / "cmdline"):
                return int(folder.name)
        raise AssertionError(f"no process of pod {pod_uid} is on this machine")


def is_ready(pod: JsonObject) -> bool:
    """Whether its condition says so."""
    conditions: list[JsonObject] = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def restarts(pod: JsonObject) -> int:
    """How often its container was started again."""
    return sum(int(each["restartCount"]) for each in pod.get("status", {}).get("containerStatuses", []))


def _belongs(process: Path, pod_uid: str) -> bool:
    return f"pod{pod_uid}".encode() in _read(process / "cgroup").replace(b"_", b"-")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has just ended
        return b""
