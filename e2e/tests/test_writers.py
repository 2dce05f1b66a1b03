"""Who writes what, as the API server itself recorded it: nobody but us writes our objects, and we leave no mark."""

from __future__ import annotations

import pytest

from e2e.apiserver import JsonObject
from e2e.namespace import Namespace, fail_until, retry, step, workflow

pytestmark = pytest.mark.cluster


def writers(item: JsonObject, subresource: str = "") -> set[str]:
    fields = item["metadata"].get("managedFields", [])
    return {str(entry["manager"]) for entry in fields if entry.get("subresource", "") == subresource}


def test_only_the_operator_writes_the_status_the_log_and_the_jobs(namespace: Namespace) -> None:
    namespace.submit(workflow("owned", [step("one", fail_until(2), retry=retry(2)), step("two", after=["one"])]))
    namespace.finished("owned")
    resource = namespace.workflow("owned")
    assert writers(resource, "status") == {"kipu"}
    assert "kipu" not in writers(resource)
    assert namespace.log_objects()
    # Of the head nothing is tracked any more, by its own wish; nobody else can write it (test_admission.py).
    head = f"kipu-log-{resource['metadata']['uid']}"
    found = {item["metadata"]["name"]: writers(item) for item in namespace.log_objects()}
    assert found.pop(head) == set()
    assert all(own == {"kipu"} for own in found.values())
    assert len(namespace.jobs()) == 3
    assert {w for job in namespace.jobs() for w in writers(job)} == {"kipu"}
    assert {w for job in namespace.jobs() for w in writers(job, "status")} <= {"kube-controller-manager"}


def test_a_workflow_gets_no_finalizer_no_annotation_and_no_spec_of_ours(namespace: Namespace) -> None:
    given = workflow("plain", [step("one")])
    namespace.submit(given)
    namespace.finished("plain")
    found = namespace.workflow("plain")
    assert found["spec"] == given["spec"]
    assert found["metadata"]["generation"] == 1
    assert not {"finalizers", "annotations", "labels", "ownerReferences"} & set(found["metadata"])


def test_every_object_of_ours_is_owned_by_its_workflow(namespace: Namespace) -> None:
    namespace.submit(workflow("owner", [step("one")]))
    namespace.finished("owner")
    uid = namespace.uid("owner")
    for item in [*namespace.jobs(uid), *namespace.log_objects(uid)]:
        owners = [(owner["kind"], owner["uid"]) for owner in item["metadata"]["ownerReferences"]]
        assert owners == [("Workflow", uid)]


def test_a_steps_pod_is_untouched(namespace: Namespace) -> None:
    namespace.submit(workflow("bare", [step("one")]))
    namespace.finished("bare")
    (pod,) = namespace.pods()
    assert [c["name"] for c in pod["spec"]["containers"]] == ["main"]
    assert "initContainers" not in pod["spec"]
    assert pod["spec"]["restartPolicy"] == "Never"
