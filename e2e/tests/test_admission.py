"""What is refused, by whom, and with words that let a stranger mend it."""

from __future__ import annotations

import pytest

from e2e.apiserver import ApiError, JsonObject, config_maps, kubectl, roles, wait_until, workflows
from e2e.history import head
from e2e.namespace import Namespace, condition, phases, step, workflow

pytestmark = pytest.mark.cluster


def refusal(namespace: Namespace, manifest: JsonObject, *, as_user: str = "") -> str:
    with pytest.raises(ApiError) as refused:
        namespace.api.create(workflows(namespace.name), manifest, as_user=as_user)
    assert refused.value.status in (403, 422), refused.value
    return refused.value.message


# -- the manifest ----------------------------------------------------------------------------------------------


def test_a_duplicate_step_is_refused_at_once_and_named(namespace: Namespace) -> None:
    assert "twice" in refusal(namespace, workflow("doubled", [step("twice"), step("other"), step("twice")]))


def test_an_unknown_dependency_is_refused_at_once_and_named(namespace: Namespace) -> None:
    message = refusal(namespace, workflow("dangling", [step("fetch-data"), step("load", after=["fetch-dat"])]))
    assert "fetch-dat" in message


def test_an_unknown_field_is_refused_by_kubectl_with_its_path(namespace: Namespace) -> None:
    text = """
apiVersion: kipu.dev/v1alpha1
kind: Workflow
metadata: {name: misspelt}
spec: {steps: [{name: one, image: busybox:1.36, comand: ["true"]}]}
"""
    with pytest.raises(AssertionError, match="comand"):
        namespace.kubectl("apply", "--filename", "-", stdin=text)


def test_a_value_out_of_bounds_is_refused_with_its_path(namespace: Namespace) -> None:
    message = refusal(namespace, workflow("wide", [step("one")], parallelism=0))
    assert "spec.parallelism" in message


def test_a_cycle_is_rejected_by_the_operator_and_named(namespace: Namespace) -> None:
    steps = [step("a", after=["c"]), step("b", after=["a"]), step("c", after=["b"]), step("free")]
    namespace.submit(workflow("round", steps))
    status = namespace.finished("round")
    assert status["phase"] == "Rejected"
    assert condition(status, "Accepted") == "False"
    assert all(f"'{name}'" in status["message"] or f"{name} ->" in status["message"] for name in "abc"), status
    assert namespace.jobs() == []


def test_an_edit_of_the_spec_is_refused_but_a_shutdown_is_not(namespace: Namespace) -> None:
    namespace.submit(workflow("fixed", [step("one", "sleep 30")]))
    path = workflows(namespace.name, "fixed")
    with pytest.raises(ApiError) as refused:
        namespace.api.merge(path, {"spec": {"parallelism": 7}})
    assert "spec" in refused.value.message
    assert "shutdown" in refused.value.message  # what may be changed is said
    namespace.api.merge(path, {"metadata": {"labels": {"team": "etl"}}})
    namespace.api.merge(path, {"spec": {"shutdown": {"mode": "Cancel", "run": 1}}})
    assert phases(namespace.finished("fixed")) == {"one": "Cancelled"}


# -- who may start Jobs through us -----------------------------------------------------------------------------


def grant(namespace: Namespace, user: str, *rules: JsonObject) -> None:
    body: JsonObject = {"metadata": {"name": user}, "rules": list(rules)}
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    namespace.api.create(roles(namespace.name, "roles"), body)
    binding = {"metadata": {"name": user}, "roleRef": reference, "subjects": [subject]}
    namespace.api.create(roles(namespace.name, "rolebindings"), binding)
    # The authorizer learns of it by its own watch.
    wait_until(lambda: may_create_workflows(namespace, user), 30, f"{user} may create workflows")


def may_create_workflows(namespace: Namespace, user: str) -> bool:
    asked = {"namespace": namespace.name, "verb": "create", "group": "kipu.dev", "resource": "workflows"}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(namespace.api.create(path, review)["status"]["allowed"])


WORKFLOWS = {"apiGroups": ["kipu.dev"], "resources": ["workflows"], "verbs": ["*"]}
JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}


def test_who_may_not_create_jobs_may_not_create_workflows(namespace: Namespace) -> None:
    grant(namespace, "mallory", WORKFLOWS)
    message = refusal(namespace, workflow("sly", [step("one")]), as_user="mallory")
    assert "jobs" in message.lower()


def test_who_may_create_jobs_may_create_workflows(namespace: Namespace) -> None:
    grant(namespace, "alice", WORKFLOWS, JOBS)
    namespace.api.create(workflows(namespace.name), workflow("fair", [step("one")]), as_user="alice")
    assert namespace.finished("fair")["phase"] == "Succeeded"


# -- the log's ConfigMaps --------------------------------------------------------------------------------------


@pytest.fixture
def log_name(namespace: Namespace) -> str:
    namespace.submit(workflow("kept", [step("one")]))
    namespace.finished("kept")
    return f"kipu-log-{namespace.uid('kept')}"


def test_not_even_an_administrator_may_edit_or_delete_a_log(namespace: Namespace, log_name: str) -> None:
    path, uid = config_maps(namespace.name, log_name), namespace.uid("kept")
    before = head(namespace, uid)
    writes = (
        lambda: namespace.api.merge(path, {"data": {"tail": ""}}),
        lambda: namespace.api.merge(path, {"metadata": {"labels": {"kipu.dev/workflow-uid": None}}}),
        lambda: namespace.api.delete(path),
    )
    for write in writes:
        with pytest.raises(ApiError) as refused:
            write()
        assert "kipu" in refused.value.message.lower()
        assert refused.value.status in (403, 422)
    assert head(namespace, uid) == before


def test_nobody_else_may_create_what_looks_like_a_log(namespace: Namespace) -> None:
    uid = "11111111-2222-4333-8444-555555555555"
    forged: JsonObject = {"metadata": {"name": f"kipu-log-{uid}"}, "data": {"meta": "", "tail": "", "digest": ""}}
    with pytest.raises(ApiError) as refused:
        namespace.api.create(config_maps(namespace.name), forged)
    assert "kipu" in refused.value.message.lower()


def test_other_config_maps_are_nobodys_business(namespace: Namespace) -> None:
    namespace.api.create(config_maps(namespace.name), {"metadata": {"name": "my-settings"}, "data": {"a": "b"}})
    namespace.api.delete(config_maps(namespace.name, "my-settings"))


def test_the_chart_installed_its_policies_as_denying() -> None:
    bindings = kubectl(
        "get", "validatingadmissionpolicybindings", "--selector", "app.kubernetes.io/name=kipu",
        "--output", "jsonpath={range .items[*]}{.spec.policyName}={.spec.validationActions}{'\\n'}{end}",
    ).splitlines()  # fmt: skip
    assert len(bindings) >= 2
    assert all(binding.endswith('=["Deny"]') for binding in bindings), bindings
