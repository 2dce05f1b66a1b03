"""The zoo is in order: what it replaces is there, what it breaks is known, and what must catch it exists."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.zoo.mutants import Mutant, all_mutants, find

ROOT = Path(__file__).parents[2]
MUTANTS = list(all_mutants())
MUTANTS_MIN = 40
INVARIANTS = [*(f"I{number}" for number in range(1, 21)), "C1", "C2", "C3", "T1", "T2"]  # docs/guarantees.md
# What went wrong in earlier engines (issue 4), and what design 03 asks for by name.
FAILURES = (
    "append that overwrites the log",
    "mutation before the event",
    "retry that looks for a phase nobody sets",
    "sleep in the loop",
    "state changed from a second place",
    "ordering by time",
    "rescan of all steps",
    "no backpressure",
    "partial failure called success",
    "pods orphaned on delete",
    "adoption by name alone",
    "rerun from a stale cache after garbage collection",
    "a second table written after the first",
    "a timer that beats a finished pod",
    "commit after effect",
    "sweep by age",
    "sweep without the generation rule",
    "delete without uid",
    "trust the watch for absence",
    "retry on too-large",
    "reuse an attempt number",
    "quadratic rescan",
    "claim skipped",
    "first terminal outcome overwritten",
    "placeholder not created",
    "Cancelled before pods are gone",
    "blind resend without guards",
    "hash chain over position only",
    "status written as truth",
    "timers allowed before the first list",
    "backoff not recorded",
    "jitter by random",
    "accept a cut output",
    "last write wins",
    "expressions evaluated again",
    "an expression that takes all memory",
    "more Jobs than there are slots",
    "early deletion of any finished Job",
    "a Job that no node can run",
    # Of runs without a cluster (issue 5, item 8).
    "torn tail not cut",
    "two processes own the log",
    "acknowledged before it is on the disk",
    "processes orphaned",
    "killed without a grace",
    "housekeeping in the way",
    # Of failures explained.
    "a failure that explains nothing",
    "other namespaces are served than were named",
    "a forged Job is believed",
    # Of thousands.
    "what is over is kept in mind",
    "a wait that nobody explains",
)
each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)


def parameters(function: Any) -> list[tuple[str, object]]:
    return [(parameter.name, parameter.kind) for parameter in inspect.signature(function).parameters.values()]


@each
def test_what_a_mutant_replaces_is_there_and_is_called_in_the_same_way(mutant: Mutant) -> None:
    original = mutant.original()
    assert original is not mutant.replacement, "the plugin is at work: run this test without KIPU_MUTANT"
    if mutant.is_constant:
        assert type(mutant.replacement()) is type(original)
        return
    function = original.fget if isinstance(original, property) else original
    assert parameters(mutant.replacement) == parameters(function)
    assert inspect.iscoroutinefunction(mutant.replacement) is inspect.iscoroutinefunction(function)


@each
def test_a_mutant_says_what_it_is_and_which_tests_must_catch_it(mutant: Mutant) -> None:
    assert mutant.sentence.endswith(".")
    assert find(mutant.id).replacement is mutant.replacement
    for selection in mutant.caught_by:
        file, *names = selection.partition("[")[0].split("::")
        tree = ast.parse((ROOT / file).read_text())
        there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert set(names) <= there


def test_every_invariant_and_every_known_failure_has_its_mutant() -> None:
    broken = {what for mutant in MUTANTS for what in mutant.breaks}
    assert set(INVARIANTS) <= broken
    assert set(FAILURES) <= broken
    assert broken <= {*INVARIANTS, *FAILURES}
    assert len(MUTANTS) >= MUTANTS_MIN


def test_no_two_mutants_have_the_same_name() -> None:
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)
