"""Each flag of the chart, on and off: what comes of it, and that nothing is left of it without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kipu.api.crd_kinds import RESOURCES
from tests.chart.test_rendering import ACCOUNT, CLUSTER_RIGHTS, container, find, rights
from tests.chart.tools import CHART, attempt, render

pytestmark = pytest.mark.cluster  # needs helm, which comes with the cluster

SELECTOR = {"app.kubernetes.io/name": "kipu", "app.kubernetes.io/instance": "kipu"}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}


def kinds(manifests: list[dict[str, Any]]) -> set[str]:
    return {each["kind"] for each in manifests}


def with_values(tmp_path: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return render("--values", str(file))


def pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    template = find(manifests, "Deployment")["spec"]["template"]
    assert isinstance(template, dict)
    return template


# -- disruption, spread, placement ------------------------------------------------------------------------


def test_a_drain_takes_one_replica_at_a_time_and_one_that_is_broken_holds_up_nobody() -> None:
    budget = find(render(), "PodDisruptionBudget")["spec"]
    assert budget == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": SELECTOR},
    }
    half = find(render("--set", "podDisruptionBudget.maxUnavailable=50%"), "PodDisruptionBudget")["spec"]
    assert half["maxUnavailable"] == "50%"


@pytest.mark.parametrize("setting", ["replicas=1", "podDisruptionBudget.enabled=false"])
def test_a_drain_never_waits_for_a_replica_that_there_is_not(setting: str) -> None:
    assert "PodDisruptionBudget" not in kinds(render("--set", setting))


def test_replicas_are_spread_over_nodes_those_of_one_version_among_each_other() -> None:
    assert pod(render())["spec"]["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "matchLabelKeys": ["pod-template-hash"],
            "labelSelector": {"matchLabels": SELECTOR},
        }
    ]


def test_a_spread_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    own = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}
    chosen = own | {"labelSelector": {"matchLabels": {"a": "b"}}}
    spec = pod(with_values(tmp_path, {"topologySpreadConstraints": [own, chosen]}))["spec"]
    assert spec["topologySpreadConstraints"] == [own | {"labelSelector": {"matchLabels": SELECTOR}}, chosen]
    assert "topologySpreadConstraints" not in pod(with_values(tmp_path, {"topologySpreadConstraints": []}))["spec"]


def test_a_pods_labels_priority_secrets_and_variables_arrive_and_are_absent_by_default(tmp_path: Path) -> None:
    secrets = [{"name": "registry"}]
    proxy = [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    values = {
        "podLabels": {"team": "data"},
        "priorityClassName": "system-cluster-critical",
        "imagePullSecrets": secrets,
        "extraEnv": proxy,
    }
    manifests = with_values(tmp_path, values)
    template = pod(manifests)
    assert template["metadata"]["labels"].items() >= (SELECTOR | {"team": "data"}).items()
    assert find(manifests, "Deployment")["spec"]["selector"]["matchLabels"] == SELECTOR
    assert template["spec"]["priorityClassName"] == "system-cluster-critical"
    assert template["spec"]["imagePullSecrets"] == secrets
    assert find(manifests, "Pod", "kipu-test")["spec"]["imagePullSecrets"] == secrets
    assert container(manifests)["env"][-1:] == proxy
    assert {"priorityClassName", "imagePullSecrets"}.isdisjoint(pod(render())["spec"])


# -- the net ----------------------------------------------------------------------------------------------


def test_there_is_no_network_policy_unless_it_is_asked_for() -> None:
    assert "NetworkPolicy" not in kinds(render())


def test_the_network_policy_lets_in_one_port_and_out_to_names_and_the_api_server() -> None:
    assert find(render("--set", "networkPolicy.enabled=true"), "NetworkPolicy")["spec"] == {
        "podSelector": {"matchLabels": SELECTOR},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
        "egress": [
            {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
            {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]},
        ],
    }


def test_the_network_policy_can_be_narrowed_to_addresses_and_peers(tmp_path: Path) -> None:
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    dns = {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    narrow = {
        "enabled": True,
        "metricsFrom": [monitoring],
        "dnsTo": [dns],
        "apiServer": {"cidrs": ["10.0.0.1/32", "fd00::1/128"], "ports": [6443]},
    }
    spec = find(with_values(tmp_path, {"networkPolicy": narrow}), "NetworkPolicy")["spec"]
    assert spec["ingress"][0]["from"] == [monitoring]
    assert spec["egress"][0]["to"] == [dns]
    assert spec["egress"][1] == {
        "ports": [{"port": 6443, "protocol": "TCP"}],
        "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
    }


# -- metrics ----------------------------------------------------------------------------------------------


def test_the_service_of_metrics_finds_every_replica_ready_or_not() -> None:
    service = find(render(), "Service", "kipu-metrics")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"] == SELECTOR
    assert service["ports"] == [{"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}]
    assert "Service" not in kinds(render("--set", "metrics.service=false"))


def test_a_service_monitor_selects_that_service_alone_and_carries_the_labels_that_prometheus_asks_for() -> None:
    on = "serviceMonitor.enabled=true,serviceMonitor.interval=10s,serviceMonitor.labels.release=prometheus"
    manifests = render("--set", f"{on},metrics.service=false")
    monitor, service = find(manifests, "ServiceMonitor"), find(manifests, "Service", "kipu-metrics")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "10s"}
    assert "ServiceMonitor" not in kinds(render())


# -- whose Workflows --------------------------------------------------------------------------------------


def test_an_operator_of_a_few_namespaces_has_its_rights_there_and_nowhere_else() -> None:
    manifests = render("--set", "watchNamespaces={here,there}")
    roles = [each for each in manifests if each["kind"] == "Role" and each["metadata"]["name"] == "kipu-operator"]
    assert [role["metadata"]["namespace"] for role in roles] == ["here", "there"]
    assert all(rights(role) == CLUSTER_RIGHTS for role in roles)
    bindings = [
        each for each in manifests if each["kind"] == "RoleBinding" and each["metadata"]["name"] == "kipu-operator"
    ]
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["here", "there"]
    assert all(binding["subjects"] == [ACCOUNT] for binding in bindings)
    assert all(binding["roleRef"]["name"] == "kipu-operator" for binding in bindings)
    left = {(each["kind"], each["metadata"]["name"]) for each in manifests if each["kind"] in CLUSTER_WIDE}
    assert left == {("ClusterRole", "kipu-edit"), ("ClusterRole", "kipu-view")}  # bound to nobody: gathered by others


def test_an_operator_of_a_few_namespaces_is_told_so_and_its_policies_hold_there_alone() -> None:
    manifests = render("--set", "watchNamespaces={here,there}")
    told = {each["name"]: each.get("value") for each in container(manifests)["env"]}
    assert told["KIPU_WATCH_NAMESPACES"] == "here,there"
    bindings = [each for each in manifests if each["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert len(bindings) == 5
    only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["here", "there"]}
    for binding in bindings:
        assert only in binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]


def test_an_operator_of_the_whole_cluster_is_told_nothing_and_its_policies_hold_everywhere() -> None:
    manifests = render()
    assert "KIPU_WATCH_NAMESPACES" not in {each["name"] for each in container(manifests)["env"]}
    selectors = {
        each["metadata"]["name"]: each["spec"].get("matchResources", {}).get("namespaceSelector")
        for each in manifests
        if each["kind"] == "ValidatingAdmissionPolicyBinding"
    }
    off = {"matchExpressions": [{"key": "kipu.dev/log-guard", "operator": "NotIn", "values": ["off"]}]}
    assert selectors == {"kipu-log": off, "kipu-attempts": off, "kipu-jobs": None, "kipu-cron": None, "kipu-spec": None}


@pytest.mark.parametrize(("setting", "namespace"), [((), "kipu-system"), (("--set", "watchNamespaces={here}"), "here")])
def test_the_chart_tests_itself_where_workflows_are_served(setting: tuple[str, ...], namespace: str) -> None:
    manifests = render(*setting)
    for kind in ("Role", "RoleBinding"):
        assert find(manifests, kind, "kipu-test")["metadata"]["namespace"] == namespace
    tester = find(manifests, "Pod", "kipu-test")
    assert tester["metadata"]["namespace"] == "kipu-system"
    assert {"name": "KIPU_TEST_NAMESPACE", "value": namespace} in tester["spec"]["containers"][0]["env"]


# -- who may, what stays ----------------------------------------------------------------------------------


def test_an_account_that_is_there_is_bound_and_one_without_a_name_is_refused() -> None:
    given = render("--set", "serviceAccount.create=false,serviceAccount.name=given")
    assert find(given, "RoleBinding")["subjects"] == [ACCOUNT | {"name": "given"}]
    assert [each["metadata"]["name"] for each in given if each["kind"] == "ServiceAccount"] == ["kipu-test"]
    refused = attempt("helm", "template", str(CHART), "--set", "serviceAccount.create=false")
    assert refused.returncode != 0
    assert "serviceAccount.name must be the name of an account that is there" in refused.stderr


def test_the_common_roles_of_kubernetes_gather_the_rights_of_people() -> None:
    manifests = render()
    gathered = {
        name: {
            key.rpartition("aggregate-to-")[2]
            for key, value in find(manifests, "ClusterRole", name)["metadata"]["labels"].items()
            if "aggregate-to-" in key and value == "true"
        }
        for name in ("kipu-edit", "kipu-view")
    }
    assert gathered == {"kipu-edit": {"edit", "admin"}, "kipu-view": {"view", "edit", "admin"}}
    plurals = {custom.plural for custom in RESOURCES}
    for name, verbs in (
        ("kipu-edit", {"create", "update", "patch", "delete", "deletecollection"}),
        ("kipu-view", {"get", "list", "watch"}),
    ):
        granted = rights(find(manifests, "ClusterRole", name))
        assert granted == {("kipu.dev", plural): verbs for plural in plurals}


@pytest.mark.parametrize("keep", [True, False])
def test_nothing_but_the_crds_and_only_if_so_asked_outlives_an_uninstall(keep: bool) -> None:
    """A hook's objects are not the release's: they have to go by themselves, however the test ends."""
    for manifest in render("--set", f"crds.keep={json.dumps(keep)}"):
        annotations = manifest["metadata"].get("annotations", {})
        is_kept = annotations.get("helm.sh/resource-policy") == "keep"
        assert is_kept == (keep and manifest["kind"] == "CustomResourceDefinition")
        if "helm.sh/hook" in annotations:
            policy = set(annotations["helm.sh/hook-delete-policy"].split(","))
            assert policy == {"before-hook-creation", "hook-succeeded", "hook-failed"}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("podLabels.app\\.kubernetes\\.io/name=x", "podLabels"),
        ("serviceMonitor.labels.kipu\\.dev/x=y", "labels"),
        ("extraEnv[0].name=KIPU_PARALLELISM", "extraEnv"),
        ("extraEnv[0].name=POD_UID", "extraEnv"),
        ("watchNamespaces={Upper}", "watchNamespaces"),
        ("watchNamespaces={a,a}", "watchNamespaces"),
        ("networkPolicy.apiServer.cidrs={10.0.0.1}", "cidrs"),
        ("networkPolicy.apiServer.ports={}", "ports"),
        ("podDisruptionBudget.maxUnavailable=0", "maxUnavailable"),
        ("podDisruptionBudget.maxUnavailable=101%", "maxUnavailable"),
        ("serviceMonitor.interval=30", "interval"),
        ("imagePullSecrets[0]=registry", "imagePullSecrets"),
    ],
)
def test_a_wrong_flag_is_refused_by_name(setting: str, named: str) -> None:
    refused = attempt("helm", "template", str(CHART), "--set", setting)
    assert refused.returncode != 0
    assert named in refused.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("crds.keep=true", "kubectl delete crd cronworkflows.kipu.dev"),
        ("crds.keep=false", "delete every Workflow and its log"),
        ("crds.enabled=false", "whoever keeps them upgrades them before the operator"),
        ("replicas=1", "There is one replica"),
        ("networkPolicy.enabled=true", "kubernetes.io/service-name=kubernetes"),
        ("watchNamespaces={here,there}", "serves the namespaces here, there"),
        ("replicas=2", "serves the whole cluster"),
    ],
)
def test_the_notes_say_what_follows_from_what_was_chosen(setting: str, said: str) -> None:
    assert said in notes("--set", setting)
    assert "map[" not in notes("--set", setting)


def notes(*arguments: str) -> str:
    """What helm prints after an install. No cluster is asked."""
    dry = attempt("helm", "install", "kipu", str(CHART), "--dry-run=client", "--namespace", "kipu-system", *arguments)
    assert dry.returncode == 0, dry.stderr
    return dry.stdout.partition("NOTES:")[2]
