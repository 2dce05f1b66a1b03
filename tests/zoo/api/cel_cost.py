"""Mutants of kipu/api/cel_cost.py: what an expression can cost."""

from __future__ import annotations

from kipu.api.cel_cost import Cost
from tests.zoo.mutants import mutant


@mutant("Cost.excess", breaks="an expression that takes all memory", caught_by="tests/api/test_expressions.py")
def nothing_costs_too_much(self: Cost) -> str | None:
    """`[s].map(x, x + x)`, twenty times, is evaluated."""
    return None
