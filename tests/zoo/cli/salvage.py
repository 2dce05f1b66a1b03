"""Mutants of kipu/cli/salvage.py: what a new Workflow takes over from an old one."""

from __future__ import annotations

from kipu.core.definition import Definition
from tests.zoo.mutants import mutant

MENDED = "tests/cli/test_salvage_mended.py"


@mutant("_differs", breaks="adoption by name alone", caught_by=MENDED)
def mended_params_are_not_looked_at(definition: Definition, recorded: Definition) -> str:
    """A step counts as done although it was run with other params."""
    return "spec.defaults" if definition.pod_defaults != recorded.pod_defaults else ""


@mutant("_unchanged", breaks="adoption by name alone", caught_by=MENDED)
def a_mended_step_is_adopted(definition: Definition, recorded: Definition) -> list[str]:
    """A step counts as done by its name, whatever it runs now."""
    then = {step.name for step in recorded.steps}
    return [step.name for step in definition.steps if step.name in then]
