"""Mutants of kipu/core/naming.py: what must be the same wherever it is computed."""

from __future__ import annotations

from kipu.core.naming import job_name
from tests.zoo.mutants import mutant

_sound = job_name


@mutant("job_name", breaks="I8", caught_by=("tests/core/test_naming.py", "tests/core/test_retrying.py"))
def all_attempts_share_one_name(*, workflow: str, workflow_uid: str, run: int, step: str, attempt: int) -> str:
    """A retry's Job has the name of the first attempt's."""
    return _sound(workflow=workflow, workflow_uid=workflow_uid, run=run, step=step, attempt=1)


@mutant("job_name", breaks="I8, I15", caught_by=("tests/core/test_naming.py", "tests/core/test_fanning_out.py"))
def all_items_share_one_name(*, workflow: str, workflow_uid: str, run: int, step: str, attempt: int) -> str:
    """The Job of an item is named after its step alone."""
    plain = step.partition("[")[0]
    return _sound(workflow=workflow, workflow_uid=workflow_uid, run=run, step=plain, attempt=attempt)


@mutant("keyed_fraction", breaks="I17", caught_by=("tests/core/test_naming.py", "tests/core/test_retrying.py"))
def a_draw_depends_on_the_process(limit: int, *parts: str) -> int:
    """Jitter comes from the built-in hash, which each process seeds anew."""
    return hash(parts) % (limit + 1)
