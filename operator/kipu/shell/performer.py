"""Effects to API calls: the only code that creates and deletes Jobs.

Promises: every effect may be performed any number of times, by several replicas at once, and at any delay; a
409 is ours only by owner uid and intent; a delete names its uid and is Foreground; a given-up attempt's name
stays occupied by a suspended placeholder, so that a create sent long ago finds the name taken (design 02,
"Fencing effects"). Must never decide anything: what it finds goes back as a command.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from kipu.core.commands import Command, ObserveGone, ObserveRefused
from kipu.core.events import Reason
from kipu.core.naming import split_item
from kipu.eventlog.answers import identity, is_refusal
from kipu.eventlog.ports import Answer, Unanswered

from .kube import Kube
from .kube_owned import RunView
from .kube_views import POD_ENDED, JobView, PodView, decode_job
from .observations import intent_of, is_owned, is_placeholder, is_taken_up, waiting_reason
from .plans import Plan

T = TypeVar("T")
V = TypeVar("V", JobView, RunView)
REFUSED = (400, 413, 422)  # for good
CREATES_IN_FLIGHT_MAX = 32  # design 05: 8 was clearly worse, more gains nothing on one API server
CLAIMS_KEPT_MAX = 10_000  # x 0.1 KiB; of one that is forgotten a create is sent once more
BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # the last one repeats; each is jittered by half
ENDING_SECONDS = (0.1, 0.2, 0.5, 1.0)  # while a Job and its pods end: a person waits for Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where the performer's findings go: the actor that asked."""

    command: Callable[[Command], None]
    job_seen: Callable[[JobView], None]
    child_seen: Callable[[RunView], None] = lambda _: None  # of those that have sub-workflow steps
    created: Callable[[str, str], None]  # a Job's name and uid, if no other create of it can still be under way
    waiting: Callable[[str, str], None]  # step, why it waits ("" when it no longer does)
    tried: Callable[[str], None] = lambda _: None  # a Job's name: its first create has not brought it, others may go on


class Creating(Generic[V]):
    """Creates of what is to stand for an attempt, its Job or its child, and what the answer to one means."""

    kind: ClassVar[str]  # in words
    decode: ClassVar[Callable[[Mapping[str, object]], Any]]

    def __init__(self, creates_in_flight_max: int) -> None:
        self._creating = asyncio.Semaphore(creates_in_flight_max)

    async def ensure_job(self, plan: Plan, reports: Reports) -> None:
        """Until it exists, or never can."""
        backoff, is_clear = Backoff(), True
        while True:
            try:
                async with self._creating:
                    answer = await self._create(plan)
                if answer.status == 201 and is_clear and not plan.is_child:  # those are not deleted early
                    reports.created(plan.job, identity(answer.body)[0])
                if await self._settled(answer, plan, reports):
                    return
                is_clear = is_clear and is_refusal(answer)
            except Unanswered as error:
                is_clear = False
                reports.waiting(plan.ref.step, f"no answer from the API server: {error}")
            reports.tried(plan.job)
            await backoff.wait()

    async def _create(self, plan: Plan) -> Answer:
        raise NotImplementedError

    async def standing(self, namespace: str, name: str) -> V | None:
        """What has this name, by a consistent read: absence may be concluded from it. Raises Unanswered."""
        raise NotImplementedError

    def _saw(self, view: V, reports: Reports) -> None:
        raise NotImplementedError

    async def _settled(self, answer: Answer, plan: Plan, reports: Reports) -> bool:
        """Whether the answer to a create was definite."""
        if answer.status == 201:
            reports.waiting(plan.ref.step, "")
            self._saw(type(self).decode(answer.body), reports)
            return True
        if answer.status == 409 and answer.reason == "AlreadyExists":
            return await self._adopt(plan, reports)
        if answer.status in REFUSED:
            reports.command(ObserveRefused(ref=plan.ref, reason=Reason.INVALID_JOB, message=answer.message))
            return True
        # 403 is a quota, a missing right or a namespace that is going away; 404 its absence; the rest is
        # load. None is the step's fault, and each may pass: wait, and say so.
        reports.waiting(plan.ref.step, f"the API server refuses the {self.kind} for now: {answer.message}")
        return False

    async def _adopt(self, plan: Plan, reports: Reports) -> bool:
        view = await self.standing(plan.namespace, plan.job)
        if view is None:
            return False
        if not is_ours(view, plan):
            message = f"a {self.kind} named '{plan.job}' that is not this attempt's stands in its place"
            reports.command(ObserveRefused(ref=plan.ref, reason=Reason.JOB_NAME_TAKEN, message=message))
            return True
        reports.waiting(plan.ref.step, "")
        self._saw(view, reports)
        return True


