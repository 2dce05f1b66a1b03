"""Facts of a custom resource with a status subresource, asked of the fake and of a real API server alike."""

from __future__ import annotations

from tests.conformance.world import MERGE_PATCH, Json, World

NOBODY = "00000000-0000-4000-8000-000000000000"


def workflow(name: str) -> Json:
    """The least that the CRD takes."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["true"]}
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"steps": [{"name": "a", "template": {"spec": {"containers": [container]}}}]},
    }


async def test_the_crd_is_served(workflows: World) -> None:
    assert await workflows.kube.serves_workflows()


async def test_status_is_a_subresource(workflows: World) -> None:
    created = await workflows.create("workflows", {**workflow("a"), "status": {"phase": "Succeeded"}})
    assert created.status == 201, created.body
    assert "status" not in created.body
    assert created.body["metadata"]["generation"] == 1
    answer = await workflows.kube.patch_workflow_status(
        workflows.namespace, "a", created.uid, {"phase": "Running", "message": "one"}
    )
    assert answer.status == 200
    assert answer.body["status"] == {"phase": "Running", "message": "one"}
    assert answer.body["spec"] == created.body["spec"]
    assert answer.body["metadata"]["generation"] == 1  # type: ignore[index]
    spec = await workflows.merge("workflows", "a", {"metadata": {"labels": {"l": "m"}}, "status": {"phase": "Failed"}})
    assert spec.body["status"]["phase"] == "Running"
    assert spec.body["metadata"]["generation"] == 1


async def test_a_status_is_replaced_as_a_whole(workflows: World) -> None:
    created = await workflows.create("workflows", workflow("a"))
    kube, namespace = workflows.kube, workflows.namespace
    await kube.patch_workflow_status(namespace, "a", created.uid, {"phase": "Running", "message": "one"})
    await kube.patch_workflow_status(namespace, "a", created.uid, {"phase": "Failed", "message": None})
    view = await kube.get_workflow(namespace, "a")
    assert view is not None
    assert view.status == {"phase": "Failed"}


async def test_an_amended_status_keeps_its_other_keys(workflows: World) -> None:
    created = await workflows.create("workflows", workflow("a"))
    kube, namespace = workflows.kube, workflows.namespace
    assert (await kube.amend_workflow_status(namespace, "a", created.uid, {"phase": "Running"})).status == 200
    assert (await kube.amend_workflow_status(namespace, "a", created.uid, {"message": "one"})).status == 200
    assert (await kube.amend_workflow_status(namespace, "a", NOBODY, {"message": "two"})).status == 409
    assert (await kube.amend_workflow_status(namespace, "b", NOBODY, {"message": "two"})).status == 404
    view = await kube.get_workflow(namespace, "a")
    assert view is not None
    assert view.status == {"phase": "Running", "message": "one"}


async def test_a_namesake_refuses_a_status(workflows: World) -> None:
    await workflows.create("workflows", workflow("a"))
    answer = await workflows.kube.patch_workflow_status(workflows.namespace, "a", NOBODY, {"phase": "Running"})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "uid" in answer.message
    view = await workflows.kube.get_workflow(workflows.namespace, "a")
    assert view is not None
    assert view.status == {}


async def test_a_merge_patch_of_a_status_does_not_see_a_wrong_uid(workflows: World) -> None:
    """Why the client tests the uid: here a merge patch's metadata.uid guards nothing."""
    await workflows.create("workflows", workflow("a"))
    path = workflows.path("workflows", "a") + "/status"
    body = {"metadata": {"uid": NOBODY}, "status": {"phase": "Running"}}
    assert (await workflows.call("PATCH", path, body, MERGE_PATCH)).status == 200
    assert (await workflows.merge("workflows", "a", {"metadata": {"uid": NOBODY}})).status == 422


async def test_a_deleted_workflow_takes_no_status(workflows: World) -> None:
    created = await workflows.create("workflows", workflow("a"))
    await workflows.delete("workflows", "a")
    answer = await workflows.kube.patch_workflow_status(workflows.namespace, "a", created.uid, {"phase": "Running"})
    assert answer.status == 404
    assert await workflows.kube.get_workflow(workflows.namespace, "a") is None


async def test_workflows_are_listed_over_all_namespaces(workflows: World) -> None:
    created = await workflows.create("workflows", workflow("a"))
    views = await workflows.kube.list_workflows()
    assert created.uid in {view.metadata.uid for view in views}
