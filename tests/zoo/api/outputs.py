"""Mutants of kipu/api/outputs.py: what a program has written."""

from __future__ import annotations

from tests.zoo.mutants import mutant

OUTPUTS = "tests/api/test_outputs.py"


@mutant("bytes_max", breaks="accept a cut output", caught_by=OUTPUTS)
def a_cut_output_is_taken(containers: int) -> int:
    """What may be the beginning of more is taken for all of it."""
    return 100_000 // containers


@mutant("bytes_max", breaks="accept a cut output", caught_by=OUTPUTS)
def other_containers_are_not_counted(containers: int) -> int:
    """The kubelet shares 12 KiB among all containers of a pod, not among none."""
    return 4_096


@mutant("_finite", breaks="I13", caught_by=OUTPUTS)
def a_number_may_be_infinite(name: str, number: float) -> float:
    """1e999 is taken, and read again as nothing."""
    return number
