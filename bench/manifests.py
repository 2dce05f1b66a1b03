"""The objects that a workload becomes: for each contestant its own, with the same pods in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby
from typing import Any

from .dag import TASKS_MAX, Dag

JsonObject = dict[str, Any]

IMAGE = "busybox:1.36"
TASK_LABEL = "bench.kipu.dev/task"  # of Jobs and pods that Kipu does not make
DURATION_NOTE = "kipu.dev/sim-duration"  # docs/cluster.md
GROUP, VERSION, PLURAL = "bench.kipu.dev", "v1", "naiveflows"


def job(task: int, ms: int) -> JsonObject:
    """The Job of a task, as somebody would write it who knows what Kipu knows of them."""
    labels = {TASK_LABEL: str(task)}
    container = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "true"]}
    pod = {
        "metadata": {"labels": labels, **_note(ms)},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {"metadata": {"name": f"t{task}", "labels": labels}, "spec": {"backoffLimit": 0, "template": pod}}


def workflow(dag: Dag, name: str) -> JsonObject:
    """A Workflow whose step `t<i>` is task i; of more tasks than it has steps, item k of `t<i>` is task i + k."""
    if len(dag) <= TASKS_MAX:
        return of_steps(name, [step(task, needs, dag.ms[task]) for task, needs in enumerate(dag.parents)])
    ways = list(zip(dag.parents, dag.ms, strict=True))
    runs = [(way, len(list(group))) for way, group in groupby(ways)]
    firsts = accumulate((count for _, count in runs), initial=0)
    steps = [_items(first, *way, count) for first, (way, count) in zip(firsts, runs, strict=False)]
    return of_steps(name, steps)


def task_of(labels: Mapping[str, str]) -> int:
    """Which task a Job or a pod is of, by Kipu's labels."""
    return int(labels["kipu.dev/step"][1:]) + int(labels.get("kipu.dev/index", "0"))


def _items(task: int, needs: Sequence[int], ms: int, count: int) -> JsonObject:
    return {**step(task, needs, ms), **({"forEach": {"count": count}} if count > 1 else {})}


def step(task: int, needs: Sequence[int], ms: int) -> JsonObject:
    """The step `t<task>`."""
    return {
        "name": f"t{task}",
        "script": "true",
        **({"dependsOn": [f"t{need}" for need in needs]} if needs else {}),
        **({"template": {"metadata": note}} if (note := _note(ms)) else {}),
    }


def of_steps(name: str, steps: list[JsonObject]) -> JsonObject:
    """A Workflow of these steps."""
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"defaults": {"image": IMAGE}, "steps": steps},
    }


def naive_flow(dag: Dag, name: str) -> JsonObject:
    """What the naive operator takes."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "NaiveFlow",
        "metadata": {"name": name},
        "spec": {"tasks": [list(needs) for needs in dag.parents], "ms": list(dag.ms)},
    }


def naive_definition() -> JsonObject:
    """Its CRD, which checks nothing."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    version = {"name": VERSION, "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"plural": PLURAL, "singular": "naiveflow", "kind": "NaiveFlow", "listKind": "NaiveFlowList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _note(ms: int) -> JsonObject:
    return {"annotations": {DURATION_NOTE: f"{ms}ms"}} if ms else {}
