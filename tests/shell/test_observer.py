"""What the three watches have shown, and when that is all there is."""

from __future__ import annotations

import asyncio

import pytest

from kipu.shell.kube import Kube
from kipu.shell.kube_views import JobView
from kipu.shell.observer import WORKFLOW_UID, Observer
from tests.fakes.apiserver import ApiServer
from tests.fakes.faults import TimeoutNotDone
from tests.shell.operating import until
from tests.shell.test_observations import condition
from tests.shell.test_observations import job as job_view

pytestmark = pytest.mark.looptime


def view(version: str, *conditions: dict[str, str], uid: str = "job-uid") -> JobView:
    metadata = {"labels": {WORKFLOW_UID: "w"}, "resourceVersion": version, "uid": uid}
    return job_view(conditions=list(conditions), metadata=metadata)


async def test_the_answer_to_a_create_that_comes_after_the_watch_changes_nothing() -> None:
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    observer.saw_job(view("10", condition("Complete")))
    observer.saw_job(view("9"))
    assert known["w-a"].job == view("10", condition("Complete"))
    observer.saw_job(view("9", uid="another"))  # a Job of the same name: versions say nothing about those
    assert known["w-a"].job == view("9", uid="another")


async def test_nothing_is_complete_before_all_lists_are() -> None:
    server = ApiServer()
    server.faults = lambda _, request: (
        TimeoutNotDone(seconds=1.0) if request.path.endswith("/pods") and server.time() < 20 else None
    )
    observer = Observer(Kube(server.connect(user="operator")))
    task = asyncio.create_task(observer.run())
    waiting = asyncio.create_task(observer.synced())
    await asyncio.sleep(15)
    assert (waiting.done(), observer.is_synced) == (False, False)
    await until(waiting.done)
    assert observer.is_synced
    assert server.time() >= 20
    task.cancel()


async def test_of_what_was_deleted_nothing_is_kept() -> None:
    """Over the years of an operator: an entry stands only for a Job or child that stands."""
    server = ApiServer()
    observer = Observer(Kube(server.connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    task = asyncio.create_task(observer.run())
    labels = {"app.kubernetes.io/managed-by": "kipu", WORKFLOW_UID: "w"}
    pod = {"containers": [{"name": "main", "image": "busybox:1.36"}], "restartPolicy": "Never"}
    server.create({"kind": "Job", "metadata": {"name": "a", "labels": labels}, "spec": {"template": {"spec": pod}}})
    server.create({"kind": "Workflow", "metadata": {"name": "b", "labels": labels}, "spec": {}})
    await until(lambda: set(known) == {"a", "b"})
    server.delete("jobs", "default", "a", propagationPolicy="Background")
    server.delete("workflows", "default", "b")
    await until(lambda: not known)
    task.cancel()
