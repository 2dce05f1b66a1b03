"""Mutants of kipu/shell/observations.py: what a pod says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kipu.core.commands import ObserveOutcome
from kipu.core.definition import Output
from kipu.shell.kube_owned import RunView
from kipu.shell.kube_views import JobView, PodView
from tests.zoo.mutants import mutant
from tests.zoo.selections import SPEAKING_RUN


@mutant("_with_outputs", breaks="I13", caught_by=SPEAKING_RUN)
def a_success_needs_no_outputs(
    seen: ObserveOutcome, pod: PodView, message: str, declared: Sequence[Output]
) -> ObserveOutcome:
    """A program that ended well has done its work, whatever it has written."""
    return replace(seen, pod_uid=pod.metadata.uid)


@mutant("is_owned", breaks="a forged Job is believed", caught_by="tests/shell/test_forged.py")
def labels_and_intent_are_enough(job: JobView | RunView, workflow_uid: str) -> bool:
    """An intent is copied as easily as a label."""
    return True
