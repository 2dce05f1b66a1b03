"""Mutants of kipu/api/cel_cost.py: what an expression can cost."""

from __future__ import annotations

from kipu.api.cel_cost import Cost
from tests.zoo.mutants import mutant

LAUGHS = "tests/api/test_expressions.py::test_an_expression_that_would_cost_too_much_is_refused_at_once[billion laughs]"


@mutant("Cost.excess", breaks="an expression that takes all memory", caught_by=LAUGHS)
def nothing_costs_too_much(self: Cost) -> str | None:
    """`[s].map(x, x + x)`, twenty times, is evaluated."""
    return None
