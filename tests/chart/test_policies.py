"""The admission policies, on a real API server: rendered from the chart, and bound to a namespace of the test alone.

What the installed ones say to whom is in e2e/tests/test_admission.py; here are their bounds.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from kipu.api.v1alpha1_control import ANSWERS_MAX
from tests.chart.tools import attempt, create, namespace, render, run, workflow

pytestmark = pytest.mark.cluster

OPERATOR = "system:serviceaccount:kipu-system:kipu"
CONTROLLERS = ("generic-garbage-collector", "namespace-controller")
TAKES_HOLD_SECONDS = 30.0
LOG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kipu-log-x"}}


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A namespace in which the chart's policies hold, under names of their own."""
    mark = uuid.uuid4().hex[:8]
    with namespace(**{"kipu.dev/chart-test": mark}) as name:
        policies = [own(each, mark) for each in render() if each["kind"].startswith("ValidatingAdmissionPolicy")]
        assert len(policies) == 10
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": policies})
        run("kubectl", "create", "--filename=-", stdin=manifest)
        try:
            wait_until_they_hold(name)
            yield name
        finally:
            run("kubectl", "delete", "--filename=-", "--wait=false", stdin=manifest)


def own(policy: dict[str, Any], mark: str) -> dict[str, Any]:
    """The policy or binding under a name of its own, and for the marked namespace."""
    policy["metadata"] = {"name": f"{policy['metadata']['name']}-{mark}"}
    if policy["kind"].endswith("Binding"):
        policy["spec"]["policyName"] += f"-{mark}"
        selector = policy["spec"].setdefault("matchResources", {}).setdefault("namespaceSelector", {})
        selector["matchLabels"] = {"kipu.dev/chart-test": mark}
    return policy


def wait_until_they_hold(name: str) -> None:
    """The API server takes a new policy up by a watch of its own."""
    refused_by_each = (
        LOG,
        workflow("w", {"name": "a", "image": "i"}, {"name": "a", "image": "i"}),
        workflow("w", {"name": "a", "image": "i", "dependsOn": ["b"]}),
    )
    end = time.monotonic() + TAKES_HOLD_SECONDS
    while not all(create(each, "--namespace", name, "--dry-run=server").returncode for each in refused_by_each):
        assert time.monotonic() < end, "the policies do not take hold"


