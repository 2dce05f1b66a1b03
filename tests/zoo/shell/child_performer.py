"""Mutants of kipu/shell/child_performer.py: children created, and asked to end."""

from __future__ import annotations

from kipu.shell.child_performer import ChildPerformer
from kipu.shell.kube_owned import RunView
from kipu.shell.performer import Reports
from kipu.shell.plans import Plan
from tests.zoo.mutants import mutant

NESTED = "tests/shell/test_sub_workflows.py"
_end = ChildPerformer._end


@mutant("ChildPerformer._end", breaks="I11, I16", caught_by=NESTED)
async def a_child_is_left_to_end_by_itself(
    self: ChildPerformer, child: RunView | None, plan: Plan, reports: Reports
) -> None:
    """A given-up child is waited for, and asked nothing."""
    if child is None:
        await _end(self, child, plan, reports)


@mutant("ChildPerformer._remains_gone", breaks="I8", caught_by=NESTED)
async def what_a_deleted_child_leaves_is_nobodys(self: ChildPerformer, plan: Plan, uid: str, reports: Reports) -> None:
    """A child that somebody has deleted is gone, whatever still runs of it."""
