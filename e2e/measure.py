"""What a step costs, counted on the real node: `python -m e2e.measure`. Prints Markdown tables.

A chain of 20 and a fan-out of 20, one after the other, with nothing else running. Requests are those that the
operator itself counts; puts and bytes in etcd are read from etcd's own history, of the run's namespace alone;
bytes of the log are those of the data of every version of its ConfigMaps that a watch shows. The gap is from the
moment at which a client sees a pod ended to the moment at which it sees the next Job, by two watches of one process.
Bounded: RUNS x 2 workflows, each at most RUN_SECONDS.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from . import etcd
from .apiserver import ApiServer, JsonObject, config_maps, jobs, wait_until
from .counters import series
from .history import size_bytes
from .namespace import OPERATOR_NAMESPACE, Namespace, ours, step, workflow
from .operator_pod import Operator
from .watching import Change, Watch

HTTP_PORT = 8080
RUNS = 3
RUN_SECONDS = 180.0
WIDTH = 20
READS = ("get", "list")
WRITES = ("create", "patch", "delete", "update")
KIPU_ALONE = ("configmaps", "kipu.dev/workflows")  # what nobody else writes in these namespaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A workflow to be measured; `arrows` are its pairs of (need, dependent)."""

    name: str
    steps: Sequence[JsonObject]
    arrows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run cost."""

    requests: Counter[tuple[str, str]]  # (verb, resource)
    etcd: etcd.Puts
    log_written_bytes: int
    log_kept_bytes: int
    gaps_seconds: list[float]
    seconds: float


def shapes() -> list[Shape]:
    """The chain and the fan-out of the issue; steps that do nothing, so that all time is overhead."""
    names = [f"link-{number}" for number in range(WIDTH)]
    chain = [step(name, after=names[number - 1 : number] if number else []) for number, name in enumerate(names)]
    leaves = [f"leaf-{number}" for number in range(WIDTH)]
    fan = [step("root"), *(step(leaf, after=["root"]) for leaf in leaves)]
    return [
        Shape(name=f"chain of {WIDTH}", steps=chain, arrows=list(pairwise(names))),
        Shape(name=f"fan-out of 1 + {WIDTH}", steps=fan, arrows=[("root", leaf) for leaf in leaves]),
    ]


def main() -> int:
    """Measure and print."""
    api = ApiServer()
    Operator(api).ready()
    for shape in shapes():
        report(shape, [run_alone(api, shape) for _ in range(RUNS)])
    return 0


def run_alone(api: ApiServer, shape: Shape) -> Figures:
    """One run in a namespace of its own, which is gone afterwards."""
    with a_namespace(api) as namespace:
        return run(namespace, shape)


def run(namespace: Namespace, shape: Shape) -> Figures:
    """One workflow from its creation to its end and the quiet after it."""
    api, name = namespace.api, "measured"
    requests, first, begun = operator_requests(api), etcd.revision(), time.monotonic()
    with (
        namespace.watch_pods() as pods,
        Watch(api, jobs(namespace.name), ours()) as made,
        Watch(api, config_maps(namespace.name), ours()) as log,
    ):
        namespace.submit(workflow(name, shape.steps))
        status = namespace.finished(name, RUN_SECONDS)
        uid = namespace.uid(name)
        # Jobs report Complete 1 s after their pods: their writes belong to this run.
        wait_until(lambda: all(finished(job) for job in namespace.jobs(uid)), 30, "all Jobs are complete")
        seconds = time.monotonic() - begun
        gaps = gaps_seconds(shape, pods, made, uid)
        written = sum(data_bytes(change.body) for change in log.history if belongs(change, uid))
    assert status["phase"] == "Succeeded", status
    last = etcd.revision()
    return Figures(
        requests=operator_requests(api) - requests,
        etcd=etcd.puts(namespace.name, first, last) if first and last else etcd.Puts(),
        log_written_bytes=written,
        log_kept_bytes=size_bytes(namespace, uid),
        gaps_seconds=gaps,
        seconds=seconds,
    )


def gaps_seconds(shape: Shape, pods: Watch, made: Watch, uid: str) -> list[float]:
    """For each arrow, from the end of the pod to the next Job, as this client saw them."""
    ended = seen_at(pods, uid, lambda change: change.phase in ("Succeeded", "Failed"))
    created = seen_at(made, uid, lambda change: change.kind == "ADDED")
    return [created[dependent] - ended[need] for need, dependent in shape.arrows]


def seen_at(watch: Watch, uid: str, wanted: Callable[[Change], bool]) -> dict[str, float]:
    """When each step's object was first seen so."""
    found: dict[str, float] = {}
    for change in watch.history:
        if belongs(change, uid) and wanted(change):
            found.setdefault(change.labels["kipu.dev/step"], change.at)
    return found


def belongs(change: Change, uid: str) -> bool:
    """Whether this object is of that workflow."""
    return change.labels.get("kipu.dev/workflow-uid") == uid


