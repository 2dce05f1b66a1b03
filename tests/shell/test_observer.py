"""What the three watches have shown, and when that is all there is."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec
import pytest

from kipu.shell import keepsakes
from kipu.shell.kube import Kube
from kipu.shell.kube_views import AttemptMetadata, JobView, Labels, PodView
from kipu.shell.observer import WORKFLOW_UID, Observer
from kipu.shell.watch import Change
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


def pod_view(version: str, phase: str, uid: str = "pod-uid") -> PodView:
    labels = {WORKFLOW_UID: "w", "batch.kubernetes.io/job-name": "w-a"}
    metadata = {"name": "w-a-x", "labels": labels, "resourceVersion": version, "uid": uid}
    return msgspec.convert({"metadata": metadata, "status": {"phase": phase}}, PodView)


async def test_of_a_workflow_that_was_deleted_nothing_is_kept_whatever_is_seen_of_its_jobs_later() -> None:
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    observer.listen("w", lambda *_: None)
    observer.saw_job(view("9"))
    observer.deleted("w")
    observer._fold_owned(Change(kind="Modified", view=view("10")))  # the collector takes it, and then its pod
    observer._fold_pod(Change(kind="Modified", view=pod_view("11", "Running")))
    observer._fold_owned(Change(kind="Deleted", view=view("12")))
    observer._fold_pod(Change(kind="Deleted", view=pod_view("13", "Running")))
    assert (observer._sightings, observer._over, observer._ignored) == ({}, {}, set())


async def test_of_an_attempt_that_is_over_nothing_is_kept_whatever_is_seen_of_it_later() -> None:
    """A workflow may have tens of thousands of them, and each has two views, of 6 KB."""
    told: list[str] = []
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda name, *_: told.append(name))
    observer.saw_job(view("9"))
    observer.over("w", "w-a")
    observer.saw_job(view("10", condition("Complete")))
    observer._fold_pod(Change(kind="Modified", view=pod_view("11", "Succeeded")))
    assert (told, known) == (["w-a"], {})
    observer._fold_owned(Change(kind="Deleted", view=view("12")))
    assert observer._over == {"w": set()}  # nor its name, once its Job is gone
    observer.saw_job(view("13", uid="another"))
    assert told == ["w-a", "w-a"]


async def test_what_was_never_seen_of_an_attempt_that_is_over_is_seen_and_of_a_workflow_that_has_ended_nothing() -> (
    None
):
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    observer.over("w", "w-a")  # by a session that takes it from the log: its Job may be long gone
    observer.saw_job(view("9"))
    assert list(known) == ["w-a"]
    observer.over("w", "w-a")
    observer.forget("w", finished=True)
    assert not observer._over


@pytest.mark.parametrize(("before", "stays"), [("Running", False), ("Succeeded", True)])
async def test_a_pod_that_had_ended_before_it_was_removed_still_says_how(before: str, stays: bool) -> None:
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    observer.saw_job(view("9"))
    observer._fold_pod(Change(kind="Modified", view=pod_view("10", before)))
    vanished = keepsakes.trimmed(pod_view("10", before)).view()  # unseen
    who = AttemptMetadata(
        name="w-a-x", uid="pod-uid", resource_version="10", labels=Labels(workflow_uid="w", job_name="w-a")
    )
    assert vanished == PodView(metadata=who)
    observer._fold_pod(Change(kind="Deleted", view=vanished))
    assert bool(known["w-a"].pods) is stays


async def test_of_one_pod_or_several_each_is_there_as_it_was_seen_last() -> None:
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    observer.saw_job(view("9"))

    def shown() -> dict[str, str]:
        return {pod.metadata.uid: pod.status.phase for pod in known["w-a"].pods}

    def see(kind: Literal["Modified", "Deleted"], phase: str, uid: str) -> None:
        observer._fold_pod(Change(kind=kind, view=pod_view("10", phase, uid)))

    assert shown() == {}
    see("Modified", "Running", "x")
    see("Deleted", "Running", "y")  # never seen
    assert shown() == {"x": "Running"}
    see("Modified", "Failed", "x")
    assert shown() == {"x": "Failed"}
    see("Modified", "Running", "y")
    see("Modified", "Running", "z")
    assert shown() == {"x": "Failed", "y": "Running", "z": "Running"}
    see("Modified", "Succeeded", "z")
    for uid in ("x", "y", "z"):
        see("Deleted", "Succeeded", uid)
    assert shown() == {"x": "Failed", "z": "Succeeded"}  # those had ended before


async def test_of_one_pod_that_is_removed_nothing_is_left() -> None:
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    observer.saw_job(view("9"))
    for kind in ("Modified", "Deleted"):
        observer._fold_pod(Change(kind=kind, view=pod_view("10", "Running")))
    assert list(known["w-a"].pods) == []


def again(text: str) -> str:
    """An equal text, as each answer brings it anew."""
    return text[:1] + text[1:]


async def test_what_a_watch_remembers_is_of_what_is_kept_and_not_equal_to_it() -> None:
    """Of tens of thousands: a name and a uid take 80 bytes each, and each answer and each change brings them anew."""
    observer = Observer(Kube(ApiServer().connect(user="operator")))
    known = observer.listen("w", lambda *_: None)
    observer.saw_job(view("9", uid=again("job-uid")))  # the answer to the create
    of_job = observer._trace_of_job(view("10", uid=again("job-uid")))
    of_pod = observer._trace_of_pod(pod_view("11", "Running"))
    job = known["w-a"].job
    assert job is not None
    assert (of_job.name, of_job.uid, of_job.resource_version) == ("w-a", "job-uid", "10")
    assert of_job.name is job.metadata.name
    assert of_job.uid is job.metadata.uid
    assert of_pod.name == "w-a-x"
    assert of_pod.job_name is job.metadata.name
    other = observer._trace_of_job(view("12", uid="another"))  # of the same name
    assert other.uid == "another"


async def test_of_jobs_and_pods_a_watch_remembers_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    server, made = ApiServer(), list[tuple[type, str]]()
    trimmed = keepsakes.trimmed

    def noted(seen: Any, job: JobView | None = None) -> keepsakes.Trimmed[Any]:
        made.append((type(seen), seen.metadata.name))
        return trimmed(seen, job)

    monkeypatch.setattr(keepsakes, "trimmed", noted)
    task = asyncio.create_task(Observer(Kube(server.connect(user="operator"))).run())
    labels = {"app.kubernetes.io/managed-by": "kipu", WORKFLOW_UID: "w"}
    pod = {"containers": [{"name": "main", "image": "busybox:1.36"}], "restartPolicy": "Never"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    server.create({"kind": "Job", "metadata": {"name": "a", "labels": labels}, "spec": {"template": template}})
    await until(lambda: {kind for kind, _ in made} == {JobView, PodView})
    assert {name[:1] for _, name in made} == {"a"}
    task.cancel()
