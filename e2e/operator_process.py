"""Kipu as a process of this machine, for a cluster that runs no containers: started, waited for, measured, ended by id.

Promises: it is the program of the image, by its entry point; it is who the chart says it is (its service account's
token, its rights, its policies, its Lease), so that only the kubelet is left out; after `with` it has ended, however
often it was killed and started in between. It never starts beside an operator that is installed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from .apiserver import ApiError, ApiServer, JsonObject, deployments, kubectl, wait_until, workflows
from .namespace import OPERATOR_NAMESPACE, step, workflow

CHART = Path(__file__).parents[1] / "charts" / "kipu"
NAME = "kipu"  # of the release, and so of its service account and its Lease
PARTS = ("crd", "rbac", "lease", "policies")  # all but what the kubelet would run
READY_SECONDS = 60.0
LEAD_POLL_SECONDS = 0.02  # what follows from leading is measured from there
END_SECONDS = 30.0
HTTP_SECONDS = 10.0
TOKEN_SECONDS = 4 * 3_600
LOG_BYTES = 8_000


class OperatorProcess:
    """From `with`, once it leads, to its end. `folder` is for its kubeconfig and its log, `settings` are KIPU_ ones."""

    def __init__(self, api: ApiServer, folder: Path, settings: Mapping[str, str] = {}) -> None:
        self._api = api
        self._settings = settings
        self._log = folder / "operator.log"
        self._kubeconfig = folder / "operator.kubeconfig"
        self._port = free_port()
        self._process: subprocess.Popen[bytes]
        self.led_at = 0.0  # time.time() at which this life of it was first asked and said that it leads

    def __enter__(self) -> OperatorProcess:
        assert self._api.find(deployments(OPERATOR_NAMESPACE, NAME)) is None, "an operator is installed in this cluster"
        install(self._api)
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(yaml.safe_dump(self._access()))
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def start(self) -> None:
        """Another life, once the one before it has ended; until it leads and is ready.

        It waits for the Lease of a life that was killed, unless both have the same KIPU_LEASE_HOLDER.
        """
        self.led_at = 0.0
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "kipu.shell.main"]
            self._process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)
        try:
            wait_until(self._leads, READY_SECONDS, "the operator leads", poll_seconds=LEAD_POLL_SECONDS)
        except BaseException as error:
            error.add_note(self.log())
            self.kill()  # nobody else would: `with` has not begun
            raise

    def kill(self) -> None:
        """SIGKILL, as when its node loses power; nothing where it has ended."""
        self._process.kill()
        self._process.wait(END_SECONDS)

    # -- what it says and costs ------------------------------------------------------------------------

    def metrics(self) -> str:
        """What it says at /metrics."""
        return self.ask("metrics")

    def ask(self, what: str) -> str:
        """Its answer to a path of its own server. Raises OSError where it refuses or there is none."""
        with urlopen(f"http://127.0.0.1:{self._port}/{what}", timeout=HTTP_SECONDS) as answer:
            text: bytes = answer.read()
        return text.decode()

    def cpu_seconds(self) -> float:
        """Of CPU, user and system, since it was started."""
        return cpu_seconds(self.pid)

    def memory_bytes_max(self) -> int:
        """The most that it ever had resident."""
        return self._memory_bytes("VmHWM")

    def memory_bytes(self) -> int:
        """What it has resident now."""
        return self._memory_bytes("VmRSS")

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def log(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text()[-LOG_BYTES:]

    # -- its start -------------------------------------------------------------------------------------

    def _access(self) -> JsonObject:
        """KUBECONFIG as it is, with the service account in the place of its user."""
        given = kubeconfig()
        context = {"cluster": given["clusters"][0]["name"], "user": NAME}
        users = [{"name": NAME, "user": {"token": token_of(self._api, OPERATOR_NAMESPACE, NAME)}}]
        return given | {"users": users, "contexts": [{"name": NAME, "context": context}], "current-context": NAME}

    def _environment(self) -> dict[str, str]:
        ours = {
            "KUBECONFIG": str(self._kubeconfig),
            "KIPU_HTTP_PORT": str(self._port),
            "KIPU_LEASE_NAMESPACE": OPERATOR_NAMESPACE,
            "KIPU_LEASE_NAME": NAME,
            **self._settings,
        }
        # In its image all is compiled: without PYTHONDONTWRITEBYTECODE only its first start here compiles anything.
        not_passed_on = ("KIPU_", "PYTHONDONTWRITEBYTECODE")
        return {key: text for key, text in os.environ.items() if not key.startswith(not_passed_on)} | ours

    def _leads(self) -> bool:
        assert self._process.poll() is None, "the operator has ended"
        asked_at = time.time()  # before: its loop may be busy with what it leads from then on
        with suppress(URLError, OSError):
            if not self.led_at and "kipu_leader 1.0" in self.metrics():
                self.led_at = asked_at
            return self.led_at > 0 and self.ask("readyz").strip() == "ok"
        return False

    def _memory_bytes(self, what: str) -> int:
        line = next(line for line in self._proc("status").splitlines() if line.startswith(f"{what}:"))
        return int(line.split()[1]) * 1024

    def _proc(self, file: str) -> str:
        return Path("/proc", str(self._process.pid), file).read_text()


def install(api: ApiServer) -> None:
    """What the chart holds, but for the operator's pods."""
    with suppress(ApiError):  # it may be there
        api.create("/api/v1/namespaces", {"metadata": {"name": OPERATOR_NAMESPACE}})
    only = [word for part in PARTS for word in ("--show-only", f"templates/{part}.yaml")]
    command = ["helm", "template", NAME, str(CHART), "--namespace", OPERATOR_NAMESPACE, *only]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=READY_SECONDS).stdout
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=rendered)
    kubectl("wait", "--for=condition=Established", "crd/workflows.kipu.dev", f"--timeout={READY_SECONDS:g}s")
    # While a CRD is younger than 2 s each create of its objects waits 2 s (`justCreated` in apiextensions-apiserver's
    # customresource_handler.go): this one does, and not the first that is measured.
    api.create(f"{workflows('default')}?dryRun=All", workflow("first", [step("a")]))


def kubeconfig() -> JsonObject:
    """KUBECONFIG's current context alone, with nothing in other files."""
    given: JsonObject = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    return given


def token_of(api: ApiServer, namespace: str, account: str) -> str:
    """A token of a service account, for as long as a long run takes."""
    asked = {"spec": {"audiences": [], "expirationSeconds": TOKEN_SECONDS}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str(api.create(path, asked)["status"]["token"])


def cpu_seconds(pid: int) -> float:
    """Of CPU, user and system, that a process has used. Raises OSError once it has ended."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of this machine that nobody listens at, for now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
