"""The Workflows of the trials that a DAG cannot say: fan-outs, and steps that are tried again."""

from __future__ import annotations

from bench import manifests
from bench.dag import fan_out
from bench.manifests import JsonObject
from e2e.namespace import retry

ATTEMPTS = 5  # of an item in a recorded history: so a log of 100,000 events has no more than 10,000 items
EXIT_CODE_NOTE = "kipu.dev/sim-exit-code"  # docs/cluster.md
SHORTEST = "1ms"  # of a backoff


def items(
    name: str, count: int, *, parallelism: int | None = None, attempts: int = 1, runs_for: str = ""
) -> JsonObject:
    """One step `shard`, repeated so often; its pods end at once where nothing says how long each runs."""
    bound = {} if parallelism is None else {"parallelism": parallelism}
    step: JsonObject = {"name": "shard", "script": "true", "forEach": {"count": count, **bound}}
    if attempts > 1:
        step["retry"] = retry(attempts, SHORTEST)
    if runs_for:
        step["template"] = {"metadata": {"annotations": {manifests.DURATION_NOTE: runs_for}}}
    return manifests.of_steps(name, [step])


def fanned_out(name: str, width: int, failing: frozenset[int]) -> JsonObject:
    """One step, then all others at once; of these tasks the first attempt fails."""
    body = manifests.workflow(fan_out(width), name)
    for task, step in enumerate(body["spec"]["steps"]):
        step["retry"] = retry(2, SHORTEST)
        if task in failing:
            step["template"] = {"metadata": {"annotations": {EXIT_CODE_NOTE: "1 0"}}}
    return body
