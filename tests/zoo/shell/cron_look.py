"""Mutants of kipu/shell/cron_look.py: the order in which a look carries out what it has concluded."""

from __future__ import annotations

from kipu.api.cron import Asked
from kipu.api.cron_status import Trouble
from kipu.core.cron import Plan
from kipu.shell.cron_look import Looker, _Sight
from tests.zoo.mutants import mutant

CRASHES = "tests/shell/test_cron_crashes.py"
_start, _look = Looker._start, Looker.look


@mutant("Looker._start", breaks="C1", caught_by=CRASHES)
async def the_status_is_noted_before_the_child_is_created(
    self: Looker, sight: _Sight, asked: Asked, concluded: Plan
) -> tuple[Plan, Trouble | None]:
    """The time is noted as served first: killed in between, its Workflow is lost."""
    if concluded.start is not None:
        noted = {**sight.view.status, "lastScheduleTime": "2026-01-01T00:09:00Z"}
        await self._kube.patch_cron_workflow_status(sight.view, noted)
    return await _start(self, sight, asked, concluded)


@mutant("Looker._start", breaks="C1", caught_by="tests/shell/test_cron.py")
async def whoever_holds_the_name_it_is_ours(
    self: Looker, sight: _Sight, asked: Asked, concluded: Plan
) -> tuple[Plan, Trouble | None]:
    """Somebody else's Workflow of that name counts as the one that was to be created."""
    done, trouble = await _start(self, sight, asked, concluded)
    return done, None if trouble is not None and trouble.reason == "NameTaken" else trouble
