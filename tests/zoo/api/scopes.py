"""Mutants of kipu/api/scopes.py: where expressions stand."""

from __future__ import annotations

from collections.abc import Mapping

from kipu.api.passthrough import JsonMap
from tests.zoo.mutants import mutant
from tests.zoo.selections import SPEAKING_RUN


@mutant("filled", breaks="I13", caught_by=SPEAKING_RUN)
def a_job_reads_something_else(pod: JsonMap, values: Mapping[str, str]) -> JsonMap:
    """What was recorded does not come into the manifest."""
    return pod
