"""The chart as helm renders it: what the operator may do, as whom it runs, and what values change."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kipu.api import crd
from kipu.api.crd_kinds import RESOURCES
from kipu.api.definition import MUTABLE
from kipu.shell.settings import Settings
from tests.chart.tools import CHART, attempt, render, run

pytestmark = pytest.mark.cluster  # needs helm, which comes with the cluster

ACCOUNT = {"kind": "ServiceAccount", "name": "kipu", "namespace": "kipu-system"}
# What the operator does, and no more. A new right is a decision: it is made here too.
CLUSTER_RIGHTS = {
    ("kipu.dev", "workflows"): {"get", "list", "watch", "create", "patch", "delete"},
    ("kipu.dev", "workflows/status"): {"patch"},
    ("kipu.dev", "workflows/finalizers"): {"update"},
    ("kipu.dev", "cronworkflows"): {"get", "list", "watch"},
    ("kipu.dev", "cronworkflows/status"): {"patch"},
    ("kipu.dev", "workflowtemplates"): {"get"},
    ("kipu.dev", "cronworkflows/finalizers"): {"update"},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete", "patch"},
    ("", "pods"): {"list", "watch"},
    ("", "persistentvolumeclaims"): {"create"},
    ("", "configmaps"): {"get", "list", "create", "patch", "delete"},
    ("events.k8s.io", "events"): {"create", "list"},
}
LEASES = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
LEASE_RULES = [
    LEASES | {"resourceNames": ["kipu"], "verbs": ["get", "update"]},
    LEASES | {"verbs": ["create"]},  # RBAC cannot narrow a create to a name
]


def find(manifests: list[dict[str, Any]], kind: str, name: str = "kipu") -> dict[str, Any]:
    (found,) = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def container(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (only,) = find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_helm_finds_no_fault() -> None:
    run("helm", "lint", "--strict", str(CHART))


def test_the_operator_has_the_least_rights() -> None:
    manifests = render()
    assert rights(find(manifests, "ClusterRole")) == CLUSTER_RIGHTS
    assert find(manifests, "Role")["rules"] == LEASE_RULES
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        binding = find(manifests, kind)
        assert binding["subjects"] == [ACCOUNT]
        assert binding["roleRef"]["name"] == "kipu"


def test_every_right_has_its_reason_in_the_documents_and_no_other_is_named() -> None:
    manifests = render()
    operator = by_resource(find(manifests, "ClusterRole"), find(manifests, "Role"))
    assert reasons(3) == {"": operator}
    others = {name: by_resource(find(manifests, "ClusterRole", name)) for name in ("kipu-edit", "kipu-view")}
    assert reasons(4) == others | {"kipu-test": by_resource(find(manifests, "Role", "kipu-test"))}


def by_resource(*roles: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for role in roles:
        for rule in role["rules"]:
            for resource in rule["resources"]:
                found.setdefault(resource, set()).update(rule["verbs"])
    return found


def reasons(columns: int) -> dict[str, dict[str, set[str]]]:
    """The rights in the tables of so many columns in docs/operations.md, by role ("" is the operator's)."""
    text = (CHART.parents[1] / "docs/operations.md").read_text(encoding="utf-8")
    section = text.partition("\n## Rights\n")[2].partition("\n## ")[0]
    found: dict[str, dict[str, set[str]]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or len(cells) != columns or "Verbs" in cells:
            continue
        *role, resources, verbs, why = cells
        assert why, line
        for resource in resources.split(", "):
            found.setdefault("".join(role), {}).setdefault(resource, set()).update(verbs.split(", "))
    return found


def test_no_role_holds_a_wildcard_a_secret_or_a_shell() -> None:
    roles = [each for each in render() if each["kind"] in ("ClusterRole", "Role")]
    assert len(roles) == 5
    granted = {name for role in roles for key, verbs in rights(role).items() for name in (*key, *verbs)}
    assert granted.isdisjoint({"*", "secrets", "pods/exec", "pods/attach", "pods/log", "escalate", "impersonate"})


def test_the_pod_is_nobody_in_particular_and_can_change_nothing_of_itself() -> None:
    for manifest in render():
        pod = manifest if manifest["kind"] == "Pod" else manifest.get("spec", {}).get("template")
        if not isinstance(pod, dict):
            continue
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["runAsUser"] == 65532
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_new_replica_stands_by_before_an_old_one_ends_and_each_has_time_to_end() -> None:
    spec = find(render(), "Deployment")["spec"]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert (spec["replicas"], spec["strategy"]) == (2, rolling)
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert find(render("--set", "replicas=1"), "Deployment")["spec"]["replicas"] == 1


def test_the_lease_that_the_operator_asks_for_comes_with_the_chart_and_has_no_holder() -> None:
    lease = find(render(), "Lease", Settings().lease_name)
    assert lease["metadata"]["namespace"] == "kipu-system"
    assert "spec" not in lease


def test_the_selector_finds_the_operator_and_not_the_test_pod() -> None:
    manifests = render()
    selector = find(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
    labels = find(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert not selector.items() <= find(manifests, "Pod", "kipu-test")["metadata"]["labels"].items()


def test_nothing_of_the_chart_looks_like_something_that_kipu_made() -> None:
    for manifest in render():
        assert manifest["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "kipu"


def test_the_settings_reach_the_operator() -> None:
    manifests = render("--set", "parallelism=100000,advanceOn=Job,logLevel=DEBUG,lease.renewDeadlineSeconds=7")
    given = {each["name"]: each.get("value") for each in container(manifests)["env"]}
    lease = {key: value for key, value in given.items() if key.endswith("_SECONDS")}
    assert lease == {
        "KIPU_LEASE_DURATION_SECONDS": "15",
        "KIPU_RENEW_DEADLINE_SECONDS": "7",
        "KIPU_RETRY_PERIOD_SECONDS": "2",
    }
    assert (given["KIPU_PARALLELISM"], given["KIPU_ADVANCE_ON"], given["KIPU_LOG_LEVEL"]) == ("100000", "Job", "DEBUG")
    assert {"POD_NAME", "POD_NAMESPACE", "POD_UID"} <= set(given)


def test_the_probes_ask_the_port_that_is_named() -> None:
    only = container(render())
    assert only["ports"] == [{"name": "http", "containerPort": 8080}]
    asked = {kind: only[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/livez", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }


def test_the_values_of_the_pod_arrive(tmp_path: Path) -> None:
    values = {
        "image": {"repository": "r.example/kipu", "tag": "t", "pullPolicy": "Always"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "b"},
        "resources": {"limits": {"memory": "2Gi"}},
        "serviceAccount": {"create": False, "name": "given"},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    manifests = render("--values", str(file))
    template, only = find(manifests, "Deployment")["spec"]["template"], container(manifests)
    assert (only["image"], only["imagePullPolicy"]) == ("r.example/kipu:t", "Always")
    assert only["resources"]["limits"] == {"memory": "2Gi"}
    assert template["metadata"]["annotations"] == {"a": "b"}
    for key in ("nodeSelector", "tolerations", "affinity"):
        assert template["spec"][key] == values[key]
    assert template["spec"]["serviceAccountName"] == "given"
    assert [each["metadata"]["name"] for each in manifests if each["kind"] == "ServiceAccount"] == ["kipu-test"]
    assert find(manifests, "ClusterRoleBinding")["subjects"] == [ACCOUNT | {"name": "given"}]


@pytest.mark.parametrize("policy", ["kipu-log", "kipu-attempts"])
def test_a_policy_that_lets_the_operator_through_names_the_account_that_it_runs_as(policy: str) -> None:
    manifests = render("--set", "serviceAccount.name=given", namespace="elsewhere")
    conditions = find(manifests, "ValidatingAdmissionPolicy", policy)["spec"]["matchConditions"]
    assert 'request.userInfo.username != "system:serviceaccount:elsewhere:given"' in [
        c["expression"] for c in conditions
    ]


def test_the_policy_lets_just_that_be_changed_which_the_operator_reads_again() -> None:
    text = (CHART / "templates" / "policies.yaml").read_text(encoding="utf-8")
    (listed,) = (line for line in text.splitlines() if "ttlAfterFinished" in line and "expression" in line)
    assert set(re.findall(r'"(\w+)"', listed)) == MUTABLE


def test_another_release_has_names_of_its_own() -> None:
    names = {(each["kind"], each["metadata"]["name"]) for each in render(release="second")}
    shared = names & {(each["kind"], each["metadata"]["name"]) for each in render()}
    assert shared == {("CustomResourceDefinition", f"{custom.plural}.kipu.dev") for custom in RESOURCES}


@pytest.mark.parametrize("keep", [True, False])
def test_the_chart_brings_the_very_crds(keep: bool) -> None:
    manifests = render("--set", f"crds.keep={str(keep).lower()}")
    for custom in RESOURCES:
        expected = copy.deepcopy(crd.definition(custom))
        if keep:
            expected["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
        assert find(manifests, "CustomResourceDefinition", f"{custom.plural}.kipu.dev") == expected


def test_the_crd_can_be_left_out() -> None:
    assert "CustomResourceDefinition" not in {each["kind"] for each in render("--set", "crds.enabled=false")}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("paralelism=3", "paralelism"),
        ("image.tagg=x", "tagg"),
        ("parallelism=0", "parallelism"),
        ("advanceOn=Pods", "advanceOn"),
        ("logLevel=info", "logLevel"),
        ("crds.keep=perhaps", "keep"),
        ("watchNamespace=x", "watchNamespace"),
        ("replicas=0", "replicas"),
        ("lease.durationSeconds=2", "durationSeconds"),
        ("lease.duration=15", "duration"),
    ],
)
def test_a_value_that_does_nothing_or_is_wrong_is_refused_by_name(setting: str, named: str) -> None:
    refused = attempt("helm", "template", str(CHART), "--set", setting)
    assert refused.returncode != 0
    assert named in refused.stderr


def test_alerts_and_a_dashboard_come_only_where_they_are_asked_for() -> None:
    kinds = {each["kind"] for each in render()}
    assert "PrometheusRule" not in kinds
    asked = ("alerts.enabled=true", "alerts.labels.release=prometheus", "alerts.runbookUrl=https://wiki/kipu")
    manifests = render("--set", ",".join([*asked, "dashboard.enabled=true"]))
    rules = find(manifests, "PrometheusRule")
    assert rules["metadata"]["labels"]["release"] == "prometheus"
    (group,) = rules["spec"]["groups"]
    plain = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    for rule, written in zip(group["rules"], plain, strict=True):
        url = f"https://wiki/kipu#{rule['alert'].lower()}"
        assert rule == written | {"annotations": written["annotations"] | {"runbook_url": url}}
    dashboard = find(manifests, "ConfigMap", "kipu-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["kipu.json"])["title"] == "Kipu"
