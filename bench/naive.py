"""What a first operator looks like: kopf, and all state in `.status`. `kopf run -m bench.naive`.

It is no strawman: it advances on each Job's own event, creates what is ready in parallel, and takes a 409 for its own
Job. But it forgets what it has not patched, each end is a patch of an object that grows, each patch makes it look at
all tasks again, and it waits for Jobs, since it has learned nothing of pods.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf
from kubernetes import client, config

from .manifests import GROUP, PLURAL, TASK_LABEL, VERSION, JsonObject, job

CREATES_AT_ONCE = 8
FLOW_LABEL = "bench.kipu.dev/flow"
_threads = ThreadPoolExecutor(CREATES_AT_ONCE)


@kopf.on.startup()
def begin(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Who we are; and no Events, which the others post none of either."""
    config.load_kube_config()  # type: ignore[no-untyped-call]
    settings.posting.enabled = False


@kopf.on.create(GROUP, VERSION, PLURAL)
@kopf.on.field(GROUP, VERSION, PLURAL, field="status.done")
def advance(spec: kopf.Spec, status: kopf.Status, name: str | None, namespace: str | None, **_: Any) -> None:
    """Create every Job whose needs are done, but for those that were created before."""
    done = status.get("done", {})
    ready = [
        task
        for task, needs in enumerate(spec["tasks"])
        if str(task) not in done and all(str(need) in done for need in needs)
    ]
    list(_threads.map(lambda task: _create(str(namespace), str(name), job(task, spec["ms"][task])), ready))


def _create(namespace: str, flow: str, body: JsonObject) -> None:
    body["metadata"]["labels"][FLOW_LABEL] = flow
    try:
        client.BatchV1Api().create_namespaced_job(namespace, body)  # type: ignore[arg-type]
    except client.ApiException as error:
        if error.status != 409:
            raise


@kopf.on.event("batch", "v1", "jobs", labels={FLOW_LABEL: kopf.PRESENT})
def note(status: kopf.Status, labels: kopf.Labels, namespace: str | None, **_: Any) -> None:
    """Write down that a task is done."""
    if status.get("succeeded"):
        body = {"status": {"done": {labels[TASK_LABEL]: True}}}
        api = client.CustomObjectsApi()
        api.patch_namespaced_custom_object_status(GROUP, VERSION, str(namespace), PLURAL, labels[FLOW_LABEL], body)