class Performer(Creating[JobView]):
    """Performs plans for many actors; at most one task per Job name at a time."""

    kind, decode = "Job", decode_job

    def __init__(self, kube: Kube) -> None:
        super().__init__(CREATES_IN_FLIGHT_MAX)
        self._kube = kube
        self._claimed: dict[str, None] = {}  # Workflows whose claim is there: the newest, by uid

    async def _create(self, plan: Plan) -> Answer:
        """The answer to the Job, or a refusal of the claim that its pods are to mount."""
        if plan.workflow_uid not in self._claimed and (claim := plan.claim()) is not None:
            answer = await self._kube.create_claim(plan.namespace, claim)
            if answer.status not in (201, 409):
                return replace(answer, message=f"the claim of the workspace: {answer.message}")
            self._claimed[plan.workflow_uid] = None  # a 409 is ours: the uid is in the name
            if len(self._claimed) > CLAIMS_KEPT_MAX:
                del self._claimed[next(iter(self._claimed))]
        return await self._kube.create_job(plan.namespace, plan.manifest())

    async def release(self, plan: Plan, job_uid: str, reports: Reports) -> None:
        """Until the Job of this uid is not suspended, or is not there any more."""
        backoff = Backoff()
        while True:
            try:
                answer = await self._kube.suspend_job(plan.namespace, plan.job, job_uid, suspend=False)
                if answer.status in (200, 404) or await self._runs_or_is_gone(plan, job_uid):
                    reports.waiting(plan.ref.step, "")
                    return
                reports.waiting(plan.ref.step, f"the API server refuses to start the Job for now: {answer.message}")
            except Unanswered as error:
                reports.waiting(plan.ref.step, f"no answer from the API server: {error}")
            await backoff.wait()

    async def _runs_or_is_gone(self, plan: Plan, job_uid: str) -> bool:
        """Whatever a refusal says: only a read tells. That it is gone will be observed."""
        view = await self._kube.get_job(plan.namespace, plan.job)
        return view is None or view.metadata.uid != job_uid or not view.spec.suspend

    async def ensure_no_job(self, plan: Plan, reports: Reports) -> None:
        """Until the placeholder holds the name, the Job controller knows it, and none of the attempt's pods is left."""
        backoff = Backoff(ENDING_SECONDS)
        why: str | None = None
        while True:
            try:
                if why is None:
                    why = await self._waiting_reason(plan)
                view = await self._kube.get_job(plan.namespace, plan.job)
                if await self._displaced(view, plan, reports):
                    break
            except Unanswered as error:
                reports.waiting(plan.ref.step, f"no answer from the API server: {error}")
            await backoff.wait()
        await self._pods_gone(plan, reports)
        reports.command(ObserveGone(ref=plan.ref, message=why or ""))

    async def _displaced(self, view: JobView | None, plan: Plan, reports: Reports) -> bool:
        """Whether nothing of this attempt stands under its name any more, and nothing of it ever can."""
        if view is None:
            # The next look decides: 201 and 409 alike are proven by reading.
            answer = await self._kube.create_job(plan.namespace, plan.placeholder())
            if answer.status not in (201, 409):
                reports.waiting(plan.ref.step, f"the API server refuses the placeholder Job: {answer.message}")
            return False
        if is_placeholder(view):
            if not is_taken_up(view):
                reports.waiting(plan.ref.step, "the Job controller has not seen yet that the Job is gone")
            return is_taken_up(view)
        if not is_ours(view, plan):
            return True
        if view.metadata.deletion_timestamp is None:
            await self._kube.delete_job(plan.namespace, plan.job, view.metadata.uid)
        return False

    async def _pods_gone(self, plan: Plan, reports: Reports) -> None:
        """Until one consistent LIST shows no pod of the attempt: the collector's caches lag apart."""
        backoff = Backoff(ENDING_SECONDS)
        while True:
            try:
                # A pod that has ended is only a record; after an orphaning delete it stays for ever.
                pods = [pod for pod in await self._pods(plan) if pod.status.phase not in POD_ENDED]
                if not pods:
                    reports.waiting(plan.ref.step, "")
                    return
                nodes = ", ".join(sorted({pod.spec.node_name or "no node" for pod in pods}))
                reports.waiting(plan.ref.step, f"{len(pods)} pod(s) still ending on {nodes}")
            except Unanswered as error:
                reports.waiting(plan.ref.step, f"no answer from the API server: {error}")
            await backoff.wait()

    async def _waiting_reason(self, plan: Plan) -> str:
        reasons = (waiting_reason(pod) for pod in await self._pods(plan))
        return next((reason for reason in reasons if reason), "")

    async def _pods(self, plan: Plan) -> list[PodView]:
        ref = plan.ref
        step, index = split_item(ref.step) or (ref.step, None)
        selector = (
            f"kipu.dev/workflow-uid={plan.workflow_uid},kipu.dev/run={ref.run},"
            f"kipu.dev/step={step},kipu.dev/attempt={ref.attempt}"
        ) + ("" if index is None else f",kipu.dev/index={index}")
        return await self._kube.list_pods(plan.namespace, selector)

    async def pods_of(self, namespace: str, job_uid: str) -> list[PodView]:
        """A consistent list of a Job's pods, for an end that the Job knows and the watch of pods did not show."""
        return await self._kube.list_pods(namespace, f"batch.kubernetes.io/controller-uid={job_uid}")

    async def standing(self, namespace: str, name: str) -> JobView | None:
        """See Creating."""
        return await self._kube.get_job(namespace, name)

    def _saw(self, view: JobView, reports: Reports) -> None:
        reports.job_seen(view)


def is_ours(view: JobView | RunView, plan: Plan) -> bool:
    """Whether this is the Job, or child, of just this intent: by owner uid and annotation, never by its name alone."""
    return is_owned(view, plan.workflow_uid) and intent_of(view) == plan.intent


class Backoff:
    """Growing, jittered waits. Not in the engine's loop: each effect waits in its own task."""

    def __init__(self, seconds: Sequence[float] = BACKOFF_SECONDS) -> None:
        self._seconds = seconds
        self._tries = 0

    async def wait(self) -> None:
        """The next one."""
        seconds = self._seconds[min(self._tries, len(self._seconds) - 1)]
        self._tries += 1
        await asyncio.sleep(seconds * (0.5 + random.random() / 2))


async def until_read(read: Callable[[], Awaitable[T]]) -> T:
    """Read until an answer comes."""
    backoff = Backoff()
    while True:
        try:
            return await read()
        except Unanswered:
            await backoff.wait()
