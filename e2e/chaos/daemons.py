"""etcd and the API server of the local cluster: killed, started again as they were, stopped and resumed.

Promises: a process is touched only by the pid that e2e/cluster/control.sh recorded, and only while that is still the
process it recorded; it is started by the very command it ran by, with its pid file and its log, so that
`make cluster-down` ends it as ever. After `with` both run. Only for the local cluster.

etcd runs with --unsafe-no-fsync there. Its death still loses nothing, since what a process has written stays in the
kernel's page cache; only the death of the machine would lose it, and nobody here tries that.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from e2e.apiserver import wait_until

END_SECONDS = 10.0
# The words of e2e/cluster/control.sh: the pid file is written by the process that becomes the daemon.
START = 'echo "$$ $(sed "s/.*) //" /proc/$$/stat | cut -d" " -f20)" >"$0"; exec "$@"'


def state_folder() -> Path:
    """Where the local cluster of KUBECONFIG keeps its state. Raises AssertionError for any other cluster."""
    folder = Path(os.environ.get("KUBECONFIG", "")).resolve().parents[1]
    flavour = folder / "flavour"
    if not flavour.is_file() or flavour.read_text().strip() != "local":
        raise AssertionError("faults of the control plane need the local cluster: CLUSTER=local make cluster-up")
    return folder


class Daemon:
    """One process of the control plane."""

    def __init__(self, state: Path, name: str) -> None:
        self.name = name
        self._pid_file = state / "pid" / name
        self._log = state / "log" / f"{name}.log"
        self._command = (Path("/proc") / str(self.pid()) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_alive():
            self.resume()
        else:
            self.start()

    def pid(self) -> int:
        """Of the process that was recorded. Raises AssertionError if that is gone."""
        pid, started = self._pid_file.read_text().split()
        if _started_at(pid) != started:
            raise AssertionError(f"{self.name} is not running: {self._pid_file} is of another process")
        return int(pid)

    def kill(self) -> None:
        """SIGKILL, and its end."""
        os.kill(self.pid(), signal.SIGKILL)
        wait_until(lambda: not self._is_alive(), END_SECONDS, f"the end of {self.name}")

    def start(self) -> None:
        """As it was. It belongs to nobody afterwards, as after `make cluster-up`."""
        with self._log.open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", "bash", "-c", START, str(self._pid_file), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
            )
        wait_until(self._is_alive, END_SECONDS, f"{self.name} runs")

    def pause(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid(), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid(), signal.SIGCONT)

    def _is_alive(self) -> bool:
        with suppress(AssertionError, OSError, ValueError):
            return self.pid() > 0
        return False


def _started_at(pid: str) -> str:
    """The start time of a process in the kernel's ticks; empty where there is none, or only its zombie."""
    try:
        fields = Path("/proc", pid, "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
