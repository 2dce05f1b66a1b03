"""Mutants of kipu/api/templates.py: what is put into a manifest."""

from __future__ import annotations

from tests.zoo.mutants import mutant


@mutant("_doubled", breaks="I13", caught_by="tests/api/test_templates.py")
def the_kubelet_reads_values_again(text: str, following: str) -> str:
    """A value `$(TOKEN)` becomes the value of the variable TOKEN."""
    return text
