"""The operator's way to the API server, led through the proxy and back.

The operator's client takes its address from KUBERNETES_SERVICE_HOST and _PORT, kopf from the name
kubernetes.default.svc: the first two are set on the Deployment, the name is given by hostAliases. Nobody else's way
changes. Promises: after `with` the Deployment is as the chart made it, and serves. If the harness is killed between,
`make uninstall install` brings it back.
"""

from __future__ import annotations

from types import TracebackType

from e2e.apiserver import JsonObject, kubectl
from e2e.namespace import OPERATOR_NAMESPACE

from .patient import PatientApi

DEPLOYMENT = "kipu"
CONTAINER = "kipu"
NAME = "kubernetes.default.svc"
HOST_VARIABLE, PORT_VARIABLE = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
ROLLOUT_SECONDS = 110  # below what kubectl itself is given


class Route:
    """Through the proxy from `with` to its end. `replicas` 0: as many as there are."""

    def __init__(self, api: PatientApi, host: str, port: int, *, replicas: int = 0) -> None:
        self._api = api
        self._host, self._port = host, port
        self._replicas = replicas
        self._replicas_before = 0

    def __enter__(self) -> Route:
        self._replicas_before = int(self._api.get(_deployment())["spec"]["replicas"])
        environment = [
            {"name": HOST_VARIABLE, "value": self._host},
            {"name": PORT_VARIABLE, "value": str(self._port)},
        ]
        self._patch(environment, [{"ip": self._host, "hostnames": [NAME]}], self._replicas or self._replicas_before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        environment = [{"name": name, "$patch": "delete"} for name in (HOST_VARIABLE, PORT_VARIABLE)]
        self._patch(environment, [{"ip": self._host, "$patch": "delete"}], self._replicas_before)

    def _patch(self, environment: list[JsonObject], aliases: list[JsonObject], replicas: int) -> None:
        pod = {"hostAliases": aliases, "containers": [{"name": CONTAINER, "env": environment}]}
        body = {"spec": {"replicas": replicas, "template": {"spec": pod}}}
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        self._api.request("PATCH", _deployment(), body, headers=headers)
        status = ("rollout", "status", f"deployment/{DEPLOYMENT}", f"--timeout={ROLLOUT_SECONDS}s")
        kubectl("--namespace", OPERATOR_NAMESPACE, *status)


def _deployment() -> str:
    return f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments/{DEPLOYMENT}"
