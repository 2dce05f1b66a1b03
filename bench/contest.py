"""One contestant runs one workload once, in a namespace of its own, watched from outside.

Promises: each contestant gets the same pods; all are watched by the same two watches, so that the gap from a pod's end
to the next Job is seen by the same eyes; the namespace is gone before the next one begins; the order of the DAG was
kept, each task ran once, or there is no outcome but an AssertionError.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from e2e.apiserver import ApiError, ApiServer, JsonObject, wait_until, workflows
from e2e.measure import KIPU_ALONE, a_namespace, own_writes, requests_in
from e2e.namespace import condition, ours
from e2e.operator_process import OperatorProcess, cpu_seconds, free_port, kubeconfig, token_of
from e2e.scale import its_status
from e2e.watching import Change, Watch

from . import ideal, manifests
from .dag import Workload
from .manifests import TASK_LABEL
from .witness import LATE_SECONDS, Place, Seen, Witness

GONE_SECONDS = 600.0
SECONDS_PER_TASK_MAX = 3.0  # waiting for Jobs takes one a task, on a chain
SUBMITS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run took and cost."""

    contestant: str
    seconds: float
    cpu_seconds: float  # of the contestant alone
    writes: int  # of the contestant, beyond the creates of Jobs and what it deletes
    seen: Seen
    requests: dict[str, int] = field(default_factory=dict)  # of Kipu: "verb resource" -> how many
    memory_bytes: int = 0  # the most that it had
    base_bytes: int = 0  # of it what it had before the first create
    status_bytes: int = 0


# -- the contestants --------------------------------------------------------------------------------------------


def ideal_client(
    place: Place,
    workload: Workload,
    name: str,
    wait_for: str,
    *,
    log: bool = False,
    job: Callable[[int, int], JsonObject] = manifests.job,
    labels: Mapping[str, str] = {},
) -> Outcome:
    """F_pod, F_job and F_pod+log of design 05.

    `job` makes the manifest of a task that takes so many milliseconds; `labels` are the namespace's.
    """
    whole = workload.whole()
    with namespace(place.api, labels) as at:
        plan = {
            **_access(place.api, at),
            "namespace": at,
            "tasks": whole.parents,
            "jobs": [job(task, ms) for task, ms in enumerate(whole.ms)],
            "wait_for": wait_for,
            "log": log,
            "seconds_max": _seconds_max(workload),
        }
        with Witness(place, at, TASK_LABEL, lambda change: int(change.labels[TASK_LABEL])) as witness:
            command = [sys.executable, "-m", "bench.ideal"]
            limit = _seconds_max(workload) + LATE_SECONDS
            done = subprocess.run(command, input=msgspec.json.encode(plan), capture_output=True, timeout=limit)
            assert done.returncode == 0, done.stderr.decode()
            took = msgspec.json.decode(done.stdout, type=ideal.Took)
            seen = witness.seen(whole, own=("configmaps",))
    return Outcome(contestant=name, seconds=took.seconds, cpu_seconds=took.cpu_seconds, writes=took.writes, seen=seen)


def kipu(place: Place, workload: Workload, name: str, advance_on: str) -> Outcome:
    """The operator as it ships. The clock runs from before the first create until the last is seen to be Finished."""
    size, finished = len(workload.dag), _Finished()

    def task_of(change: Change) -> int:
        return int(change.labels["kipu.dev/workflow"][1:]) * size + manifests.task_of(change.labels)

    with (
        tempfile.TemporaryDirectory() as folder,
        OperatorProcess(place.api, Path(folder), {"KIPU_ADVANCE_ON": advance_on}) as operator,
        namespace(place.api) as at,
        Witness(place, at, ours(), task_of, operator.pid) as witness,
        Watch(place.api, workflows(at), keep=finished.keep) as told,
    ):
        requests, cpu, base_bytes = requests_in(operator.metrics()), operator.cpu_seconds(), operator.memory_bytes()
        begun = time.monotonic()
        submit(place.api, at, [manifests.workflow(workload.dag, f"w{copy}") for copy in range(workload.copies)])
        what = f"{workload.name} finished"
        told.wait_for(lambda _: len(finished.phases) == workload.copies, _seconds_max(workload), what)
        seconds, cpu = time.monotonic() - begun, operator.cpu_seconds() - cpu
        assert set(finished.phases.values()) == {"Succeeded"}, finished.phases
        requests = requests_in(operator.metrics()) - requests
        return Outcome(
            contestant=name,
            seconds=seconds,
            cpu_seconds=cpu,
            writes=own_writes(requests),
            requests={f"{verb} {what}": count for (verb, what), count in sorted(requests.items())},
            memory_bytes=operator.memory_bytes_max(),
            base_bytes=base_bytes,
            status_bytes=max(change.body["size"] for change in told.history),
            seen=witness.seen(workload.whole(), own=KIPU_ALONE),
        )