def steps(count: int, needs: int) -> list[dict[str, Any]]:
    """Steps with short names, each waiting for the `needs` before it."""
    names = [f"s{number:x}" for number in range(count)]
    return [
        {"name": name, "image": "i", "dependsOn": names[max(0, number - needs) : number]}
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize(("count", "needs"), [(5_000, 10), (250, 220), (1_000, 100), (5_000, 20)])
def test_a_large_workflow_does_not_cost_a_policy_too_much(guarded: str, count: int, needs: int) -> None:
    taken = create(
        workflow("large", *steps(count, needs)), "--namespace", guarded, "--dry-run=server", "--validate=false"
    )
    assert taken.returncode == 0, taken.stderr


def test_a_large_workflow_is_still_checked(guarded: str) -> None:
    wrong = steps(5_000, 2)
    wrong[-1]["dependsOn"] = ["nobody"]
    refused = create(workflow("large", *wrong), "--namespace", guarded, "--dry-run=server", "--validate=false")
    assert "step 's1387' dependsOn 'nobody': name other steps of this workflow" in refused.stderr


def test_two_steps_of_one_name_are_told_by_it(guarded: str) -> None:
    twice = workflow("w", {"name": "build", "image": "i"}, {"name": "build", "image": "i"})
    refused = create(twice, "--namespace", guarded, "--dry-run=server")
    assert "every_step_has_a_name_of_its_own" in refused.stderr
    assert "key build already exists" in refused.stderr


def test_a_step_that_says_twice_what_to_run_is_named(guarded: str) -> None:
    twice = workflow("w", {"name": "build", "image": "i", "script": "true", "args": ["x"]})
    refused = create(twice, "--namespace", guarded, "--dry-run=server")
    assert "script cannot stand beside command or args (in 'build')" in refused.stderr


def test_a_workflow_that_names_a_template_is_taken_and_cannot_be_edited(guarded: str) -> None:
    def patch(text: str) -> str:
        here = ("kubectl", "--namespace", guarded, "patch", "workflow.kipu.dev/named", "--type=merge")
        return attempt(*here, "--patch", text).stderr

    named = workflow("named")
    named["spec"] = {"templateRef": {"name": "nobody"}, "params": [{"name": "a", "value": [1]}]}
    assert create(named, "--namespace", guarded).stderr == ""
    assert patch('{"spec": {"ttlAfterFinished": "1h"}}') == ""
    assert "nothing but spec.approvals" in patch('{"spec": {"params": [{"name": "a", "value": 2}]}}')
    both = workflow("both", {"name": "a", "image": "i"}, templateRef={"name": "x"})
    assert "either steps or a templateRef" in create(both, "--namespace", guarded, "--dry-run=server").stderr


def test_a_running_workflow_can_be_shut_down_labelled_and_shown_but_not_edited(guarded: str) -> None:
    def patch(text: str, *arguments: str) -> str:
        here = ("kubectl", "--namespace", guarded, "patch", "workflow.kipu.dev/kept", "--type=merge")
        return attempt(*here, *arguments, "--patch", text).stderr

    # An image that cannot be: where an operator is installed, nothing of this will run.
    kept = workflow("kept", {"name": "a", "image": "kipu.invalid/none"})
    assert create(kept, "--namespace", guarded).returncode == 0
    assert patch('{"metadata": {"labels": {"a": "b"}}}') == ""
    assert patch('{"status": {"message": "x"}}', "--subresource=status") == ""
    edited = patch('{"spec": {"timeout": "1s"}}')
    assert "can be changed once a Workflow exists" in edited.replace("\n", " ")
    assert "'kipu salvage' makes go on with what has succeeded" in edited.replace("\n", " ")
    assert patch('{"spec": {"ttlAfterFinished": "1h"}}') == ""
    assert patch('{"spec": {"suspend": true}}') == ""
    assert patch('{"spec": {"rerun": {"number": 3}}}') == ""
    assert "the number only rises" in patch('{"spec": {"rerun": {"number": 2}}}')
    assert patch('{"spec": {"shutdown": {"mode": "Drain"}}}') == ""
    assert patch('{"spec": {"shutdown": {"mode": "Cancel"}}}') == ""
    assert "may only escalate" in patch('{"spec": {"shutdown": {"mode": "Drain"}}}')


def test_nobody_answers_in_anothers_name_up_to_the_most_answers_that_there_may_be(guarded: str) -> None:
    me = run("kubectl", "auth", "whoami", "--output=jsonpath={.status.userInfo.username}").strip()

    def patch(*by: str) -> str:
        answers = [{"step": f"a{n}", "decision": "Approve", "by": name} for n, name in enumerate(by)]
        text = json.dumps({"spec": {"approvals": answers}})
        return attempt("kubectl", "--namespace", guarded, "patch", "kw/asking", "--type=merge", "--patch", text).stderr

    asking = workflow("asking", {"name": "publish", "approval": {"message": "Publish?"}})
    forged = asking | {"spec": asking["spec"] | {"approvals": [{"step": "a", "decision": "Approve", "by": "ann"}]}}
    assert f"and you are '{me}'" in create(forged, "--namespace", guarded).stderr
    assert create(asking, "--namespace", guarded).returncode == 0
    assert "and you are" in patch("ann")
    assert patch(*[me] * ANSWERS_MAX) == ""
    assert patch(*[me] * (ANSWERS_MAX - 1)) == ""
    assert "and you are" in patch(*[me] * (ANSWERS_MAX - 1), "ann")


def test_a_step_of_finally_has_a_name_of_its_own(guarded: str) -> None:
    twice = workflow("w", {"name": "build", "image": "i"})
    twice["spec"]["finally"] = [{"name": "build", "image": "i"}]
    refused = create(twice, "--namespace", guarded, "--dry-run=server")
    assert "spec.finally: 'build': is already the name of a step in spec.steps" in refused.stderr


def test_a_large_adoption_costs_no_policy_too_much_and_cannot_be_edited(guarded: str) -> None:
    """All of it is adopted: where an operator is installed, nothing of this will run."""
    large = workflow("salvaged", *steps(5_000, 1))
    entries = [{"name": one["name"], "position": 7, "hash": "ab" * 32} for one in large["spec"]["steps"]]
    uid = "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11"
    large["spec"]["adopt"] = {"workflowUid": uid, "run": 1, "steps": entries}
    made = create(large, "--namespace", guarded, "--validate=false")
    assert made.returncode == 0, made.stderr
    here = ("kubectl", "--namespace", guarded, "patch", "workflow.kipu.dev/salvaged", "--type=merge", "--patch")
    assert "can be changed once a Workflow exists" in attempt(*here, '{"spec": {"adopt": {"run": 2}}}').stderr
    assert attempt(*here, '{"spec": {"shutdown": {"mode": "Cancel"}}}').stderr == ""


def test_only_the_operator_writes_a_log(guarded: str) -> None:
    here = ("--namespace", guarded, "--dry-run=server")
    with_rights(guarded, OPERATOR)
    assert create(LOG, *here, "--as", OPERATOR).returncode == 0
    assert "is part of the log of a Kipu Workflow" in create(LOG, *here).stderr
    masters = create(LOG, *here, "--as=somebody", "--as-group=system:masters")
    assert "is part of the log of a Kipu Workflow" in masters.stderr


@pytest.mark.parametrize(
    "metadata",
    [
        {"generateName": "kipu-log-"},
        {"name": "kipu-blob-x"},
        {"name": "other", "labels": {"kipu.dev/component": "log"}},
    ],
)
def test_nothing_may_be_made_to_look_like_a_log(guarded: str, metadata: dict[str, Any]) -> None:
    forged = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    assert "is part of the log of a Kipu Workflow" in create(forged, "--namespace", guarded, "--dry-run=server").stderr


def test_a_log_can_be_deleted_by_the_controllers_alone_even_all_at_once(guarded: str) -> None:
    here = ("--namespace", guarded)
    with_rights(guarded, OPERATOR)
    assert create(LOG, *here, "--as", OPERATOR).returncode == 0
    everything = attempt("kubectl", *here, "delete", "--raw", f"/api/v1/namespaces/{guarded}/configmaps")
    assert "is part of the log of a Kipu Workflow" in everything.stderr
    one = ("kubectl", *here, "delete", "configmap", "kipu-log-x", "--dry-run=server")
    assert "is part of the log of a Kipu Workflow" in attempt(*one).stderr
    for controller in CONTROLLERS:
        run(*one, "--as", f"system:serviceaccount:kube-system:{controller}")


def test_the_way_out_that_the_message_names_is_one(guarded: str) -> None:
    here = ("--namespace", guarded, "--dry-run=server")
    hint = f"kubectl label namespace {guarded} kipu.dev/log-guard=off"
    assert hint in create(LOG, *here).stderr.replace("\n", " ")
    run(*hint.split())
    try:
        end = time.monotonic() + TAKES_HOLD_SECONDS
        while create(LOG | {"metadata": {"name": "kipu-log-y"}}, *here).returncode:
            assert time.monotonic() < end, "the label does not take hold"
    finally:
        run("kubectl", "label", "namespace", guarded, "kipu.dev/log-guard-")


def with_rights(name: str, user: str) -> None:
    """Let this account write ConfigMaps here, whether or not the chart is installed."""
    account = user.removeprefix("system:serviceaccount:")
    attempt(
        "kubectl",
        "--namespace",
        name,
        "create",
        "rolebinding",
        "writer",
        "--clusterrole=edit",
        f"--serviceaccount={account}",
    )
