"""Mutants of kipu/core/files.py: whose files stand."""

from __future__ import annotations

from collections.abc import Iterator

from kipu.core.files import Folder
from kipu.core.state import State
from tests.zoo.mutants import mutant

WORKSPACE = "tests/shell/test_workspace.py"


@mutant("inputs", breaks="I13", caught_by=WORKSPACE)
def the_items_of_a_fan_out_are_not_handed_on(state: State, place: int) -> Iterator[Folder]:
    """Only steps of one pod are looked at."""
    for name in state.step(place).inputs:
        source = state.place_of(name)
        attempt = None if source is None else state.steps[source].attempt
        if attempt is not None and attempt.pod_uid is not None:
            yield name, None, attempt.pod_uid


@mutant("excess", breaks="a Job that no node can run", caught_by=WORKSPACE)
def any_number_of_folders_is_mounted(state: State, place: int) -> str:
    """A pod with thousands of mounts is left to the kubelet."""
    return ""
