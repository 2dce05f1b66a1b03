"""One large workflow on simulated nodes, seen from outside: what ran, in which order, its status, its cost.

Promises: Jobs and pods are counted by watches of our own and never read from our log; each figure is a count or a
measured time, per step, of one run with nothing else running. Must never be used on a real node: it keeps the ends of
pods that succeed, no others.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .apiserver import ApiServer, JsonObject, jobs, pods, workflows
from .counters import series
from .measure import own_writes, quantile, requests_in, writes_in
from .namespace import Namespace, condition, ours
from .operator_process import OperatorProcess
from .watching import Change, Watch

SERVER_WRITES = ("POST", "PUT", "PATCH", "DELETE")
MEBIBYTE = 1024 * 1024
LATE_SECONDS = 30.0  # a watch may be behind another one

Attempt = tuple[str, int, int]  # the step, the item's index (-1: no item), the number of the attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was seen of one workflow from its creation to its end."""

    status: JsonObject
    status_bytes_max: int
    status_writes: int
    jobs: Sequence[Change]  # as they came
    ends: Sequence[Change]  # of pods that have succeeded
    seconds: float
    cpu_seconds: float  # of the operator
    memory_bytes_max: int  # of the operator
    requests: Counter[tuple[str, str]]  # of the operator, by (verb, resource)
    server_writes: int  # that the API server has carried out, for everybody

    def made(self) -> Counter[Attempt]:
        """How many Jobs each attempt had."""
        return Counter(attempt_of(change) for change in self.jobs)

    def created(self) -> dict[Attempt, Change]:
        """When each attempt's Job came."""
        return {attempt_of(change): change for change in self.jobs}

    def ended(self) -> dict[Attempt, Change]:
        """When each attempt's pod had succeeded."""
        return {attempt_of(change): change for change in self.ends}

    def too_early(self, arrows: Sequence[tuple[Attempt, Attempt]]) -> list[tuple[Attempt, Attempt]]:
        """Of pairs (need, dependent), those whose Job came before the end of what it needs, by etcd's revisions."""
        created, ended = self.created(), self.ended()
        return [(need, then) for need, then in arrows if created[then].version <= ended[need].version]

    def gaps_seconds(self, arrows: Sequence[tuple[Attempt, Attempt]]) -> list[float]:
        """From the end of a pod to the next Job, as this client saw them."""
        created, ended = self.created(), self.ended()
        return [created[then].at - ended[need].at for need, then in arrows]

    def own_writes_per_step(self) -> float:
        """Of the operator, beyond the creates of Jobs and what it deletes."""
        return own_writes(self.requests) / len(self.jobs)

    def figures(self) -> str:
        """All of it in one line, per step."""
        steps = len(self.jobs)
        return (
            f"{steps} Jobs in {self.seconds:.0f} s ({steps / self.seconds:.1f}/s); per step: operator CPU"
            f" {1000 * self.cpu_seconds / steps:.2f} ms, its API writes {writes_in(self.requests).total() / steps:.2f}"
            f" (log and status {self.own_writes_per_step():.2f}), all API writes {self.server_writes / steps:.1f};"
            f" operator memory at most {self.memory_bytes_max / MEBIBYTE:.0f} MiB; status at most"
            f" {self.status_bytes_max:,} bytes in {self.status_writes} versions"
        )


def run(
    namespace: Namespace, operator: OperatorProcess, manifest: JsonObject, steps: int, timeout_seconds: float
) -> Run:
    """Create it, and watch it until it is Finished and as many Jobs, and ends of their pods, were told."""
    api, name, at = namespace.api, str(manifest["metadata"]["name"]), namespace.name
    requests, cpu = requests_in(operator.metrics()), operator.cpu_seconds()
    written = server_writes(api)
    with (
        Watch(api, workflows(at), keep=its_status) as told,
        Watch(api, jobs(at), ours(), metadata_only=True, keep=its_coming) as made,
        Watch(api, pods(at), ours(), fields="status.phase=Succeeded", metadata_only=True, keep=its_coming) as ended,
    ):
        begun = time.monotonic()
        namespace.submit(manifest)
        last = told.wait_for(finished, timeout_seconds, f"Workflow {name} finished")
        seconds = time.monotonic() - begun
        cpu, memory = operator.cpu_seconds() - cpu, operator.memory_bytes_max()
        requests, written = requests_in(operator.metrics()) - requests, server_writes(api) - written
        for watch in (made, ended):
            watch.wait_for(lambda told: len(told.history) >= steps, LATE_SECONDS, f"{steps} Jobs and ends of pods")
    sizes = [change.body["size"] for change in told.history]
    return Run(
        status=last.body["status"],
        status_bytes_max=max(sizes),
        status_writes=len({change.version for change in told.history}) - 1,
        jobs=list(made.history),
        ends=list(ended.history),
        seconds=seconds,
        cpu_seconds=cpu,
        memory_bytes_max=memory,
        requests=requests,
        server_writes=written,
    )


def gap_text(gaps: Sequence[float]) -> str:
    """Its median and its 99th percentile, over all and over the first and the last tenth."""
    tenth = max(1, len(gaps) // 10)
    first, last = sorted(gaps[:tenth]), sorted(gaps[-tenth:])
    return (
        f"gap p50 {quantile(sorted(gaps), 0.5)} ms, p99 {quantile(sorted(gaps), 0.99)} ms"
        f" (p50 of the first tenth {quantile(first, 0.5)} ms, of the last {quantile(last, 0.5)} ms)"
    )


def finished(watch: Watch) -> Change | None:
    """The change that says so."""
    newest = watch.history[-1] if watch.history else None
    return newest if newest and condition(newest.body["status"], "Finished") == "True" else None


def attempt_of(change: Change) -> Attempt:
    """Whose Job or pod this is."""
    labels = change.labels
    return labels["kipu.dev/step"], int(labels.get("kipu.dev/index", -1)), int(labels["kipu.dev/attempt"])


def its_coming(kind: str, body: JsonObject) -> JsonObject | None:
    """Of an object no more than who it is; of its changes none, nor its end."""
    if kind != "ADDED":
        return None
    kept = ("name", "uid", "labels")
    return {"metadata": {key: body["metadata"][key] for key in kept}}


def its_status(_kind: str, body: JsonObject) -> JsonObject:
    """The status, and its bytes as JSON; the spec of a thousand steps is not kept each time."""
    status = body.get("status", {})
    size = len(json.dumps(status, separators=(",", ":"), ensure_ascii=False).encode())
    return {"metadata": {"uid": body["metadata"]["uid"]}, "status": status, "size": size}


def server_writes(api: ApiServer) -> int:
    """All that the API server was asked to write so far, Leases and Events aside."""
    return sum(
        int(value)
        for label, value in series(server_metrics(api), "apiserver_request_total")
        if label["verb"] in SERVER_WRITES and label["resource"] not in ("leases", "events")
    )


def server_metrics(api: ApiServer) -> str:
    """What the API server says at /metrics."""
    return api.request("GET", "/metrics").decode()
