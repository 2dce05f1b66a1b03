"""The operator's pod, to be killed: every way in which a process ends without being asked."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .apiserver import ApiServer, JsonObject, pods, wait_until
from .namespace import OPERATOR_NAMESPACE, OPERATOR_SELECTOR

RESTART_SECONDS = 60.0


class Operator:
    """The one replica that the chart runs."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def pod(self) -> JsonObject:
        """The pod that is not on its way out."""

        def look() -> JsonObject | None:
            found = self._api.items(pods(OPERATOR_NAMESPACE), OPERATOR_SELECTOR)
            alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
            return alive[0] if alive else None

        return wait_until(look, RESTART_SECONDS, "a pod of the operator")

    def ready(self) -> JsonObject:
        """The pod once it is ready."""

        def look() -> JsonObject | None:
            pod = self.pod()
            return pod if any(c["type"] == "Ready" and c["status"] == "True" for c in _conditions(pod)) else None

        return wait_until(look, RESTART_SECONDS, "the operator is ready")

    def delete(self) -> str:
        """`kubectl delete pod --grace-period=0 --force`; returns the name of the pod that is gone."""
        name = str(self.pod()["metadata"]["name"])
        self._api.delete(pods(OPERATOR_NAMESPACE, name), grace_seconds=0)
        return name

    def kill(self) -> int:
        """SIGKILL from the node's side; the kubelet starts the container again. Returns the pid."""
        process = self.process(str(self.ready()["metadata"]["uid"]))
        os.kill(process, signal.SIGKILL)
        return process

    def process(self, pod_uid: str) -> int:
        """The pid of this pod's program on this machine. Raises AssertionError if it is not to be seen here."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _belongs(folder, pod_uid) and b"kipu" in _read(folder / "cmdline"):
                return int(folder.name)
        raise AssertionError(f"no process of pod {pod_uid} is on this machine")


def _belongs(process: Path, pod_uid: str) -> bool:
    return f"pod{pod_uid}".encode() in _read(process / "cgroup").replace(b"_", b"-")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has just ended
        return b""


def _conditions(pod: JsonObject) -> list[JsonObject]:
    found: list[JsonObject] = pod.get("status", {}).get("conditions", [])
    return found
