"""`helm test`: create a Workflow of two steps, wait until it has Succeeded, delete it.

    python -m kipu.shell.helm_test        in a pod of the chart, with a service account of its own

Promises: the standard library alone, so that it tests the cluster and not our client; leaves nothing behind but
its output. Exit code 0 only for Succeeded. Must never run anywhere but in a pod.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE_SECONDS = 120.0  # two pods of an image that is already on some node, on a slow cluster
POLL_SECONDS = 0.5
REQUEST_SECONDS = 10.0


def manifest(namespace: str, image: str, pull_policy: str) -> dict[str, Any]:
    """A workflow that needs no other image than the operator's own, and passes PodSecurity `restricted`."""
    main = {
        "name": "main",
        "imagePullPolicy": pull_policy,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65_532, "seccompProfile": {"type": "RuntimeDefault"}}
    command = ["/opt/kipu/bin/python", "-c", "print('hello')"]
    return {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "helm-test-", "namespace": namespace},
        "spec": {
            "timeout": f"{PATIENCE_SECONDS:.0f}s",
            "ttlAfterFinished": "10m",  # should this pod be killed before it deletes it
            "defaults": {"image": image, "template": {"spec": {"securityContext": security, "containers": [main]}}},
            "steps": [
                {"name": "first", "command": command},
                {"name": "second", "dependsOn": ["first"], "command": command},
            ],
        },
    }


def call(method: str, path: str, body: object = None) -> Any:
    """One request to the API server, as the pod's service account. Raises OSError."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{address}:{port}/apis/kipu.dev/v1alpha1/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS, context=trust) as answer:
        return json.load(answer)


def wait(path: str) -> dict[str, Any]:
    """The status once the run is over, or the last one that was seen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    shown = ""
    while True:
        status: dict[str, Any] = call("GET", path).get("status", {})
        line = f"{status.get('phase', 'not taken up yet')} {status.get('progress', '')} {status.get('message', '')}"
        if line != shown:
            shown = line
            sys.stdout.write(f"{line.strip()}\n")
        if status.get("outcome") or time.monotonic() > deadline:
            return status
        time.sleep(POLL_SECONDS)


def main() -> int:
    """0 if the workflow has Succeeded, else 1."""
    namespace = os.environ["KIPU_TEST_NAMESPACE"]
    workflows = f"namespaces/{namespace}/workflows"
    image, pull_policy = os.environ["KIPU_TEST_IMAGE"], os.environ["KIPU_TEST_PULL_POLICY"]
    try:
        name = call("POST", workflows, manifest(namespace, image, pull_policy))["metadata"]["name"]
        sys.stdout.write(f"created workflow {namespace}/{name}\n")
        try:
            status = wait(f"{workflows}/{name}")
        finally:
            call("DELETE", f"{workflows}/{name}")
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"{error.code} {error.reason}: {error.read().decode(errors='replace')}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"the API server cannot be reached: {error}\n")
        return 1
    if status.get("outcome") != "Succeeded":
        sys.stderr.write(f"expected Succeeded; the status is {json.dumps(status, indent=2)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
