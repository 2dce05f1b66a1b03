"""Who speaks for an attempt, and what proves that its Job is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from kipu.core.commands import AttemptRef, Command, ObserveMissing, ObserveOutcome, ObserveStarted
from kipu.core.events import StepScheduled
from kipu.eventlog.ports import Recorded, StreamId
from kipu.shell import observations
from kipu.shell.child_performer import ChildPerformer
from kipu.shell.kube_owned import OwnedKube
from kipu.shell.kube_views import JobView, PodView
from kipu.shell.lookout import Lookout
from kipu.shell.observations import Observation
from kipu.shell.observer import Observer, Sighting
from kipu.shell.performer import Performer
from kipu.shell.settings import AdvanceOn
from tests.fakes.apiserver import ApiServer
from tests.shell.test_observations import condition
from tests.shell.test_observations import job as job_view
from tests.shell.test_observations import pod as pod_view

pytestmark = pytest.mark.looptime
REF = AttemptRef(run=1, step="a", attempt=2)
LABELS = {"kipu.dev/run": "1", "kipu.dev/step": "a", "kipu.dev/attempt": "2"}
INTENT = {"kipu.dev/intent": "7:abc"}
OURS = {"uid": "workflow-uid", "controller": True}


def sighting(job: JobView, *pods: PodView) -> Sighting:
    seen = Sighting(job=job)
    for pod in pods:
        seen.keep(pod)
    return seen


def numbered(number: int) -> PodView:
    pod = pod_view("Running")
    return replace(pod, metadata=replace(pod.metadata, uid=f"pod-uid-{number}"))


LABELS_OF_ANOTHER = {**LABELS, "kipu.dev/attempt": "9"}


def complete(**metadata: Any) -> Sighting:
    """Our Job of `REF`, which has ended well, but for what is given."""
    ours = {"labels": LABELS, "annotations": INTENT, "ownerReferences": [OURS]}
    return Sighting(job=job_view(conditions=[condition("Complete")], metadata=ours | metadata))


class Listening:
    """A lookout that expects attempt 2 of step a, with what it has told."""

    def __init__(self, server: ApiServer) -> None:
        kube = OwnedKube(server.connect(user="operator"))
        observer = Observer(kube)
        self.told: list[Command] = []
        self.reminded: list[Command] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.lookout = Lookout(
            StreamId(namespace="default", name="w", uid="workflow-uid"),
            Performer(kube),
            observer,
            ChildPerformer(kube),
            advance_on=AdvanceOn.POD,
            tell=self.told.append,
            remind=self.reminded.append,
            once=self._once,
        )
        event = StepScheduled(run=1, step="a", attempt=2, job="w-a")
        self.lookout.remember([Recorded(position=7, epoch=1, ts=0, hash="abc", event=event)])
        self.lookout.expect("w-a", REF)

    def _once(self, _key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.tasks.append(asyncio.ensure_future(work()))

    async def gone(self) -> list[Command]:
        """The watch says that the Job is gone."""
        self.lookout.sighted("w-a", Sighting(), True)
        await asyncio.gather(*self.tasks)
        return self.told


async def test_a_job_that_the_watch_calls_gone_is_missing_only_if_a_read_says_so_too() -> None:
    server = ApiServer()
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}}
    server.create({"kind": "Job", "metadata": {"name": "w-a"}, "spec": {"template": template}})
    assert await Listening(server).gone() == []
    server.delete("jobs", "default", "w-a", propagationPolicy="Background")
    assert await Listening(server).gone() == [ObserveMissing(ref=REF)]


@pytest.mark.parametrize(
    ("owner", "annotations", "speaks"),
    [
        (OURS, INTENT, True),
        ({**OURS, "uid": "another-uid"}, INTENT, False),
        ({**OURS, "controller": False}, INTENT, False),
        (OURS, {"kipu.dev/intent": "7:abd"}, False),
        (OURS, {}, False),
        (OURS, {**INTENT, "kipu.dev/placeholder": "true"}, False),
    ],
)
async def test_only_the_job_of_just_this_intent_speaks(
    owner: dict[str, Any], annotations: dict[str, str], speaks: bool
) -> None:
    listening = Listening(ApiServer())
    listening.lookout.sighted("w-a", complete(annotations=annotations, ownerReferences=[owner]), False)
    assert bool(listening.told) is speaks


async def test_what_was_told_or_is_of_an_attempt_that_is_over_is_a_reminder() -> None:
    listening = Listening(ApiServer())
    for _ in range(3):
        listening.lookout.sighted("w-a", complete(), False)
    listening.lookout.forget("w-a")
    listening.lookout.sighted("w-a", complete(), False)
    assert (len(listening.told), len(listening.reminded)) == (1, 3)
    assert set(map(type, [*listening.told, *listening.reminded])) == {ObserveOutcome}


async def test_what_is_equal_of_thousands_that_run_is_kept_once() -> None:
    listening = Listening(ApiServer())
    # From JSON, as by the watch: a constant of this file would be the same text already.
    metadata = json.loads(json.dumps({"labels": LABELS, "annotations": INTENT, "ownerReferences": [OURS]}))
    job = job_view(metadata=metadata)
    listening.lookout.sighted("w-a", sighting(job, pod_view("Running")), False)
    (started,) = listening.told
    assert listening.lookout.intent_of("a") == "7:abc"
    assert listening.lookout.intent_of("a") is job.metadata.annotations.intent
    assert listening.lookout.job_of("a") == "w-a"
    assert isinstance(started, ObserveStarted)
    assert started.ref is REF
    listening.lookout.sighted("w-a", sighting(job, pod_view("Succeeded")), False)
    ended = listening.told[-1]
    assert isinstance(ended, ObserveOutcome)
    assert ended.ref is REF  # nor is it another one's after that


async def test_a_job_whose_labels_were_changed_does_not_speak_for_the_attempt_that_is_expected() -> None:
    listening = Listening(ApiServer())
    listening.lookout.sighted("w-a", complete(labels=LABELS_OF_ANOTHER), False)
    (ended,) = listening.told
    assert isinstance(ended, ObserveOutcome)
    assert ended.ref.attempt == 9


async def test_a_job_whose_labels_were_changed_is_missed_as_the_attempt_that_is_expected() -> None:
    """Else its step would wait for ever: of attempt 9 nobody knows."""
    listening = Listening(ApiServer())
    listening.lookout.sighted("w-a", complete(labels=LABELS_OF_ANOTHER), False)
    assert (await listening.gone())[1:] == [ObserveMissing(ref=REF)]


async def test_who_is_expected_again_has_not_forgotten_what_was_told() -> None:
    listening = Listening(ApiServer())
    for _ in range(2):
        listening.lookout.sighted("w-a", complete(), False)
        listening.lookout.expect("w-a", REF)
    assert (len(listening.told), len(listening.reminded)) == (1, 1)


async def test_of_several_pods_none_is_looked_at_between_the_start_and_the_end_of_their_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Job may have 10,000 pods, each of which is seen three times."""
    listening, looks = Listening(ApiServer()), list[str]()
    observe = observations.observe

    def counted(job: JobView, pods: Iterable[PodView], **how: Any) -> Observation | None:
        looks.append(job.metadata.resource_version)
        return observe(job, pods, **how)

    monkeypatch.setattr(observations, "observe", counted)
    metadata = {"labels": LABELS, "annotations": INTENT, "ownerReferences": [OURS]}

    def see(version: str, pods: int, *conditions: dict[str, str]) -> None:
        several = {"completions": 3, "parallelism": 3}
        job = job_view(conditions=list(conditions), spec=several, metadata={**metadata, "resourceVersion": version})
        listening.lookout.sighted("w-a", sighting(job, *(numbered(number) for number in range(pods))), False)

    see("1", 0)
    for pods in (1, 2, 3, 3):
        see("2", pods)
    see("3", 3, condition("Complete"))
    assert looks == ["1", "2", "3"]
    assert [type(told) for told in listening.told] == [ObserveStarted, ObserveOutcome]


@pytest.mark.parametrize(
    ("several", "told"),
    [({"completions": 3}, [ObserveStarted, ObserveStarted]), ({}, [ObserveStarted, ObserveStarted, ObserveOutcome])],
)
async def test_what_was_born_starts_and_only_of_one_pod_the_end_is_the_end(
    several: dict[str, int], told: list[type]
) -> None:
    listening = Listening(ApiServer())
    notes = {**INTENT, "kipu.dev/effects": "External"}
    metadata = {"labels": LABELS, "annotations": notes, "ownerReferences": [OURS]}
    for is_suspended, pods in ((True, []), (False, [pod_view("Running")]), (False, [pod_view("Succeeded")])):
        job = job_view(spec={"suspend": is_suspended, **several}, metadata=metadata)
        listening.lookout.sighted("w-a", sighting(job, *pods), False)
    assert [type(each) for each in listening.told] == told
    assert [each.is_awaited for each in listening.told if isinstance(each, ObserveStarted)] == [True, False]
