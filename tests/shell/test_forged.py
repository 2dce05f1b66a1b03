"""Jobs and pods that somebody made to look like Kipu's, by labels and annotation: nobody listens to them.

Whoever may create Jobs may write any label. What is believed is the owner reference and the committed intent.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from kipu.shell.observations import TRACKING
from tests.fakes.apiserver import ApiServer
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime

FORGED_SECONDS = 1.0
REAL_SECONDS = 60.0
OWNERS = ["nobody", "another workflow", "ours, but not as its controller"]


def programs(pod: dict[str, Any]) -> Program:
    """What is forged ends long before the real one, and well."""
    return Program(run_seconds=FORGED_SECONDS if pod["metadata"]["name"].startswith("forged") else REAL_SECONDS)


def forged(server: ApiServer, job: dict[str, Any], owner: str) -> dict[str, Any]:
    """A copy under another name."""
    (ours,) = copy.deepcopy(job["metadata"]["ownerReferences"])
    if owner == OWNERS[1]:
        other = server.create({"kind": "Workflow", "metadata": {"name": "other"}, "spec": {}})
        ours |= {"name": "other", "uid": other["metadata"]["uid"]}
    references = {OWNERS[0]: [], OWNERS[1]: [ours], OWNERS[2]: [{**ours, "controller": False}]}[owner]
    kept = {key: copy.deepcopy(job["metadata"][key]) for key in ("labels", "annotations")}
    return {"kind": "Job", "metadata": {"name": "forged", **kept, "ownerReferences": references}, "spec": _spec(job)}


def _spec(job: dict[str, Any]) -> dict[str, Any]:
    """Without what the server has put there for the first one."""
    spec = {key: value for key, value in copy.deepcopy(job["spec"]).items() if key != "selector"}
    labels = spec["template"]["metadata"]["labels"]
    spec["template"]["metadata"]["labels"] = {
        k: v for k, v in labels.items() if "kubernetes.io" not in k or "managed" in k
    }
    return spec


def is_complete(server: ApiServer, name: str) -> bool:
    conditions = (server.get("jobs", "default", name) or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)


@pytest.mark.proof
@pytest.mark.parametrize("owner", OWNERS)
async def test_a_forged_job_that_succeeds_makes_no_step_succeed(owner: str) -> None:
    server = ApiServer(programs=programs)
    uid = apply(server, step("work"), step("after", "work"))
    async with operator(server, "first"):
        await until(lambda: server.all("jobs"))
        (real,) = server.all("jobs")
        server.create(forged(server, real, owner))
        await until(lambda: is_complete(server, "forged"))
        await asyncio.sleep(5)
        assert status(server)["counts"].get("succeeded", 0) == 0
    async with operator(server, "second"):  # which opens the log with the forged one in its first list
        assert await ended(server) == "Succeeded"
    jobs = {each["metadata"]["name"] for each in server.all("jobs")} - {"forged"}
    assert len(jobs) == 2
    state = await replayed(server, uid)
    assert [each.attempt.job for each in state.steps if each.attempt is not None] == sorted(
        jobs, key=lambda name: name != real["metadata"]["name"]
    )


@pytest.mark.parametrize("owner", ["nobody", "another job"])
async def test_a_forged_pod_that_succeeds_makes_no_step_succeed(owner: str) -> None:
    server = ApiServer(programs=programs)
    apply(server, step("work"))
    async with operator(server):
        await until(lambda: [each for each in server.all("pods") if each["status"].get("phase") == "Running"])
        (real,) = server.all("pods")
        labels = {key: value for key, value in real["metadata"]["labels"].items() if "controller-uid" not in key}
        spec = {"containers": [{"name": "main", "image": "busybox:1.36"}], "restartPolicy": "Never"}
        metadata: dict[str, Any] = {"name": "forged", "labels": labels, "finalizers": [TRACKING]}
        if owner == "another job":
            template = {"spec": spec}
            other = server.create(
                {"kind": "Job", "metadata": {"name": "other"}, "spec": {"suspend": True, "template": template}}
            )
            uid = other["metadata"]["uid"]
            controller = {"apiVersion": "batch/v1", "kind": "Job", "name": "other", "uid": uid, "controller": True}
            metadata["ownerReferences"] = [controller]
        server.create({"kind": "Pod", "metadata": metadata, "spec": spec})
        server.update("pods", "default", "forged", lambda pod: {**pod, "status": _succeeded()}, status=True)
        await asyncio.sleep(5)
        assert server.get("pods", "default", "forged") is not None
        assert status(server)["counts"].get("succeeded", 0) == 0
        assert await ended(server) == "Succeeded"
    assert len([each for each in server.executions if each.pod != "forged"]) == 1


def _succeeded() -> dict[str, Any]:
    terminated = {"exitCode": 0, "reason": "Completed"}
    return {"phase": "Succeeded", "containerStatuses": [{"name": "main", "state": {"terminated": terminated}}]}
