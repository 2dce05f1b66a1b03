"""Mutants of kipu/shell/explainer.py: why attempts have not started."""

from __future__ import annotations

from collections.abc import Iterable

from kipu.shell.explainer import Awaited, Explainer
from tests.zoo.mutants import mutant

EXPLAINER = "tests/shell/test_explainer.py"


@mutant("Explainer._late", breaks="housekeeping in the way", caught_by=EXPLAINER)
def everything_that_does_not_run_is_late(self: Explainer, now: float) -> list[Awaited]:
    """A fast run is asked about at once, and again and again."""
    return [awaited for own in self._awaited.values() for awaited in own.values()]


@mutant("Explainer.forget", breaks="a failure that explains nothing", caught_by=EXPLAINER)
def what_was_said_stays(self: Explainer, uid: str, job: str) -> None:
    """A step that runs by now is still said to wait."""
    self._awaited.get(uid, {}).pop(job, None)


@mutant("Explainer._read_notices", breaks="a failure that explains nothing", caught_by=EXPLAINER)
async def only_pods_are_heard(self: Explainer, late: Iterable[Awaited]) -> None:
    """A volume that cannot be mounted, and a Job that may have no pod, are never explained."""