def finished(job: JsonObject) -> bool:
    """Whether the Job controller has said its last word."""
    return any(c["type"] in ("Complete", "Failed") for c in job.get("status", {}).get("conditions", []))


def data_bytes(item: JsonObject) -> int:
    """The bytes of a ConfigMap's data; base64 counts for what it stands for."""
    packed = sum(len(text) * 3 // 4 for text in item.get("binaryData", {}).values())
    return packed + sum(len(text.encode()) for text in item.get("data", {}).values())


# -- counters --------------------------------------------------------------------------------------------------


def operator_requests(api: ApiServer) -> Counter[tuple[str, str]]:
    """All requests that the leader has made so far for workflows, by verb and resource; its Lease is not one."""
    name = Operator(api).leader()["metadata"]["name"]
    text = api.request("GET", f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{name}:{HTTP_PORT}/proxy/metrics")
    return requests_in(text.decode())


def requests_in(metrics: str) -> Counter[tuple[str, str]]:
    """The same of what an operator says at /metrics."""
    counts: Counter[tuple[str, str]] = Counter()
    for label, value in series(metrics, "kipu_api_requests_total"):
        if label["resource"] != "leases":
            counts[label["verb"], label["resource"]] += int(value)
    return counts


def writes_in(requests: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Those of them that write."""
    return Counter({key: count for key, count in requests.items() if key[0] in WRITES})


def own_writes(requests: Counter[tuple[str, str]]) -> int:
    """How many write something beyond Jobs, deletions aside: the log, the status, notices."""
    return sum(count for (verb, what), count in writes_in(requests).items() if what != "jobs" and verb != "delete")


@contextmanager
def a_namespace(api: ApiServer, labels: Mapping[str, str] = {}) -> Iterator[Namespace]:
    """A namespace that is gone afterwards."""
    name = f"measure-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
    wait_until(lambda: api.find(f"/api/v1/namespaces/{name}/serviceaccounts/default"), 30, "a service account")
    try:
        yield Namespace(api, name)
    finally:
        api.delete(f"/api/v1/namespaces/{name}")


# -- the report ------------------------------------------------------------------------------------------------


def report(shape: Shape, runs: Sequence[Figures]) -> None:
    """One section of Markdown: means over the runs, per step."""
    steps = len(shape.steps) * len(runs)
    gaps = sorted(gap for figures in runs for gap in figures.gaps_seconds)
    requests: Counter[tuple[str, str]] = sum((figures.requests for figures in runs), Counter())
    writes = writes_in(requests)
    say(f"\n### {shape.name}, {len(runs)} runs\n")
    say("| per step | |\n| --- | ---: |")
    for (verb, resource), count in sorted(writes.items(), key=lambda item: (-item[1], item[0])):
        say(f"| {verb} {resource} | {count / steps:.2f} |")
    say(f"| **API writes of Kipu** | **{writes.total() / steps:.2f}** |")
    reads = sum(count for (verb, _), count in requests.items() if verb in READS)
    say(f"| its reads (get, list) | {reads / steps:.2f} |")
    say(f"| log, bytes written | {sum(figures.log_written_bytes for figures in runs) / steps:,.0f} |")
    say(f"| log, bytes kept | {sum(figures.log_kept_bytes for figures in runs) / steps:,.0f} |")
    report_etcd(steps, [figures.etcd for figures in runs])
    say(f"\nGap from pod end to next Job: p50 {quantile(gaps, 0.5)} ms, p99 {quantile(gaps, 0.99)} ms,")
    say(f"n = {len(gaps)}. A run takes {sum(figures.seconds for figures in runs) / len(runs):.1f} s.")


def report_etcd(steps: int, runs: Sequence[etcd.Puts]) -> None:
    """Puts and bytes by resource; those of Job controller, scheduler and kubelet stand beside ours."""
    count = sum((puts.count for puts in runs), Counter[str]())
    size = sum((puts.size_bytes for puts in runs), Counter[str]())
    say("\n| etcd, per step | puts | bytes |\n| --- | ---: | ---: |")
    for resource, puts in count.most_common():
        ours = " (Kipu alone)" if resource in KIPU_ALONE else ""
        say(f"| {resource}{ours} | {puts / steps:.2f} | {size[resource] / steps:,.0f} |")
    say(f"| **all** | **{count.total() / steps:.2f}** | **{size.total() / steps:,.0f}** |")


def quantile(ordered: Sequence[float], fraction: float) -> int:
    """The nearest-rank quantile in whole milliseconds."""
    return round(nearest_rank(ordered, fraction) * 1000)


def nearest_rank(ordered: Sequence[float], fraction: float) -> float:
    """The nearest-rank quantile, of one value at least."""
    return ordered[max(0, -(-int(fraction * 1000) * len(ordered) // 1000) - 1)]


def say(text: str) -> None:
    """To stdout, at once: a run takes a minute."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
