"""Mutants of kipu/core/definition_json.py: what a definition of a later version must not be taken for."""

from __future__ import annotations

from collections.abc import Mapping

from tests.zoo.mutants import mutant


@mutant("_check_keys", breaks="I19", caught_by=("tests/eventlog/test_codec.py",))
def what_is_not_known_in_a_definition_is_passed_over(raw: Mapping[str, object], known: frozenset[str]) -> None:
    """A step of a later version runs without what it was told there."""
