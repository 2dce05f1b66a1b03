"""Effects of sub-workflow steps to API calls: the only code that creates children and asks them to end.

Promises: those of `performer`: every effect may be performed any number of times and at any delay; a 409 is ours only
by owner uid and intent. An attempt that is given up has ended once its name is held by a Workflow that has ended: the
child itself, asked to end (`spec.shutdown`), or where there is none a placeholder that was born so; and once nothing is
left, nor can come any more, of a child that somebody has deleted. Must never delete a Workflow, and never decide.
"""

from __future__ import annotations

from kipu.core.commands import ObserveGone
from kipu.eventlog.ports import Answer, Unanswered

from .child_observations import has_ended, how_it_ended, is_told_to_end, run_to_end
from .kube_owned import OwnedKube, RunView, decode_run
from .kube_views import POD_ENDED, decode_job
from .observations import finished_condition, is_placeholder, is_taken_up
from .performer import Backoff, Creating, Reports, is_ours
from .plans import Plan

CREATES_IN_FLIGHT_MAX = 8  # each brings an actor and a log with it
# While a child ends: its own `finally` may take long, and a person waits for Cancelled.
ENDING_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
OUTDATED = (404, 409, 422)  # of a write that names uid and version: another look tells


class ChildPerformer(Creating[RunView]):
    """Performs plans for many actors; at most one task per name and effect at a time."""

    kind, decode = "Workflow", decode_run

    def __init__(self, kube: OwnedKube) -> None:
        super().__init__(CREATES_IN_FLIGHT_MAX)
        self._kube = kube

    async def _create(self, plan: Plan) -> Answer:
        return await self._kube.create_workflow(plan.namespace, plan.manifest())

    async def standing(self, namespace: str, name: str) -> RunView | None:
        """See Creating."""
        return await self._kube.get_run(namespace, name)

    def _saw(self, view: RunView, reports: Reports) -> None:
        reports.child_seen(view)

    # -- until it has ended --------------------------------------------------------------------------

    async def ensure_no_job(self, plan: Plan, reports: Reports) -> None:
        """Until a Workflow that has ended holds the name, and nothing is left of one that was deleted."""
        backoff = Backoff(ENDING_SECONDS)
        while True:
            try:
                child = await self.standing(plan.namespace, plan.job)
                if child is not None and (not is_ours(child, plan) or has_ended(child)):
                    break
                await self._end(child, plan, reports)
            except Unanswered as error:
                reports.waiting(plan.ref.step, f"no answer from the API server: {error}")
            await backoff.wait()
        is_itself = is_ours(child, plan) and not is_placeholder(child)
        if not is_itself and plan.child_uid is not None:
            await self._remains_gone(plan, plan.child_uid, reports)
        reports.waiting(plan.ref.step, "")
        reports.command(ObserveGone(ref=plan.ref, message=how_it_ended(child) if is_itself else ""))

    async def _end(self, child: RunView | None, plan: Plan, reports: Reports) -> None:
        """One step towards the end; the next look tells whether it was carried out."""
        if child is None:
            answer = await self._kube.create_workflow(plan.namespace, plan.placeholder())
            refused = answer.status not in (201, 409)
        elif is_told_to_end(child, plan.mode):
            reports.waiting(plan.ref.step, f"Workflow '{plan.job}' is ending")
            return
        else:
            answer = await self._kube.end_workflow(child, mode=plan.mode, number=run_to_end(child))
            refused = answer.status not in (200, *OUTDATED)
        if refused:
            reports.waiting(plan.ref.step, f"Workflow '{plan.job}' cannot be asked to end: {answer.message}")

    # -- until nothing is left of one that was deleted -------------------------------------------------

    async def _remains_gone(self, plan: Plan, uid: str, reports: Reports) -> None:
        """Somebody has deleted the child; the collector takes what it owned, its own children too, one after another.

        Of those that are still there the uids are learned in time, since the collector begins with the owner. The Job
        controller may not know yet that a Job is gone, and make a pod for it: so once nothing is left it is given a
        Job that never runs, and when it has taken that one up another look finds all that it has made before.
        """
        backoff, uids, mark = Backoff(ENDING_SECONDS), {uid: None}, ""
        while True:
            try:
                mark, is_known = await self._looked_at(plan, mark)
                left = [await self._left_of(plan.namespace, each, uids) for each in list(uids)]
                if any(left):
                    mark, why = "", f"Workflow '{plan.job}' was deleted, and {sum(left)} of its objects run on"
                    reports.waiting(plan.ref.step, why)
                elif is_known:
                    return
                elif not mark:
                    mark = await self._marked(plan, reports)
            except Unanswered as error:
                reports.waiting(plan.ref.step, f"no answer from the API server: {error}")
            await backoff.wait()

    async def _marked(self, plan: Plan, reports: Reports) -> str:
        """The uid of a Job that never runs, made now; empty if there is none yet. One of before says nothing."""
        standing = await self._kube.get_job(plan.namespace, plan.job)
        if standing is None:
            answer = await self._kube.create_job(plan.namespace, plan.placeholder_job())
            if answer.status == 201:
                return decode_job(answer.body).metadata.uid
            if answer.status != 409:
                reports.waiting(plan.ref.step, f"the API server refuses the placeholder Job: {answer.message}")
            return ""
        if not is_ours(standing, plan):
            return standing.metadata.uid  # of somebody who took this name: it shall not hold the attempt up
        await self._kube.delete_job(plan.namespace, plan.job, standing.metadata.uid)
        return ""

    async def _looked_at(self, plan: Plan, mark: str) -> tuple[str, bool]:
        """The mark, if it still stands, and whether the Job controller knows it."""
        standing = await self._kube.get_job(plan.namespace, plan.job) if mark else None
        if standing is None or standing.metadata.uid != mark:
            return "", False
        return mark, is_taken_up(standing) or not is_ours(standing, plan)

    async def _left_of(self, namespace: str, uid: str, uids: dict[str, None]) -> int:
        """How much of this Workflow may still do something. Its own children are added to `uids`."""
        selector = f"kipu.dev/workflow-uid={uid}"
        # Owners first: what they make meanwhile is seen after them.
        children = await self._kube.list_runs(namespace, selector)
        jobs = await self._kube.list_jobs(namespace, selector)
        pods = await self._kube.list_pods(namespace, selector)
        uids.update({child.metadata.uid: None for child in children})
        open_jobs = [job for job in jobs if finished_condition(job) is None and not job.spec.suspend]
        open_pods = [pod for pod in pods if pod.status.phase not in POD_ENDED]
        return sum(not has_ended(child) for child in children) + len(open_jobs) + len(open_pods)
