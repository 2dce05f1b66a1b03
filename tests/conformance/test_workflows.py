"""Facts of a custom resource with a status subresource, asked of the fake and of a real API server alike."""

from __future__ import annotations

from kipu.eventlog.ports import Answer
from tests.conformance.world import MERGE_PATCH, Answered, Json, World

NOBODY = "00000000-0000-4000-8000-000000000000"


def workflow(name: str) -> Json:
    """The least that the CRD takes: a step for failures that has none to react to, so that nothing ever runs."""
    step = {"name": "a", "runWhen": "AnyFailed", "image": "busybox:1.36", "command": ["true"]}
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"steps": [step]},
    }


async def unattended(world: World, name: str = "a") -> Answered:
    """A Workflow with no status that nobody else writes to: the operator, where one serves, is done with it."""
    created = await world.create("workflows", workflow(name))
    assert created.status == 201, created.body
    if await world.has_operator():
        await world.until(lambda: _has_ended(world, name))
        assert (await show(world, name, {})).status == 200
    return created


async def show(world: World, name: str, status: Json) -> Answer:
    """Write the status of the Workflow as it is now."""
    now = await world.get("workflows", name)
    return await world.kube.patch_workflow_status(world.namespace, name, now.uid, status, resource_version=now.version)


async def _has_ended(world: World, name: str) -> bool:
    view = await world.kube.get_workflow(world.namespace, name)
    return view is not None and view.status.get("phase") == "Succeeded"


async def test_the_crd_is_served(workflows: World) -> None:
    assert await workflows.kube.serves_workflows()


async def test_status_is_a_subresource(workflows: World) -> None:
    created = await workflows.create("workflows", {**workflow("a"), "status": {"phase": "Succeeded"}})
    assert created.status == 201, created.body
    assert "status" not in created.body
    assert created.body["metadata"]["generation"] == 1
    created = await unattended(workflows, "b")
    answer = await show(workflows, "b", {"phase": "Running", "message": "one"})
    assert answer.status == 200
    assert answer.body["status"] == {"phase": "Running", "message": "one"}
    assert answer.body["spec"] == created.body["spec"]
    assert answer.body["metadata"]["generation"] == 1  # type: ignore[index]
    spec = await workflows.merge("workflows", "b", {"metadata": {"labels": {"l": "m"}}, "status": {"phase": "Failed"}})
    assert spec.body["status"]["phase"] == "Running"
    assert spec.body["metadata"]["generation"] == 1


async def test_a_workflow_that_etcd_does_not_take_is_a_500_that_no_retry_will_cure(workflows: World) -> None:
    body = workflow("a")
    container = {"name": "main", "env": [{"name": "X", "value": "x" * 1_600_000}]}
    body["spec"]["steps"][0]["template"] = {"spec": {"containers": [container]}}
    answer = await workflows.create("workflows", body)
    assert (answer.status, answer.body["message"]) == (500, "etcdserver: request is too large")
    assert (await workflows.get("workflows", "a")).status == 404


async def test_a_status_is_replaced_as_a_whole(workflows: World) -> None:
    await unattended(workflows)
    await show(workflows, "a", {"phase": "Running", "message": "one"})
    await show(workflows, "a", {"phase": "Failed", "message": None})
    view = await workflows.kube.get_workflow(workflows.namespace, "a")
    assert view is not None
    assert view.status == {"phase": "Failed"}


async def test_an_amended_status_keeps_its_other_keys(workflows: World) -> None:
    created = await unattended(workflows)
    kube, namespace = workflows.kube, workflows.namespace
    assert (await kube.amend_workflow_status(namespace, "a", created.uid, {"phase": "Running"})).status == 200
    assert (await kube.amend_workflow_status(namespace, "a", created.uid, {"message": "one"})).status == 200
    assert (await kube.amend_workflow_status(namespace, "a", NOBODY, {"message": "two"})).status == 404
    assert (await kube.amend_workflow_status(namespace, "b", NOBODY, {"message": "two"})).status == 404
    view = await kube.get_workflow(namespace, "a")
    assert view is not None
    assert view.status == {"phase": "Running", "message": "one"}


async def test_a_namesake_refuses_a_status(workflows: World) -> None:
    await unattended(workflows)
    version = (await workflows.get("workflows", "a")).version
    answer = await workflows.kube.patch_workflow_status(
        workflows.namespace, "a", NOBODY, {"phase": "Running"}, resource_version=version
    )
    assert (answer.status, answer.reason) == (409, "Conflict")
    view = await workflows.kube.get_workflow(workflows.namespace, "a")
    assert view is not None
    assert view.status == {}


async def test_a_status_replaces_only_the_version_that_it_names(workflows: World) -> None:
    """So a request that is carried out late changes nothing, and the answer gives the version for the next one."""
    await unattended(workflows)
    before = await workflows.get("workflows", "a")
    answer = await show(workflows, "a", {"phase": "Running"})
    assert (answer.status, answer.body["metadata"]["uid"]) == (200, before.uid)  # type: ignore[index]
    late = await workflows.kube.patch_workflow_status(
        workflows.namespace, "a", before.uid, {"phase": "Pending"}, resource_version=before.version
    )
    assert (late.status, late.reason) == (409, "Conflict")
    after = await workflows.get("workflows", "a")
    assert after.body["status"] == {"phase": "Running"}
    assert after.version == answer.body["metadata"]["resourceVersion"]  # type: ignore[index]


async def test_a_merge_patch_of_a_status_does_not_see_a_wrong_uid(workflows: World) -> None:
    """Why the client tests the uid: here a merge patch's metadata.uid guards nothing."""
    await unattended(workflows)
    path = workflows.path("workflows", "a") + "/status"
    body = {"metadata": {"uid": NOBODY}, "status": {"phase": "Running"}}
    assert (await workflows.call("PATCH", path, body, MERGE_PATCH)).status == 200
    assert (await workflows.merge("workflows", "a", {"metadata": {"uid": NOBODY}})).status == 422


async def test_a_deleted_workflow_takes_no_status(workflows: World) -> None:
    created = await unattended(workflows)
    await workflows.delete("workflows", "a")
    answer = await workflows.kube.patch_workflow_status(
        workflows.namespace, "a", created.uid, {"phase": "Running"}, resource_version=created.version
    )
    assert answer.status == 404
    assert await workflows.kube.get_workflow(workflows.namespace, "a") is None


async def test_workflows_are_listed_over_all_namespaces(workflows: World) -> None:
    created = await unattended(workflows)
    views = await workflows.kube.list_workflows()
    assert created.uid in {view.metadata.uid for view in views}


async def test_a_patch_of_the_spec_that_names_its_generation_is_in_no_statuss_way(workflows: World) -> None:
    """How the CLI asks something of a run: what it was made for is the spec, not the version."""
    created = await unattended(workflows)
    guards: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": created.uid},
        {"op": "test", "path": "/metadata/generation", "value": 1},
    ]
    answer = {"step": "a", "decision": "Approve", "by": "ann"}
    assert (await show(workflows, "a", {"phase": "Running"})).status == 200
    first = await workflows.patch("workflows", "a", [*guards, {"op": "add", "path": "/spec/suspend", "value": False}])
    assert (first.status, first.body["metadata"]["generation"]) == (200, 2)
    late = await workflows.patch(
        "workflows", "a", [*guards, {"op": "add", "path": "/spec/approvals", "value": [answer]}]
    )
    assert (late.status, late.reason) == (422, "Invalid")
    assert not late.body["details"].get("causes")
    assert "approvals" not in (await workflows.get("workflows", "a")).body["spec"]
