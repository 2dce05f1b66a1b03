"""The chart before a real API server: every flag's manifests are taken, nothing violates `restricted`, nothing stays.

A second release is installed in a namespace of the test, for that namespace alone and with an image that cannot be:
its operator never runs, so that it and the installed one are in nobody's way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.apiserver import kubectl, wait_until
from e2e.namespace import OPERATOR_NAMESPACE, Namespace
from e2e.release import helm, objects_of
from e2e.scan.__main__ import CHART, EVERYTHING

pytestmark = pytest.mark.cluster

GONE_SECONDS = 60.0
OTHERS = {"ServiceMonitor", "PrometheusRule"}  # the CRDs of the Prometheus Operator are not here


def own(namespace: Namespace) -> tuple[str, ...]:
    """The values of a release that serves this namespace alone."""
    values = (f"watchNamespaces={{{namespace.name}}}", "crds.enabled=false", "image.repository=kipu.invalid/none")
    return tuple(word for value in values for word in ("--set", value))


def rendered(namespace: Namespace, *values: str) -> list[dict[str, Any]]:
    """What the API server here can know of the chart's manifests."""
    text = helm("template", "kipu-dry", str(CHART), "--namespace", namespace.name, *values)
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each and each["kind"] not in OTHERS]


def setting(*values: str) -> tuple[str, ...]:
    return tuple(word for value in values for word in ("--set", value))


VARIANTS: dict[str, tuple[str, ...] | None] = {  # None: this very namespace alone
    "default": (),
    "everything": setting(*(each for each in EVERYTHING if not each.startswith("priorityClassName"))),
    "system-critical": setting("priorityClassName=system-cluster-critical"),
    "one-replica": setting("replicas=1", "crds.keep=false", "metrics.service=false"),
    "narrow-net": setting(
        "networkPolicy.enabled=true",
        "networkPolicy.apiServer.cidrs={10.0.0.1/32}",
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.a=b",
    ),
    "namespaced": None,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_manifest_without_a_word(namespace: Namespace, variant: str) -> None:
    """Admission is asked too: the namespace enforces `restricted`, and warns of pods that others would make of it."""
    kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/warn=restricted")
    namespace.kubectl("create", "serviceaccount", "kipu-dry-test")  # of the test pod: a dry run leaves none behind
    values = VARIANTS[variant]
    manifests = rendered(namespace, *(own(namespace) if values is None else values))
    assert {"Deployment", "Pod", "ValidatingAdmissionPolicy"} <= {each["kind"] for each in manifests}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    said = kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-",
        stdin=text, check=False,
    )  # fmt: skip
    lines = said.splitlines()
    assert [line for line in lines if not line.endswith("serverside-applied (server dry run)")] == []
    assert len(lines) == len(manifests)


def test_the_installed_operators_pods_satisfy_restricted() -> None:
    """Asked of the API server: it names each pod of a namespace that a new label would refuse."""
    said = kubectl(
        "label", "namespace", OPERATOR_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted",
        "--overwrite", "--dry-run=server", check=False,
    )  # fmt: skip
    assert "violate" not in said
    assert "labeled" in said


@pytest.fixture
def release(namespace: Namespace) -> Iterator[str]:
    """An installed second release; it is gone at the end, also where the test failed."""
    name = f"kipu-{namespace.name}"
    here = ("--namespace", namespace.name)
    try:
        helm("install", name, str(CHART), *here, *own(namespace), *setting("networkPolicy.enabled=true"))
        yield name
    finally:
        helm("uninstall", name, *here, "--ignore-not-found")


def test_an_uninstall_leaves_nothing_but_the_crds(namespace: Namespace, release: str) -> None:
    kinds = {name.partition("/")[0].partition(".")[0] for name in objects_of(release)}
    assert {"deployment", "role", "networkpolicy", "validatingadmissionpolicy", "lease", "clusterrole"} <= kinds
    helm("uninstall", release, "--namespace", namespace.name)
    wait_until(lambda: not objects_of(release), GONE_SECONDS, f"nothing of {release} is left")
    assert namespace.kubectl("get", "secrets", "--selector", "owner=helm", "--output=name") == ""
    assert kubectl("get", "crd", "workflows.kipu.dev", "--output=name").strip().endswith("workflows.kipu.dev")


def test_a_release_of_one_namespace_may_nothing_anywhere_else(namespace: Namespace, release: str) -> None:
    account = f"system:serviceaccount:{namespace.name}:{release}"

    def may(verb: str, resource: str, where: str) -> bool:
        asked = ("auth", "can-i", verb, resource, "--namespace", where, "--as", account)
        return kubectl(*asked, check=False).split()[0] == "yes"

    wait_until(lambda: may("create", "jobs.batch", namespace.name), GONE_SECONDS, "the authorizer knows the Role")
    for verb, resource in (("list", "pods"), ("create", "configmaps"), ("watch", "workflows.kipu.dev")):
        assert may(verb, resource, namespace.name)
        assert not may(verb, resource, "default")
    assert not may("get", "secrets", namespace.name)
