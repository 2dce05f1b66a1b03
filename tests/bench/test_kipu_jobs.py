"""What a heavy ideal client creates is what Kipu creates."""

from __future__ import annotations

from bench.kipu_jobs import job_as_kipu
from bench.manifests import DURATION_NOTE, TASK_LABEL


def test_it_has_all_of_kipus_marks_and_the_label_by_which_it_is_watched() -> None:
    job = job_as_kipu(3, 40)
    pod = job["spec"]["template"]
    assert {TASK_LABEL: "3", "kipu.dev/step": "t3"}.items() <= pod["metadata"]["labels"].items()
    assert job["metadata"]["labels"] == pod["metadata"]["labels"]
    assert pod["metadata"]["annotations"] == {DURATION_NOTE: "40ms"}
    assert [each["name"] for each in pod["spec"]["containers"][0]["env"]] == ["KIPU_IDEMPOTENCY_KEY"]
    assert "kipu.dev/intent" in job["metadata"]["annotations"]


def test_each_task_has_a_job_of_its_own_and_nobody_owns_it() -> None:
    jobs = [job_as_kipu(task, 0) for task in range(3)]
    assert len({job["metadata"]["name"] for job in jobs}) == 3
    assert not any("ownerReferences" in job["metadata"] for job in jobs)
