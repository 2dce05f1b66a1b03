"""What a tenant tries: an account with the common role `edit` in its namespace, and nothing of Kipu's.

docs/threat-model.md says what it may do all the same. What an administrator may not is in test_admission.py, how long
an output may be in test_outputs.py.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from e2e.apiserver import ApiError, ApiServer, JsonObject, config_maps, jobs, pods, roles, wait_until, workflows
from e2e.history import head, read
from e2e.namespace import RESTRICTED, RUN_SECONDS, Namespace, attempts, failures, phases, step, workflow
from e2e.operator_pod import Operator, restarts

pytestmark = pytest.mark.cluster

FOR_EVER = "sleep 3600"
GIVEN_SECONDS = 60.0
FLOOD_BYTES = 250_000  # the API server takes 262,144 of annotations
GIANT_BYTES = 20 * 1024 * 1024
Write = Callable[[], object]


@pytest.fixture
def tenant(namespace: Namespace) -> str:
    """The user name of an account that may edit the namespace."""
    api, name = namespace.api, namespace.name
    api.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "tenant"}})
    role = {"kind": "ClusterRole", "name": "edit", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "ServiceAccount", "name": "tenant", "namespace": name}
    binding = {"metadata": {"name": "tenant"}, "roleRef": role, "subjects": [subject]}
    api.create(roles(name, "rolebindings"), binding)
    user = f"system:serviceaccount:{name}:tenant"
    wait_until(lambda: may(api, user, name, "create", "kipu.dev", "workflows"), GIVEN_SECONDS, f"{user} may edit")
    return user


def may(api: ApiServer, user: str, namespace: str, verb: str, group: str, resource: str) -> bool:
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    return bool(api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])


def refused(write: Write) -> str:
    with pytest.raises(ApiError) as caught:
        write()
    assert caught.value.status == 403, caught.value
    return caught.value.message


# -- the log -----------------------------------------------------------------------------------------------


def test_a_tenant_can_neither_edit_nor_delete_nor_forge_nor_unguard_a_log(namespace: Namespace, tenant: str) -> None:
    api, name = namespace.api, namespace.name
    api.create(workflows(name), workflow("kept", [step("one")]), as_user=tenant)
    namespace.finished("kept")
    uid = namespace.uid("kept")
    path, before = config_maps(name, f"kipu-log-{uid}"), head(namespace, uid)
    assert may(api, tenant, name, "deletecollection", "", "configmaps")  # so it is the policy that refuses
    owned = {"metadata": {"name": f"kipu-log-{uid}-x", "labels": {"kipu.dev/component": "log"}}, "data": {}}
    writes: list[Write] = [
        lambda: api.merge(path, {"data": {"tail": ""}}, as_user=tenant),
        lambda: api.merge(path, {"metadata": {"labels": {"kipu.dev/component": None}}}, as_user=tenant),
        lambda: api.merge(path, {"metadata": {"ownerReferences": None}}, as_user=tenant),
        lambda: api.delete(path, as_user=tenant),
        lambda: api.delete(config_maps(name), as_user=tenant),
        lambda: api.create(config_maps(name), owned, as_user=tenant),
    ]
    for write in writes:
        assert "is part of the log of a Kipu Workflow" in refused(write)
    off = {"metadata": {"labels": {"kipu.dev/log-guard": "off"}}}
    refused(lambda: api.merge(f"/api/v1/namespaces/{name}", off, as_user=tenant))
    assert head(namespace, uid) == before
    assert read(namespace, uid).of("WorkflowFinished")


def test_a_tenant_cannot_write_a_status(namespace: Namespace, tenant: str) -> None:
    namespace.submit(workflow("shown", [step("one")]))
    namespace.finished("shown")
    path = workflows(namespace.name, "shown")
    forged = {"status": {"phase": "Failed"}}
    refused(lambda: namespace.api.merge(f"{path}/status", forged, as_user=tenant))
    namespace.api.merge(path, forged, as_user=tenant)  # taken, and the subresource leaves it out
    assert namespace.status("shown")["phase"] == "Succeeded"


# -- Jobs and pods that look like ours ---------------------------------------------------------------------


@pytest.fixture
def busy(namespace: Namespace) -> JsonObject:
    """The Job of a step that runs for ever."""
    namespace.submit(workflow("busy", [step("work", FOR_EVER), step("after", after=["work"])]))
    wait_until(lambda: phases(namespace.phase("busy", "Running"))["work"] == "Running", GIVEN_SECONDS, "work runs")
    (job,) = namespace.jobs(namespace.uid("busy"))
    return job


def as_forged(job: JsonObject, name: str, owners: list[JsonObject]) -> JsonObject:
    """A Job with the labels and the annotation of ours, whose pod succeeds at once."""
    metadata = {key: copy.deepcopy(job["metadata"][key]) for key in ("labels", "annotations")}
    labels = {key: text for key, text in metadata["labels"].items() if "kubernetes.io/" not in key or "managed" in key}
    main = {**RESTRICTED["containers"][0], "image": "busybox:1.36", "command": ["true"]}
    pod = {**RESTRICTED, "restartPolicy": "Never", "containers": [main]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    made = {"name": name, "labels": labels, "annotations": metadata["annotations"], "ownerReferences": owners}
    return {"metadata": made, "spec": {"backoffLimit": 0, "template": template}}


def check_that_nobody_listens(namespace: Namespace) -> None:
    """A workflow that begins and ends now: the operator has seen all that was there before it."""
    namespace.submit(workflow("later", [step("one")]))
    assert namespace.finished("later")["phase"] == "Succeeded"
    status = namespace.status("busy")
    assert (status["phase"], phases(status)) == ("Running", {"work": "Running", "after": "Pending"})
    assert attempts(status)["work"] == 1
    log = read(namespace, namespace.uid("busy"))
    assert log.of("StepSucceeded", "StepFailed") == []
    namespace.api.merge(workflows(namespace.name, "busy"), {"spec": {"shutdown": {"mode": "Cancel", "run": 1}}})
    assert namespace.finished("busy")["phase"] == "Cancelled"


def test_a_tenant_can_neither_forge_nor_replace_nor_relabel_a_job_or_a_child(
    namespace: Namespace, tenant: str, busy: JsonObject
) -> None:
    api, at, name = namespace.api, jobs(namespace.name), busy["metadata"]["name"]
    (ours,) = busy["metadata"]["ownerReferences"]
    owner = [{**ours, "blockOwnerDeletion": False}]
    unknown = as_forged(busy, "unknown", owner)
    unknown["metadata"]["annotations"]["kipu.dev/intent"] = f"1:{'ab' * 32}"  # the trace of a log that was rolled back
    unlabelled, unmarked = as_forged(busy, "unlabelled", owner), as_forged(busy, "unmarked", owner)
    del unlabelled["metadata"]["labels"], unmarked["metadata"]["annotations"]
    child = workflow("child", [step("one")])
    child["metadata"] |= {key: as_forged(busy, "", owner)["metadata"][key] for key in ("labels", "annotations")}
    plain = as_forged(busy, "plain", [])
    del plain["metadata"]["labels"], plain["metadata"]["annotations"]
    del plain["spec"]["template"]["metadata"]  # a Job without labels gets those of its template
    api.create(at, plain, as_user=tenant)
    marks = {"kipu.dev/workflow-uid": ours["uid"]}
    placeholder = {"kipu.dev/placeholder": "true"}
    writes: list[Write] = [
        *(lambda made=made: api.create(at, made, as_user=tenant) for made in (unknown, unlabelled, unmarked)),
        lambda: api.create(at, as_forged(busy, name, owner), as_user=tenant),  # of the attempt itself
        lambda: api.create(workflows(namespace.name), child, as_user=tenant),
        lambda: api.merge(jobs(namespace.name, "plain"), {"metadata": {"labels": marks}}, as_user=tenant),
        lambda: api.merge(jobs(namespace.name, name), {"metadata": {"annotations": placeholder}}, as_user=tenant),
        lambda: api.merge(jobs(namespace.name, name), {"metadata": {"labels": dict.fromkeys(marks)}}, as_user=tenant),
    ]
    for write in writes:
        assert "that a Kipu Workflow has asked for it, which the operator alone says" in refused(write)
    api.merge(jobs(namespace.name, name), {"metadata": {"labels": {"team": "etl"}}}, as_user=tenant)
    check_that_nobody_listens(namespace)


@pytest.fixture
def unguarded(namespace: Namespace, busy: JsonObject) -> JsonObject:
    """The busy Job, in a namespace whose guard an administrator has switched off: the operator is on its own."""
    off = {"metadata": {"labels": {"kipu.dev/log-guard": "off"}}}
    namespace.api.merge(f"/api/v1/namespaces/{namespace.name}", off)
    wait_until(lambda: may_forge(namespace, busy), GIVEN_SECONDS, "the policy is off here")
    return busy


def may_forge(namespace: Namespace, job: JsonObject) -> bool:
    try:
        namespace.api.create(jobs(namespace.name) + "?dryRun=All", as_forged(job, "forged", []))
    except ApiError as error:
        if error.status != 403:
            raise
        return False
    return True


def test_forged_jobs_without_an_owner_or_with_a_wrong_one_are_not_listened_to(
    namespace: Namespace, tenant: str, unguarded: JsonObject
) -> None:
    namespace.submit(workflow("other", [step("one")]))
    (ours,) = unguarded["metadata"]["ownerReferences"]
    wrong = {**ours, "name": "other", "uid": namespace.uid("other"), "blockOwnerDeletion": False}
    beside = {**ours, "controller": False, "blockOwnerDeletion": False}
    for name, owners in (("forged-alone", []), ("forged-other", [wrong]), ("forged-beside", [beside])):
        namespace.api.create(jobs(namespace.name), as_forged(unguarded, name, owners), as_user=tenant)
        wait_until(lambda name=name: has_ended_well(namespace, name), GIVEN_SECONDS, f"{name} is complete")  # type: ignore[misc]
    check_that_nobody_listens(namespace)


def has_ended_well(namespace: Namespace, job: str) -> bool:
    conditions = namespace.api.get(jobs(namespace.name, job)).get("status", {}).get("conditions", [])
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)


def test_forged_pods_are_not_listened_to(namespace: Namespace, tenant: str, busy: JsonObject) -> None:
    template = as_forged(busy, "x", [])["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": busy["metadata"]["name"]}
    forged = {"metadata": {"name": "forged", "labels": labels}, "spec": template["spec"]}
    namespace.api.create(pods(namespace.name), forged, as_user=tenant)

    def phase() -> str:
        return str(namespace.api.get(pods(namespace.name, "forged"))["status"].get("phase"))

    wait_until(lambda: phase() == "Succeeded", GIVEN_SECONDS, "the forged pod has ended")
    check_that_nobody_listens(namespace)


# -- too much ----------------------------------------------------------------------------------------------


def test_a_giant_output_fails_its_step_alone_with_the_bound_in_words(namespace: Namespace, tenant: str) -> None:
    script = f"head -c {GIANT_BYTES} /dev/zero | tr '\\0' x > $KIPU_OUTPUT"
    giant = step("giant", script, outputs=[{"name": "text"}])
    made = workflow("giants", [giant, step("other")], onFailure="Continue")
    namespace.api.create(workflows(namespace.name), made, as_user=tenant)
    status = namespace.finished("giants")
    assert phases(status) == {"giant": "Failed", "other": "Succeeded"}
    failure = failures(status)["giant"]
    assert failure["reason"] == "OutputTooLarge"
    assert "4096 bytes" in failure["message"]
    assert len(json.dumps(status)) < 16 * 1024


def test_a_flood_of_annotations_holds_up_neither_the_operator_nor_the_other_workflows(
    namespace: Namespace, tenant: str
) -> None:
    operator = Operator(namespace.api)
    before = {pod["metadata"]["uid"]: restarts(pod) for pod in operator.pods()}
    namespace.api.create(workflows(namespace.name), workflow("flooded", [step("work", FOR_EVER)]), as_user=tenant)
    namespace.phase("flooded", "Running")
    namespace.submit(workflow("other", [step("one"), step("two", after=["one"]), step("three", after=["two"])]))
    floods = 0

    def flood_and_look() -> bool:
        nonlocal floods
        floods += 1
        flood(namespace, tenant, floods)
        return namespace.status("other").get("phase") == "Succeeded"

    wait_until(flood_and_look, RUN_SECONDS, "the other workflow has succeeded in the flood")
    assert floods > 1
    path = workflows(namespace.name, "flooded")
    namespace.api.merge(path, {"spec": {"shutdown": {"mode": "Cancel", "run": 1}}}, as_user=tenant)
    assert namespace.finished("flooded")["phase"] == "Cancelled"
    assert {pod["metadata"]["uid"]: restarts(pod) for pod in operator.pods()} == before
    log = namespace.log_objects(namespace.uid("flooded"))
    assert all("xxxx" not in json.dumps(each) for each in log)  # nothing of the flood is kept


def flood(namespace: Namespace, tenant: str, number: int) -> None:
    """Annotations as large as the API server takes, each time others."""
    text = f"{number} ".ljust(FLOOD_BYTES, "x")
    path = workflows(namespace.name, "flooded")
    namespace.api.merge(path, {"metadata": {"annotations": {"example.com/flood": text}}}, as_user=tenant)
