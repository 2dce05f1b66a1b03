"""What every test on the cluster gets: the API server, a namespace of its own, and a story when it fails."""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from .apiserver import ApiError, ApiServer, kubectl, wait_until
from .browser import browser
from .namespace import ENFORCED, OPERATOR_NAMESPACE, OPERATOR_SELECTOR, Namespace

LOG_LINES = 60


def pytest_configure(config: pytest.Config) -> None:
    """A test marked so disturbs all others: it runs after them, in a session of its own."""
    config.addinivalue_line("markers", "alone: kills the operator, or counts what it does; nothing else may run")


@pytest.fixture(scope="session")
def api() -> ApiServer:
    """The API server of KUBECONFIG. No cluster is a failure: whoever selects these tests wants them run."""
    try:
        server = ApiServer()
        server.request("GET", "/readyz")
    except (ConfigException, HTTPError, ApiError) as error:
        where = os.environ.get("KUBECONFIG", "(unset)")
        pytest.fail(f"no cluster answers at KUBECONFIG={where}: {error}\nstart one: make cluster-up install")
    return server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser; without a cluster."""
    with browser() as started:
        yield started


@pytest.fixture
def namespace(api: ApiServer, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A fresh namespace that enforces PodSecurity `restricted`; its removal is not waited for."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    labels = {**ENFORCED, "kipu.dev/e2e": "true"}
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_until(lambda: api.find(account), 30, f"the service account of {name}")
    request.node.user_properties.append(("namespace", name))
    yield Namespace(api, name)
    if api.find(f"/api/v1/namespaces/{name}"):
        api.delete(f"/api/v1/namespaces/{name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Add to a failure what the cluster has to say, before the namespace goes."""
    report = yield
    if report.when == "call" and report.failed:
        names = [str(value) for key, value in item.user_properties if key == "namespace"]
        for name in names:
            report.sections.append((f"namespace {name}", _story(name)))
        report.sections.append(("operator", _operator()))
    return report


def _story(namespace: str) -> str:
    here = ("--namespace", namespace)
    asked = (
        (*here, "get", "workflows.kipu.dev", "--output", "yaml"),
        (*here, "get", "jobs,pods", "--output", "wide", "--show-labels"),
        (*here, "get", "configmaps"),
        (*here, "get", "events", "--sort-by", ".lastTimestamp"),
    )
    return "\n\n".join(f"$ kubectl {' '.join(a)}\n{kubectl(*a, check=False)}" for a in asked)


def _operator() -> str:
    tail = ("--all-containers", f"--tail={LOG_LINES}", "--selector", OPERATOR_SELECTOR)
    here = ("--namespace", OPERATOR_NAMESPACE)
    pods = kubectl(*here, "get", "pods", "--output", "wide", check=False)
    return pods + kubectl(*here, "logs", *tail, check=False)
