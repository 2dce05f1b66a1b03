"""Names and draws that are the same wherever they are computed."""

from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import strategies as st

from kipu.core.naming import JOB_NAME_LENGTH_MAX, attempt_id, idempotency_key, job_name, keyed_fraction
from tests.core.laws import LAW

UID = "4a1f0a52-0000-4000-8000-000000000001"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def name(workflow: str, step: str, *, attempt: int = 1) -> str:
    return job_name(workflow=workflow, workflow_uid=UID, run=1, step=step, attempt=attempt)


def test_a_job_is_named_after_its_workflow_and_step() -> None:
    assert name("nightly", "load") == "nightly-load-" + attempt_id(workflow_uid=UID, run=1, step="load", attempt=1)[:16]


@pytest.mark.parametrize(
    ("workflow", "step", "prefix"),
    [
        ("w" * 44, "s", "w" * 44 + "-s"),
        ("w" * 45, "s", "w" * 45),
        ("w" * 63, "s" * 63, "w" * 46),
        ("my.flow", "step", "my-flow-step"),
        ("a..b", "c", "a-b-c"),
        ("Über", "ß", "ber"),
        ("...", "...", "kipu"),
    ],
)
def test_the_readable_part_of_a_job_name_is_cut_and_cleaned(workflow: str, step: str, prefix: str) -> None:
    found = name(workflow, step)
    assert found[:-17] == prefix
    assert len(found) <= JOB_NAME_LENGTH_MAX


@LAW
@hypothesis.given(st.text(max_size=80), st.text(max_size=80), st.integers(1, 100))
def test_every_job_name_is_a_dns_label(workflow: str, step: str, attempt: int) -> None:
    found = name(workflow, step, attempt=attempt)
    assert len(found) <= JOB_NAME_LENGTH_MAX
    assert LABEL.fullmatch(found)


def test_the_job_of_an_item_shows_its_index_however_long_the_names_are() -> None:
    assert name("nightly", "shard[12]")[:-17] == "nightly-shard-12"
    assert name("w" * 63, "s" * 63 + "[9999]")[:-17] == "w" * 41 + "-9999"
    assert len({name("w" * 63, f"{'s' * 63}[{index}]") for index in range(100)}) == 100


def test_names_that_read_alike_are_told_apart() -> None:
    found = [name("a", "b-c"), name("a", "b.c"), name("a", "b-c", attempt=2), name("a-b", "c")]
    assert {one[:-17] for one in found} == {"a-b-c"}
    assert len(set(found)) == 4


def test_each_part_of_an_attempts_identity_counts() -> None:
    found = {
        attempt_id(workflow_uid=UID, run=1, step="a", attempt=1),
        attempt_id(workflow_uid=UID, run=2, step="a", attempt=1),
        attempt_id(workflow_uid=UID, run=1, step="b", attempt=1),
        attempt_id(workflow_uid=UID, run=1, step="a", attempt=2),
        attempt_id(workflow_uid="other", run=1, step="a", attempt=1),
        attempt_id(workflow_uid=UID, run=11, step="a", attempt=1),
        attempt_id(workflow_uid=UID, run=1, step="a", attempt=11),
        idempotency_key(workflow_uid=UID, step="a"),
        idempotency_key(workflow_uid=UID, step="b"),
    }
    assert len(found) == 9
    assert {len(one) for one in found} == {32}


def test_names_are_for_ever() -> None:
    # A later version that computes another name would look for another Job: these values never change.
    assert name("nightly", "load") == "nightly-load-f59e38e5eb91f438"
    assert idempotency_key(workflow_uid=UID, step="load") == "1953ecc887a6e79fe566432ef4fcaf81"


def test_draws_are_for_ever() -> None:
    # A replica that takes a run over has to wait just as long as the one before it would have.
    assert [keyed_fraction(10_000, "uid", "1", "load", str(attempt)) for attempt in (1, 2, 3)] == [6742, 5378, 5272]


@pytest.mark.parametrize("limit", [0, 1, 2, 7])
def test_a_draw_reaches_both_ends_and_nothing_beyond(limit: int) -> None:
    assert {keyed_fraction(limit, str(number)) for number in range(200)} == set(range(limit + 1))
