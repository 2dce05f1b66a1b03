"""Mutants of kipu/api/reuse.py: what a Workflow takes of its template."""

from __future__ import annotations

from kipu.api.v1alpha1_template import ParamType
from tests.zoo.mutants import mutant


@mutant("fits", breaks="T2", caught_by="tests/api/test_reuse.py")
def a_value_of_any_type_fits(kind: ParamType, value: object) -> bool:
    """The type of a param is only a word."""
    return True
