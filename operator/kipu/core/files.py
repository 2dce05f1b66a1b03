"""Whose files stand: of every step that has succeeded in a workspace, those of one pod, which its record names.

Promises: pure, and the same after replay; a pod that was not committed is never named. The files themselves are the
volume's: the core never sees them. Must never decide anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from .definition import INPUTS_MAX
from .state import State

Folder = tuple[str, int | None, str]  # step, index of the item if it is a fan-out's, uid of the pod


def winner(state: State, place: int) -> str | None:
    """The uid of the pod whose files stand for this step or item that has succeeded, where there is a workspace."""
    attempt, definition = state.steps[place].attempt, state.definition
    return attempt.pod_uid if attempt and definition and definition.workspace else None


def inputs(state: State, place: int) -> Iterator[Folder]:
    """What the step or item at this place reads, in the order of its inputs. A step without a success has none."""
    for name in state.step(place).inputs:
        source = state.place_of(name)
        assert source is not None
        fanout = state.fanouts.get(source)
        if fanout is not None:
            yield from ((name, index, pod) for index, pod in sorted(fanout.pods.items()))
        elif (pod := winner(state, source)) is not None:
            yield name, None, pod


def excess(state: State, place: int) -> str:
    """Why no pod can mount all that the step is to read; empty where one can."""
    count = sum(1 for _ in islice(inputs(state, place), INPUTS_MAX + 1))
    if count <= INPUTS_MAX:
        return ""
    return f"its inputs are the folders of more than {INPUTS_MAX} pods: more cannot be mounted"
