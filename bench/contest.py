"""One contestant runs one DAG once, in a namespace of its own, watched from outside.

Promises: each contestant gets the same pods; all are watched by the same two watches, so that the gap from a pod's end
to the next Job is seen by the same eyes; the namespace is gone before the next one begins; the order of the DAG was
kept, each task ran once, or there is no outcome but an AssertionError.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from e2e.apiserver import ApiServer, JsonObject, kubectl, wait_until, workflows
from e2e.measure import WRITES, requests_in
from e2e.namespace import ours
from e2e.operator_process import OperatorProcess
from e2e.scale import finished, its_status
from e2e.watching import Watch

from . import ideal
from .dag import Dag
from .witness import Place, Seen, Witness

IMAGE = "busybox:1.36"
DURATION_NOTE = "kipu.dev/sim-duration"
LATE_SECONDS = 30.0
GONE_SECONDS = 600.0
SECONDS_PER_TASK_MAX = 3.0  # waiting for Jobs takes one a task, on a chain
TOKEN_SECONDS = 4 * 3_600
KIPU_ALONE = ("configmaps", "kipu.dev/workflows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run took and cost."""

    contestant: str
    seconds: float
    cpu_seconds: float  # of the contestant alone
    writes: int  # of the contestant, beyond the creates of Jobs and what it deletes
    seen: Seen
    memory_bytes: int = 0
    status_bytes: int = 0


# -- the contestants --------------------------------------------------------------------------------------------


def ideal_client(place: Place, dag: Dag, name: str, wait_for: str, *, log: bool = False) -> Outcome:
    """F_pod, F_job and F_pod+log of design 05."""
    with namespace(place.api) as at:
        plan = {
            **_access(place.api, at),
            "namespace": at,
            "tasks": dag.parents,
            "jobs": [_job(task, dag.ms[task]) for task in range(len(dag))],
            "wait_for": wait_for,
            "log": log,
            "seconds_max": _seconds_max(dag),
        }
        with Witness(place, at, ideal.TASK_LABEL, lambda change: int(change.labels[ideal.TASK_LABEL])) as witness:
            command = [sys.executable, "-m", "bench.ideal"]
            limit = _seconds_max(dag) + LATE_SECONDS
            done = subprocess.run(command, input=msgspec.json.encode(plan), capture_output=True, timeout=limit)
            assert done.returncode == 0, done.stderr.decode()
            took = msgspec.json.decode(done.stdout, type=ideal.Took)
            seen = witness.seen(dag, own=("configmaps",))
    return Outcome(contestant=name, seconds=took.seconds, cpu_seconds=took.cpu_seconds, writes=took.writes, seen=seen)


def kipu(place: Place, dag: Dag, name: str, advance_on: str) -> Outcome:
    """The operator as it ships. The clock runs from before the Workflow is created until it is seen to be Finished."""
    with (
        tempfile.TemporaryDirectory() as folder,
        OperatorProcess(place.api, Path(folder), {"KIPU_ADVANCE_ON": advance_on}) as operator,
        namespace(place.api) as at,
        Witness(place, at, ours(), lambda change: int(change.labels["kipu.dev/step"][1:]), operator.pid) as witness,
        Watch(place.api, workflows(at), keep=its_status) as told,
    ):
        requests, cpu = requests_in(operator.metrics()), operator.cpu_seconds()
        begun = time.monotonic()
        place.api.create(workflows(at), _workflow(dag))
        last = told.wait_for(finished, _seconds_max(dag), f"{dag.name} finished")
        seconds, cpu = time.monotonic() - begun, operator.cpu_seconds() - cpu
        assert last.body["status"]["phase"] == "Succeeded", last.body["status"]
        requests = requests_in(operator.metrics()) - requests
        return Outcome(
            contestant=name,
            seconds=seconds,
            cpu_seconds=cpu,
            writes=_beyond_jobs(requests),
            memory_bytes=operator.memory_bytes_max(),
            status_bytes=max(change.body["size"] for change in told.history),
            seen=witness.seen(dag, own=KIPU_ALONE),
        )


def _beyond_jobs(requests: Counter[tuple[str, str]]) -> int:
    return sum(
        count for (verb, what), count in requests.items() if verb in WRITES and verb != "delete" and what != "jobs"
    )


# -- where and what -----------------------------------------------------------------------------------------------


@contextmanager
def namespace(api: ApiServer) -> Iterator[str]:
    """A namespace that is gone afterwards, with all that was in it."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    wait_until(lambda: api.find(f"{path}/serviceaccounts/default"), LATE_SECONDS, f"the service account of {name}")
    try:
        yield name
    finally:
        api.delete(path)
        wait_until(lambda: api.find(path) is None, GONE_SECONDS, f"{name} is gone")


def _seconds_max(dag: Dag) -> float:
    return 60.0 + SECONDS_PER_TASK_MAX * len(dag) + dag.critical_ms() / 1000


def _note(ms: int) -> JsonObject:
    return {"annotations": {DURATION_NOTE: f"{ms}ms"}}


def _workflow(dag: Dag) -> JsonObject:
    steps: list[JsonObject] = [
        {
            "name": f"t{task}",
            "script": "true",
            **({"dependsOn": [f"t{need}" for need in needs]} if needs else {}),
            **({"template": {"metadata": _note(dag.ms[task])}} if dag.ms[task] else {}),
        }
        for task, needs in enumerate(dag.parents)
    ]
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "bench"},
        "spec": {"defaults": {"image": IMAGE}, "steps": steps},
    }


def _job(task: int, ms: int) -> JsonObject:
    labels = {ideal.TASK_LABEL: str(task)}
    container = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "true"]}
    return {
        "metadata": {"name": f"t{task}", "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels, **(_note(ms) if ms else {})},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            },
        },
    }


def _access(api: ApiServer, at: str) -> JsonObject:
    """Where the API server is, and the token of a service account: to it as to Kipu priority and fairness apply."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": at}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{at}/rolebindings"
    api.create(path, {"metadata": {"name": "bench"}, "subjects": [subject], "roleRef": role})
    asked = {"spec": {"audiences": [], "expirationSeconds": TOKEN_SECONDS}}
    token = api.create(f"/api/v1/namespaces/{at}/serviceaccounts/default/token", asked)["status"]["token"]
    config = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    cluster = config["clusters"][0]["cluster"]
    ca = msgspec.json.decode(f'"{cluster["certificate-authority-data"]}"', type=bytes).decode()
    return {"server": cluster["server"], "ca": ca, "token": token}
