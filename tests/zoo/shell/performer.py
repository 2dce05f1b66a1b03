"""Mutants of kipu/shell/performer.py: effects to API calls."""

from __future__ import annotations

from kipu.core.commands import ObserveRefused
from kipu.core.events import Reason
from kipu.eventlog.ports import Answer, Unanswered
from kipu.shell.kube_owned import RunView
from kipu.shell.kube_views import JobView, PodView, decode_job
from kipu.shell.observations import is_placeholder
from kipu.shell.performer import Backoff, Performer, Reports
from kipu.shell.plans import Plan
from tests.zoo.mutants import mutant

PERFORMER = "tests/shell/test_performer.py"
_displaced = Performer._displaced


@mutant("is_ours", breaks="I7, adoption by name alone", caught_by=PERFORMER)
def a_job_is_ours_by_its_name(view: JobView, plan: Plan) -> bool:
    """Whatever stands under the attempt's name is its Job."""
    return view.metadata.name == plan.job


@mutant("is_ours", breaks="I7, adoption by name alone", caught_by="tests/shell/test_sub_workflows.py")
def a_child_is_ours_by_its_name(view: JobView | RunView, plan: Plan) -> bool:
    """Whatever Workflow stands under the attempt's name is its child."""
    return view.metadata.name == plan.job


@mutant("Performer._displaced", breaks="I8, I11, placeholder not created", caught_by=PERFORMER)
async def a_name_is_left_free(self: Performer, view: JobView | None, plan: Plan, reports: Reports) -> bool:
    """Once the Job of a given-up attempt is gone, that is that."""
    return True if view is None else await _displaced(self, view, plan, reports)


@mutant("Performer._pods_gone", breaks="I8, I11, Cancelled before pods are gone", caught_by=PERFORMER)
async def gone_is_gone_without_a_list_of_pods(self: Performer, plan: Plan, reports: Reports) -> None:
    """That the Job is gone counts as proof that its pods are."""


@mutant("Creating.ensure_job", breaks="I16, I20", caught_by=PERFORMER)
async def a_create_is_sent_once(self: Performer, plan: Plan, reports: Reports) -> None:
    """A create without an answer is left at that."""
    try:
        answer = await self._kube.create_job(plan.namespace, plan.manifest())
    except Unanswered:
        return
    await self._settled(answer, plan, reports)


@mutant(
    "Creating.ensure_job", breaks="I8, early deletion of any finished Job", caught_by="tests/shell/test_retention.py"
)
async def every_create_counts_as_answered(self: Performer, plan: Plan, reports: Reports) -> None:
    """That an earlier create may still be under way is forgotten once a later one is answered."""
    backoff = Backoff()
    while True:
        try:
            answer = await self._kube.create_job(plan.namespace, plan.manifest())
            if answer.status == 409 and (view := await self._kube.get_job(plan.namespace, plan.job)) is not None:
                reports.created(plan.job, view.metadata.uid)
            if answer.status == 201:
                reports.created(plan.job, decode_job(answer.body).metadata.uid)
            if await self._settled(answer, plan, reports):
                return
        except Unanswered:
            pass
        await backoff.wait()


@mutant("Creating._settled", breaks="I15", caught_by=PERFORMER)
async def any_refusal_is_the_steps_fault(self: Performer, answer: Answer, plan: Plan, reports: Reports) -> bool:
    """A quota that is full, or a busy API server, fails the step for good."""
    if answer.status == 201:
        reports.job_seen(decode_job(answer.body))
    elif answer.status == 409:
        return await self._adopt(plan, reports)
    else:
        reports.command(ObserveRefused(ref=plan.ref, reason=Reason.INVALID_JOB, message=answer.message))
    return True


@mutant("Performer._displaced", breaks="I16", caught_by=PERFORMER)
async def a_placeholder_is_taken_down_again(
    self: Performer, view: JobView | None, plan: Plan, reports: Reports
) -> bool:
    """Cleaning up does not stop at what holds the name."""
    if view is not None and is_placeholder(view):
        await self._kube.delete_job(plan.namespace, plan.job, view.metadata.uid)
        return True
    return await _displaced(self, view, plan, reports)


@mutant("Creating._adopt", breaks="I16, I20", caught_by=PERFORMER)
async def a_job_that_is_there_already_is_an_error(self: Performer, plan: Plan, reports: Reports) -> bool:
    """That a create finds its own Job, made by an earlier try, fails the attempt."""
    reports.command(ObserveRefused(ref=plan.ref, reason=Reason.JOB_NAME_TAKEN, message="it is taken"))
    return True


@mutant("Performer._pods", breaks="I16", caught_by="tests/shell/test_fanning_out.py")
async def the_pods_of_all_items_are_waited_for(self: Performer, plan: Plan) -> list[PodView]:
    """An item that was given up is gone only once no other item runs."""
    ref = plan.ref
    step = ref.step.partition("[")[0]
    selector = f"kipu.dev/workflow-uid={plan.workflow_uid},kipu.dev/step={step},kipu.dev/attempt={ref.attempt}"
    return await self._kube.list_pods(plan.namespace, selector)


@mutant("Performer._runs_or_is_gone", breaks="I16", caught_by="tests/shell/test_external.py")
async def a_refused_release_is_believed(self: Performer, plan: Plan, job_uid: str) -> bool:
    """The Job of an External step stays suspended once the API server has refused its release."""
    return True
