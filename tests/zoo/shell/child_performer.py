"""Mutants of kipu/shell/child_performer.py: children created, and asked to end."""

from __future__ import annotations

from kipu.shell.child_performer import ChildPerformer
from kipu.shell.kube_owned import RunView
from kipu.shell.performer import Reports
from kipu.shell.plans import Plan
from tests.zoo.mutants import mutant

NESTED = "tests/shell/test_sub_workflows.py"
DELETED = "tests/shell/test_deleted_children.py"
_end, _marked = ChildPerformer._end, ChildPerformer._marked


@mutant("ChildPerformer._end", breaks="I11, I16", caught_by=NESTED)
async def a_child_is_left_to_end_by_itself(
    self: ChildPerformer, child: RunView | None, plan: Plan, reports: Reports
) -> None:
    """A given-up child is waited for, and asked nothing."""
    if child is None:
        await _end(self, child, plan, reports)


@mutant("ChildPerformer._looked_at", breaks="I8", caught_by=DELETED)
async def what_the_job_controller_knows_is_not_asked(self: ChildPerformer, plan: Plan, mark: str) -> tuple[str, bool]:
    """Nothing is left now, so nothing comes any more."""
    return mark, bool(mark)


@mutant("ChildPerformer._marked", breaks="I8", caught_by=DELETED)
async def any_mark_will_do(self: ChildPerformer, plan: Plan, reports: Reports) -> str:
    """A placeholder that an operator before has made is taken for one that was made now."""
    standing = await self._kube.get_job(plan.namespace, plan.job)
    return await _marked(self, plan, reports) if standing is None else standing.metadata.uid


@mutant("ChildPerformer._remains_gone", breaks="I8", caught_by=DELETED)
async def what_a_deleted_child_leaves_is_nobodys(self: ChildPerformer, plan: Plan, uid: str, reports: Reports) -> None:
    """A child that somebody has deleted is gone, whatever still runs of it."""
