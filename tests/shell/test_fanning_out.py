"""Fan-outs on the operator that ships: items are Jobs of their own, in windows, retried and counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, operator, replayed, status, step

pytestmark = pytest.mark.looptime
RETRY = {"maxAttempts": 2, "backoff": {"initial": "2s", "jitter": "None"}}


def labels(pod: dict[str, Any]) -> dict[str, str]:
    return dict(pod["metadata"]["labels"])


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0]["env"]}


async def test_a_step_is_run_once_for_each_item() -> None:
    seen: list[dict[str, Any]] = []

    def program(pod: dict[str, Any]) -> Program:
        seen.append(pod)
        return Program(run_seconds=1.0)

    server = ApiServer(programs=program)
    uid = apply(server, step("a"), step("shard", "a", forEach={"count": 3}), step("b", "shard"))
    async with operator(server):
        assert await ended(server) == "Succeeded"
    ran = Counter((labels(pod)["kipu.dev/step"], labels(pod).get("kipu.dev/index")) for pod in seen)
    assert ran == {("a", None): 1, ("b", None): 1, ("shard", "0"): 1, ("shard", "1"): 1, ("shard", "2"): 1}
    assert (await replayed(server, uid)).is_terminal
    shown = status(server)
    assert shown["progress"] == "3/3"
    assert [entry["name"] for entry in shown["steps"]] == ["a", "shard", "b"]
    assert shown["steps"][1]["items"] == {"total": 3, "running": 0, "succeeded": 3, "failed": 0}
