"""Mutants of kipu/shell/lookout.py: what was heard of an attempt."""

from __future__ import annotations

from collections.abc import Mapping

from kipu.core.commands import AttemptRef, ObserveMissing
from kipu.core.definition import Definition
from kipu.core.state import State
from kipu.shell import observations
from kipu.shell.kube_views import JobView
from kipu.shell.lookout import Lookout
from kipu.shell.observations import Promise
from kipu.shell.observer import Sighting
from tests.zoo.mutants import mutant

ACTOR = "tests/shell/test_actor.py"
LOOKOUT = "tests/shell/test_lookout.py"


@mutant("Lookout._verify", breaks="I5, I8, trust the watch for absence", caught_by=LOOKOUT)
def what_a_watch_calls_gone_is_gone(self: Lookout, name: str, ref: AttemptRef) -> None:
    """That a Job is not in a list, or is told as deleted, is taken for its absence."""
    self._tell(ObserveMissing(ref=ref))


@mutant("Lookout.seek_missing", breaks="I16, I20", caught_by=ACTOR)
def a_restart_misses_nobody(self: Lookout, state: State, known: Mapping[str, Sighting]) -> None:
    """A Job that was deleted while the operator was down is waited for for ever."""
    for place in state.live:
        if (attempt := state.steps[place].attempt) is not None:
            self.expect(attempt.job, AttemptRef(run=state.run, step=state.step(place).name, attempt=attempt.number))


@mutant("Lookout._intended", breaks="I7, adoption by name alone", caught_by=LOOKOUT)
def any_job_with_our_labels_speaks(self: Lookout, job: JobView) -> AttemptRef | None:
    """Whoever copies the labels of an attempt speaks for it."""
    return observations.attempt_of(job)


@mutant("_promises", breaks="I13", caught_by="tests/shell/test_workspace.py")
def a_success_in_a_workspace_needs_no_pod(definition: Definition) -> dict[str, Promise]:
    """A Job that is complete has done it, whichever folder its pod has written."""
    return {step.name: Promise(outputs=step.outputs) for step in definition.steps if step.outputs}
