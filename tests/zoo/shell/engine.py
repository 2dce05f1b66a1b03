"""Mutants of kipu/shell/engine.py: sessions, and the one boundary."""

from __future__ import annotations

from typing import Any

from kipu.shell.engine import FINISHED, Engine
from kipu.shell.kube_views import WorkflowView
from tests.zoo.mutants import mutant

ENGINE = "tests/shell/test_engine.py"


@mutant("is_settled", breaks="I14, status written as truth", caught_by=ENGINE)
def the_status_says_whether_there_is_anything_to_do(view: WorkflowView) -> bool:
    """A phase in the status is believed, for whichever spec it was written."""
    return view.status.get("phase") in FINISHED


@mutant("Engine._stall", breaks="I19", caught_by=ENGINE)
async def a_contradiction_is_kept_quiet(self: Engine, entry: Any, error: Exception) -> None:
    """A workflow whose log is damaged stops, and nobody is told."""
