"""The cluster tool's simulated nodes, kept at work while the API server dies under them.

`fakenodes` tries again what was refused, but its watch may wait for half a minute: so it is started anew after each
death of the control plane, and then finds every pod that still waits. Promises: after `with` the process has ended and
its nodes are gone.
"""

from __future__ import annotations

import subprocess
from types import TracebackType

from .patient import PatientApi

NODES = 4
END_SECONDS = 10.0


class FakeNodes:
    """From `with` to its end."""

    def __init__(self, api: PatientApi) -> None:
        self._api = api
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> FakeNodes:
        self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        for number in range(NODES):
            self._api.remove(f"/api/v1/nodes/fake-{number}")
            self._api.remove(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/fake-{number}")

    def restart(self) -> None:
        """End it, begin again, and wait until it is ready."""
        self._end()
        command = ["fakenodes", "-nodes", str(NODES)]  # no -run: straight from Pending to its end, one write a pod
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert "ready" in self._process.stdout.readline(), "fakenodes did not start: eval $(e2e/cluster/env.sh)"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=END_SECONDS)
