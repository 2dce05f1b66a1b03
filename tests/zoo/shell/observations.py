"""Mutants of kipu/shell/observations.py: what a Job and its pods say."""

from __future__ import annotations

from kipu.shell.kube_views import JobView, PodView
from tests.zoo.mutants import mutant

OBSERVATIONS = "tests/shell/test_observations.py"


@mutant("controller_uid", breaks="I7, adoption by name alone", caught_by=OBSERVATIONS)
def a_pod_belongs_to_who_is_named_first(pod: PodView) -> str | None:
    """Any owner of a pod is taken for its controller."""
    return pod.metadata.owner_references[0].uid if pod.metadata.owner_references else None


@mutant("_pod_decides", breaks="I15, partial failure called success", caught_by=OBSERVATIONS)
def every_jobs_end_is_its_pods(job: JobView, pod: PodView) -> bool:
    """The fast path is taken for Jobs that may yet start another pod, and for pods that were killed."""
    return True


@mutant("is_placeholder", breaks="I11", caught_by=OBSERVATIONS)
def a_placeholder_is_a_job_like_any_other(job: JobView) -> bool:
    """What only holds a name is listened to."""
    return False


@mutant("is_taken_up", breaks="I11, Cancelled before pods are gone", caught_by="tests/shell/test_giving_up.py")
def a_placeholder_is_proof_at_once(placeholder: JobView) -> bool:
    """Whether the Job controller knows that the Job is gone, and makes no pod of it any more, is not asked."""
    return True
