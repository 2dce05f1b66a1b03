"""What `make scale` concludes from what its watches saw: an eye that cannot see a fault would never be noticed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from e2e.apiserver import JsonObject
from e2e.scale import Attempt, Run, its_coming, its_status
from e2e.watching import Change

FIRST, SECOND = ("a", -1, 1), ("b", 7, 1)


def change(attempt: Attempt, version: int, at: float = 0.0) -> Change:
    name, index, number = attempt
    labels = {"kipu.dev/step": name, "kipu.dev/attempt": str(number)}
    labels |= {"kipu.dev/index": str(index)} if index >= 0 else {}
    return Change(kind="ADDED", at=at, version=version, body={"metadata": {"uid": str(version), "labels": labels}})


def seen(jobs: list[Change], ends: list[Change]) -> Run:
    return Run(
        status={},
        status_bytes_max=0,
        status_writes=0,
        jobs=jobs,
        ends=ends,
        seconds=1.0,
        cpu_seconds=0.0,
        memory_bytes_max=0,
        requests=Counter(),
        server_writes=0,
    )


def test_a_job_that_comes_before_the_end_of_what_it_needs_is_seen() -> None:
    right = seen([change(FIRST, 1), change(SECOND, 3)], [change(FIRST, 2)])
    wrong = seen([change(FIRST, 1), change(SECOND, 2)], [change(FIRST, 3)])
    assert right.too_early([(FIRST, SECOND)]) == []
    assert wrong.too_early([(FIRST, SECOND)]) == [(FIRST, SECOND)]


def test_a_second_job_of_an_attempt_is_counted() -> None:
    assert seen([change(SECOND, 1), change(SECOND, 2)], []).made() == {SECOND: 2}


def test_the_gap_is_from_the_end_of_a_pod_to_the_next_job() -> None:
    run = seen([change(FIRST, 1, at=1.0), change(SECOND, 3, at=2.5)], [change(FIRST, 2, at=2.0)])
    assert run.gaps_seconds([(FIRST, SECOND)]) == [0.5]


def test_the_status_is_measured_in_bytes_of_json() -> None:
    body: JsonObject = {"metadata": {"uid": "u"}, "spec": {"steps": ["x"] * 1000}, "status": {"message": "ä"}}
    assert its_status("MODIFIED", body)["size"] == len('{"message":"ä"}'.encode())


def test_of_an_object_only_its_coming_is_kept() -> None:
    metadata: dict[str, Any] = {"name": "n", "uid": "u", "labels": {}, "managedFields": [{}]}
    assert its_coming("ADDED", {"metadata": metadata}) == {"metadata": {"name": "n", "uid": "u", "labels": {}}}
    assert its_coming("MODIFIED", {"metadata": metadata}) is None
