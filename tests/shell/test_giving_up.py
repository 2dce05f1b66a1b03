"""How an attempt that was given up is proven gone, when the controllers of the cluster lag behind its store."""

from __future__ import annotations

import asyncio

import pytest

from kipu.core.commands import AttemptRef, Command, ObserveGone
from kipu.shell.kube import Kube
from kipu.shell.kube_views import JobView
from kipu.shell.performer import Performer, Reports
from kipu.shell.plans import Plan
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Json
from tests.fakes.informers import Lags
from tests.fakes.nodes import Program

pytestmark = pytest.mark.looptime

INTENT = "4:cafe"
LABELS = {"kipu.dev/run": "1", "kipu.dev/step": "s", "kipu.dev/attempt": "1"}


def _job(uid: str, *, placeholder: bool) -> Json:
    annotations = {"kipu.dev/placeholder": "true"} if placeholder else {"kipu.dev/intent": INTENT}
    owner = {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "name": "w", "uid": uid, "controller": True}
    container = {"name": "main", "image": "busybox:1.36"}
    labels = {**LABELS, "kipu.dev/workflow-uid": uid}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "a", "labels": labels, "annotations": annotations, "ownerReferences": [owner]},
        "spec": {
            "backoffLimit": 0,
            "suspend": placeholder,
            "template": {
                "metadata": {"labels": labels},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            },
        },
    }


def _plan(uid: str) -> Plan:
    return Plan(
        namespace="default",
        workflow_uid=uid,
        ref=AttemptRef(run=1, step="s", attempt=1),
        job="a",
        intent=INTENT,
        manifest=lambda: _job(uid, placeholder=False),
        placeholder_job=lambda: _job(uid, placeholder=True),
        placeholder=lambda: _job(uid, placeholder=True),
    )


async def _given_up(lags: Lags, seed: int) -> ApiServer:
    """A cluster right after its attempt was reported gone, that was given up as soon as its Job was created."""
    server = ApiServer(seed=seed, programs=lambda pod: Program(run_seconds=60), lags=lags)
    performer, told = Performer(Kube(server.connect(user="operator"))), list[Command]()

    def seen(view: JobView) -> None:
        """A Job that was created or adopted."""

    reports = Reports(command=told.append, job_seen=seen, created=lambda job, uid: None, waiting=lambda step, why: None)
    workflow = server.create({"kind": "Workflow", "metadata": {"name": "w"}, "spec": {}})
    plan = _plan(workflow["metadata"]["uid"])
    await performer.ensure_job(plan, reports)
    await performer.ensure_no_job(plan, reports)
    assert [type(command) for command in told] == [ObserveGone]
    return server


@pytest.mark.parametrize("seed", range(20))
async def test_an_attempt_is_gone_only_once_the_job_controller_can_make_no_pod_for_it_any_more(seed: int) -> None:
    """It may not have heard that the Job is gone, and make its pod long after a list of pods was empty."""
    server = await _given_up(Lags(job_controller_jobs_seconds=20, collector_pods_seconds=20), seed)
    begun = len(server.executions)
    assert all(execution.ended is not None for execution in server.executions)
    await asyncio.sleep(120)
    assert len(server.executions) == begun
