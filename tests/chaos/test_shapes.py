"""The load: every Workflow of it is one that Kipu accepts, and its promised end covers every step."""

from __future__ import annotations

import pytest

from e2e.chaos.shapes import FAKE, REAL, Shape
from kipu.api import definition

SHAPES = [*FAKE, *REAL]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_is_accepted_and_says_how_each_step_ends(shape: Shape) -> None:
    parsed = definition.parse(shape.manifest("one")["spec"])
    names = {step.name for step in parsed.steps}
    assert 2 <= len(names) <= 6
    assert set(shape.phases) == names >= set(shape.attempts)
    assert not shape.cancel_when_runs or shape.cancel_when_runs in names


def test_every_kind_of_end_is_among_them() -> None:
    assert {shape.end for shape in SHAPES} == {"Succeeded", "Failed", "Cancelled"}
    assert len({shape.name for shape in SHAPES}) == len(SHAPES)


def test_what_runs_on_simulated_nodes_runs_nothing() -> None:
    scripts = {step["script"] for shape in FAKE for step in shape.steps}
    assert scripts == {"true"}
    assert all("nodeSelector" in shape.manifest("one")["spec"]["defaults"]["template"]["spec"] for shape in FAKE)
