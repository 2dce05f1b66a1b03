"""A workspace over the fake API server: whose files stand, and who finds them where."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api.workspace import INPUTS, STAGING, VOLUME
from kipu.core.events import Reason, StepSucceeded
from kipu.shell.kube_http import Request
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import Status
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, history, operator, replayed, status, step, until

pytestmark = pytest.mark.looptime

CLAIM = {"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}
MADE = {"claimTemplate": CLAIM}


def job_of(server: ApiServer, name: str, attempt: int = 1, index: int | None = None) -> dict[str, Any]:
    """The newest Job of a step's attempt."""
    wanted = {"kipu.dev/step": name, "kipu.dev/attempt": str(attempt)} | (
        {} if index is None else {"kipu.dev/index": str(index)}
    )
    jobs = [stored.object for stored in server.etcd.all("jobs")]
    return next(job for job in reversed(jobs) if wanted.items() <= job["metadata"]["labels"].items())


def mounts(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What its program finds of the workspace, by where."""
    pod = job["spec"]["template"]["spec"]
    (main,) = pod["containers"]
    assert pod["volumes"][-1]["name"] == VOLUME
    return {mount["mountPath"]: mount for mount in main["volumeMounts"]}


def variables(job: dict[str, Any]) -> dict[str, Any]:
    (main,) = job["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value") for variable in main["env"]}


def pods_of(server: ApiServer, name: str, attempt: str = "1") -> list[str]:
    return [run.pod_uid for run in server.executions if (run.step, run.attempt) == (name, attempt)]


async def test_who_comes_after_reads_the_folder_of_the_pod_that_was_committed() -> None:
    def program(pod: dict[str, Any]) -> Program:
        first = pod["metadata"]["labels"]["kipu.dev/attempt"] == "1"
        return Program(exit_code=int(first and pod["metadata"]["labels"]["kipu.dev/step"] == "a"))

    server = ApiServer(programs=program)
    uid = apply(server, step("a", retry={"maxAttempts": 2}), step("b", "a"), workspace=MADE)
    async with operator(server):
        assert await ended(server) == "Succeeded"
    (winner,) = pods_of(server, "a", "2")
    records = (await history(server, uid)).records
    successes = [each.event for each in records if isinstance(each.event, StepSucceeded)]
    assert [each.pod_uid for each in successes if each.step == "a"] == [winner]
    own, read = mounts(job_of(server, "b"))[STAGING], mounts(job_of(server, "b"))[f"{INPUTS}/a"]
    assert own["subPathExpr"] == f"kipu/{uid}/b/$(KIPU_POD_UID)"
    assert (read["subPath"], read["readOnly"]) == (f"kipu/{uid}/a/{winner}", True)
    assert (variables(job_of(server, "b"))["KIPU_STAGING"], variables(job_of(server, "b"))["KIPU_INPUTS"]) == (
        STAGING,
        INPUTS,
    )
    assert set(mounts(job_of(server, "a", 2))) == {STAGING}
    assert "KIPU_INPUTS" not in variables(job_of(server, "a", 2))


async def test_the_claim_is_made_once_and_is_the_workflows() -> None:
    server = ApiServer()
    uid = apply(server, step("a"), step("b", "a"), step("c", "b"), workspace=MADE)
    async with operator(server):
        await until(lambda: pods_of(server, "a"))
    async with operator(server, identity="two"):
        assert await ended(server) == "Succeeded"
    (claim,) = [stored.object for stored in server.etcd.all("persistentvolumeclaims")]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    (owner,) = claim["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (uid, True)
    for name in ("a", "b", "c"):
        volume = job_of(server, name)["spec"]["template"]["spec"]["volumes"][-1]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


async def test_a_claim_that_is_there_is_used_and_none_is_made() -> None:
    server = ApiServer()
    apply(server, step("a"), workspace={"claimName": "shared"})
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert not list(server.etcd.all("persistentvolumeclaims"))
    volume = job_of(server, "a")["spec"]["template"]["spec"]["volumes"][-1]
    assert volume["persistentVolumeClaim"]["claimName"] == "shared"


async def test_a_claim_that_can_never_be_made_fails_the_step_and_says_so() -> None:
    server = ApiServer()
    uid = apply(server, step("a", retry={"maxAttempts": 3}), workspace={"claimTemplate": {"spec": {}}})
    async with operator(server):
        assert await ended(server) == "Failed"
    (found,) = (await replayed(server, uid)).steps
    assert (found.reason, found.attempts) == (Reason.INVALID_JOB, 1)
    assert "the claim of the workspace" in found.message
    assert not server.executions


async def test_a_claim_that_is_refused_for_now_is_waited_for() -> None:
    server, left = ApiServer(), [Status(code=403, reason="Forbidden")] * 8
    server.faults = lambda index, request: left.pop() if left and is_claim(request) else None
    apply(server, step("a"), workspace=MADE)
    async with operator(server):
        await until(lambda: "the claim of the workspace" in str(status(server)))
        assert await ended(server) == "Succeeded"
    assert not left


def is_claim(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/persistentvolumeclaims")


async def test_of_a_fan_out_every_item_has_its_folder() -> None:
    server = ApiServer()
    uid = apply(
        server,
        step("shard", forEach={"count": 3}),
        step("quiet", "shard"),
        step("gather", "shard", inputs=["shard"]),
        workspace=MADE,
    )
    async with operator(server):
        assert await ended(server) == "Succeeded"
    read = mounts(job_of(server, "gather"))
    for index in range(3):
        (pod,) = [
            run.pod_uid
            for run in server.executions
            if run.job == job_of(server, "shard", index=index)["metadata"]["name"]
        ]
        assert read[f"{INPUTS}/shard/{index}"]["subPath"] == f"kipu/{uid}/shard/{index}/{pod}"
    assert set(mounts(job_of(server, "quiet"))) == {STAGING}  # what it does not ask for is not mounted


@pytest.mark.proof
async def test_items_too_many_to_mount_fail_the_step_that_reads_them() -> None:
    server = ApiServer(programs=lambda pod: Program(run_seconds=0.1))
    uid = apply(
        server,
        step("shard", forEach={"expression": "params.items"}),
        step("gather", "shard", inputs=["shard"]),
        params=[{"name": "items", "value": list(range(251))}],
        workspace=MADE,
    )
    async with operator(server):
        assert await ended(server) == "Failed"
    gather = (await replayed(server, uid)).steps[1]
    assert (gather.reason, gather.attempts) == (Reason.INVALID_JOB, 0)
    assert gather.message == "its inputs are the folders of more than 250 pods: more cannot be mounted"


async def test_a_step_of_several_pods_reads_and_keeps_nothing() -> None:
    server = ApiServer()
    apply(server, step("a"), step("b", "a", job={"completions": 2, "parallelism": 2}), step("c", "b"), workspace=MADE)
    async with operator(server):
        assert await ended(server) == "Succeeded"
    assert set(mounts(job_of(server, "b"))) == {f"{INPUTS}/a"}
    assert set(mounts(job_of(server, "c"))) == {STAGING}


async def test_a_success_whose_pod_nobody_knows_is_tried_again() -> None:
    """The Job is Complete and its pod is gone unseen: which folder stands could not be said."""
    server = ApiServer()
    uid = apply(server, step("a", retry={"maxAttempts": 2}), step("b", "a"), workspace=MADE)
    async with operator(server):
        await until(lambda: pods_of(server, "a"))
    await until(lambda: is_complete(job_of(server, "a")))
    for stored in list(server.etcd.all("pods")):
        server.delete("pods", "default", stored.object["metadata"]["name"], gracePeriodSeconds=0)
    await until(lambda: not list(server.etcd.all("pods")))
    async with operator(server, identity="two"):
        assert await ended(server) == "Succeeded"
    found = (await replayed(server, uid)).steps[0]
    assert (found.attempts, found.failures) == (2, 1)
    (winner,) = pods_of(server, "a", "2")
    assert mounts(job_of(server, "b"))[f"{INPUTS}/a"]["subPath"].endswith(winner)


def is_complete(job: dict[str, Any]) -> bool:
    return any(each["type"] == "Complete" for each in job.get("status", {}).get("conditions", []))


async def test_a_later_run_reads_what_an_earlier_one_has_committed() -> None:
    fails = {"b"}

    def program(pod: dict[str, Any]) -> Program:
        return Program(exit_code=int(pod["metadata"]["labels"]["kipu.dev/step"] in fails))

    server = ApiServer(programs=program)
    uid = apply(
        server,
        step("a"),
        step("shard", forEach={"count": 2}),
        step("b", "a", "shard", inputs=["a", "shard"]),
        workspace=MADE,
    )
    async with operator(server):
        assert await ended(server) == "Failed"
        fails.clear()
        server.amend("workflows", "default", "w", lambda body: body | {"spec": body["spec"] | {"rerun": {"number": 2}}})
        await until(lambda: status(server).get("run") == 2 and status(server)["phase"] == "Succeeded")
    (kept,) = pods_of(server, "a")
    (again,) = [
        job.object for job in server.etcd.all("jobs") if job.object["metadata"]["labels"]["kipu.dev/run"] == "2"
    ]
    assert mounts(again)[f"{INPUTS}/a"]["subPath"] == f"kipu/{uid}/a/{kept}"
    assert {f"{INPUTS}/shard/0", f"{INPUTS}/shard/1"} < set(mounts(again))
