"""Mutants of kipu/api/status.py: what people see."""

from __future__ import annotations

from kipu.api.status import _counts
from kipu.api.v1alpha1_status import Counts
from kipu.core.state import State
from tests.zoo.mutants import mutant

_sound = _counts


@mutant("_counts", breaks="I14, partial failure called success", caught_by="tests/api/test_status.py")
def what_has_ended_is_counted_as_succeeded(state: State) -> Counts:
    """A failed step is shown among those that went well."""
    counts = _sound(state)
    return counts.model_copy(update={"succeeded": counts.succeeded + counts.failed, "failed": 0})