def naive(place: Place, workload: Workload, name: str) -> Outcome:
    """bench.naive, of one workflow. The clock runs until the last end is seen in its `.status`."""
    assert workload.copies == 1
    tasks = len(workload.dag)
    path = f"/apis/{manifests.GROUP}/{manifests.VERSION}"
    with suppress(ApiError):  # it may be there
        place.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", manifests.naive_definition())
    what = "the CRD of the naive operator is served"
    wait_until(lambda: _is_served(place.api, f"{path}/{manifests.PLURAL}"), LATE_SECONDS, what)
    # As e2e.operator_process does of Workflows: what waits for the youth of the CRD is not the create that is measured.
    flow = manifests.naive_flow(workload.dag, "w0")
    place.api.create(f"{path}/namespaces/default/{manifests.PLURAL}?dryRun=All", flow)
    with (
        namespace(place.api) as at,
        _naive_operator(at) as pid,
        Witness(place, at, TASK_LABEL, lambda change: int(change.labels[TASK_LABEL]), pid) as witness,
        Watch(place.api, f"{path}/namespaces/{at}/{manifests.PLURAL}") as told,
    ):
        cpu, begun = cpu_seconds(pid), time.monotonic()
        place.api.create(f"{path}/namespaces/{at}/{manifests.PLURAL}", flow)
        what = f"{workload.name} finished"
        told.wait_for(lambda watch: _all_done(watch, tasks), _seconds_max(workload), what)
        seconds, cpu = time.monotonic() - begun, cpu_seconds(pid) - cpu
        seen = witness.seen(workload.whole(), own=(f"{manifests.GROUP}/{manifests.PLURAL}",))
        writes = seen.own_puts - 1  # all but the create
        return Outcome(contestant=name, seconds=seconds, cpu_seconds=cpu, writes=writes, seen=seen)


def _is_served(api: ApiServer, path: str) -> bool:
    """Of a new CRD the API server says for a moment that its storage is only being made."""
    with suppress(ApiError):
        return api.find(path) is not None
    return False


def _all_done(watch: Watch, tasks: int) -> bool:
    return bool(watch.history) and len(watch.history[-1].body.get("status", {}).get("done", {})) == tasks


@contextmanager
def _naive_operator(at: str) -> Iterator[int]:
    """Its process id, once it answers."""
    port = free_port()
    alive = f"http://127.0.0.1:{port}/healthz"
    command = ["-m", "kopf", "run", "--namespace", at, "--liveness", alive, "--quiet", "-m", "bench.naive"]
    process = subprocess.Popen([sys.executable, *command], env=dict(os.environ))
    try:
        wait_until(lambda: _answers(alive), LATE_SECONDS, "the naive operator answers")
        yield process.pid
    finally:
        process.terminate()
        process.wait(LATE_SECONDS)


def _answers(url: str) -> bool:
    with suppress(URLError, OSError), urlopen(url, timeout=LATE_SECONDS):
        return True
    return False


# -- Kipu's workflows ---------------------------------------------------------------------------------------------


class _Finished:
    """Which Workflows have ended, and how, as a watch tells of them."""

    def __init__(self) -> None:
        self.phases: dict[str, str] = {}

    def keep(self, kind: str, body: JsonObject) -> JsonObject:
        """To be given to the watch."""
        status = body.get("status", {})
        if condition(status, "Finished") == "True":
            self.phases[str(body["metadata"]["name"])] = str(status["phase"])
        return its_status(kind, body)


def submit(api: ApiServer, at: str, bodies: Sequence[JsonObject]) -> list[JsonObject]:
    """All at once, in this order; what was answered to each."""
    with ThreadPoolExecutor(SUBMITS_AT_ONCE) as threads:
        return list(threads.map(lambda body: api.create(workflows(at), body), bodies))


# -- where --------------------------------------------------------------------------------------------------------


@contextmanager
def namespace(api: ApiServer, labels: Mapping[str, str] = {}) -> Iterator[str]:
    """One that is gone afterwards, with all that was in it."""
    with ExitStack() as afterwards, a_namespace(api, labels) as made:
        path = f"/api/v1/namespaces/{made.name}"
        afterwards.callback(wait_until, lambda: api.find(path) is None, GONE_SECONDS, f"{made.name} is gone")
        yield made.name


def _seconds_max(workload: Workload) -> float:
    return 60.0 + SECONDS_PER_TASK_MAX * len(workload.dag) * workload.copies + workload.dag.critical_ms() / 1000


def _access(api: ApiServer, at: str) -> JsonObject:
    """Where the API server is, and the token of a service account: to it as to Kipu priority and fairness apply."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": at}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{at}/rolebindings"
    api.create(path, {"metadata": {"name": "bench"}, "subjects": [subject], "roleRef": role})
    cluster = kubeconfig()["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return {"server": cluster["server"], "ca": ca, "token": token_of(api, at, "default")}
