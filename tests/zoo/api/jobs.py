"""Mutants of kipu/api/jobs.py: the Job of an attempt, and its placeholder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kipu.api.jobs import KUEUE_LABEL, AttemptRef, _job, placeholder_manifest
from tests.zoo.mutants import mutant

JOBS = "tests/api/test_jobs.py"
_sound_job, _sound_placeholder = _job, placeholder_manifest


@mutant("_job", breaks="I12", caught_by=JOBS)
def a_job_without_an_owner(
    attempt: AttemptRef, *, annotations: dict[str, str], spec: Mapping[str, object]
) -> dict[str, Any]:
    """The garbage collector never finds the Jobs of a Workflow that is gone."""
    job: dict[str, Any] = _sound_job(attempt, annotations=annotations, spec=spec)
    del job["metadata"]["ownerReferences"]
    return job


@mutant("_job", breaks="I8, I10", caught_by=JOBS)
def the_job_controller_tries_again_too(
    attempt: AttemptRef, *, annotations: dict[str, str], spec: Mapping[str, object]
) -> dict[str, Any]:
    """A Job keeps Kubernetes' default of six more pods after the first that fails."""
    job: dict[str, Any] = _sound_job(attempt, annotations=annotations, spec=spec)
    del job["spec"]["backoffLimit"]
    return job


@mutant("placeholder_manifest", breaks="I11", caught_by=JOBS)
def a_placeholder_runs(attempt: AttemptRef) -> dict[str, Any]:
    """What only holds a name is started."""
    job: dict[str, Any] = _sound_placeholder(attempt)
    del job["spec"]["suspend"]
    return job


@mutant("placeholder_manifest", breaks="I11", caught_by=JOBS)
def a_placeholder_waits_in_a_queue(attempt: AttemptRef) -> dict[str, Any]:
    """Whatever releases the Jobs of a queue starts what only holds a name."""
    job: dict[str, Any] = _sound_placeholder(attempt)
    job["metadata"]["labels"][KUEUE_LABEL] = "users"
    return job
