"""The installed release: installed, rolled back, removed, as the one who runs the cluster does it.

Promises: `install` goes by e2e/cluster/install.sh, so that it is what `make install` installs; the release before this
one is the commit of e2e/previous, or nothing is installed at all.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .apiserver import ApiServer, kubectl
from .namespace import OPERATOR_NAMESPACE

ROOT = Path(__file__).parents[1]
NAME = "kipu"
HELM_SECONDS = 90.0
INSTALL_SECONDS = 420.0  # with the build of an image
CRDS = ("workflows.kipu.dev", "cronworkflows.kipu.dev", "workflowtemplates.kipu.dev")
# All kinds of the chart but CRDs, and what comes of them. By name: what cannot be listed would end `kubectl get all`.
KINDS = (
    "deployments,replicasets,pods,services,endpointslices,serviceaccounts,roles,rolebindings,leases,"
    "poddisruptionbudgets,networkpolicies,clusterroles,clusterrolebindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,configmaps,secrets"
)


def helm(*arguments: str) -> str:
    """What it prints. Raises AssertionError with its errors."""
    return _run(["helm", *arguments], HELM_SECONDS, {})


def previous_tree() -> Path:
    """The folder of the release before this one. Raises AssertionError where this clone does not hold it."""
    return Path(_run([str(ROOT / "e2e/cluster/previous.sh")], HELM_SECONDS, {}).strip())


def install(tree: Path = ROOT) -> None:
    """Install this tree's chart and image, or those of `previous_tree`; or upgrade to them. Waits until it serves."""
    chosen = {} if tree == ROOT else {"KIPU_TREE": str(tree)}
    _run([str(ROOT / "e2e/cluster/install.sh")], INSTALL_SECONDS, chosen)


def roll_back() -> None:
    """`helm rollback` to the revision before."""
    revision = json.loads(helm("history", NAME, "--namespace", OPERATOR_NAMESPACE, "--output=json"))[-1]["revision"]
    helm("rollback", NAME, str(int(revision) - 1), "--namespace", OPERATOR_NAMESPACE, "--wait")


def uninstall() -> None:
    """`helm uninstall`."""
    helm("uninstall", NAME, "--namespace", OPERATOR_NAMESPACE, "--wait")


def manifest() -> str:
    """All that is installed; "" where nothing is."""
    installed = json.loads(helm("list", "--namespace", OPERATOR_NAMESPACE, "--filter", f"^{NAME}$", "--output=json"))
    return helm("get", "manifest", NAME, "--namespace", OPERATOR_NAMESPACE) if installed else ""


def objects_of(release: str) -> list[str]:
    """Everything in the cluster that carries the release's label."""
    selector = f"app.kubernetes.io/instance={release}"
    return kubectl("get", KINDS, "--all-namespaces", "--selector", selector, "--output=name").split()


def fields_of_the_crds(tree: Path) -> set[str]:
    """Every field of every CRD of this tree's chart."""
    files = [yaml.safe_load((tree / "charts/kipu/files" / f"{name}.yaml").read_text()) for name in CRDS]
    return {field for crd in files for field in _fields_of(crd)}


def fields_in_the_cluster(api: ApiServer) -> set[str]:
    """Every field of every CRD as the API server has it."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    return {field for name in CRDS for field in _fields_of(api.get(f"{path}/{name}"))}


def _fields_of(crd: dict[str, Any]) -> Iterator[str]:
    for version in crd["spec"]["versions"]:
        yield from _below(version["schema"]["openAPIV3Schema"], f"{crd['metadata']['name']}/{version['name']}")


def _below(schema: Any, path: str) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _below(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _below(schema[key], f"{path}[]")


def _run(command: list[str], seconds: float, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds * 1.5,
        check=False,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
