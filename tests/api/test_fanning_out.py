"""A fan-out in the spec, as a Job, and in the status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kipu.api import jobs
from kipu.api.definition import parse
from kipu.api.v1alpha1_status import LISTED_MAX
from kipu.core.definition import ITEMS_MAX, ITEMS_UNDER_WAY_MAX, ForEach
from tests.api.specs import spec, step
from tests.api.test_status import flow, project
from tests.core.given import SECOND, fan
from tests.core.given import step as given_step

STATUS_BYTES_MAX = 16 * 1024  # issue 5


def test_the_items_are_taken_as_they_are_written_but_for_fractions() -> None:
    (shard,) = parse(spec(step("shard", forEach={"items": ["a", 1, 0.5, None, {"b": [2.0]}], "maxFailures": 2}))).steps
    assert shard.for_each == ForEach(items=("a", 1, "0.5", None, {"b": [2]}), max_failures=2)


def test_what_is_not_said_has_its_default() -> None:
    (shard,) = parse(spec(step("shard", forEach={"count": 3}))).steps
    assert shard.for_each == ForEach(count=3, parallelism=ITEMS_UNDER_WAY_MAX, max_failures=0)


def job(**fields: Any) -> dict[str, Any]:
    attempt = jobs.AttemptRef(
        namespace="etl",
        workflow_name="nightly",
        workflow_uid="4a1f0a52-0000-4000-8000-000000000001",
        run=1,
        step="shard",
        attempt=2,
        job_name="nightly-shard-3-0123456789abcdef",
        intent="17:ab",
        **fields,
    )
    definition = parse(spec({"name": "shard", "script": "env | grep KIPU_", "image": "etl:1", "forEach": {"count": 9}}))
    return jobs.job_manifest(definition, definition.steps[0], attempt)


def test_the_job_of_an_item_carries_its_index_as_a_label_and_the_item_as_a_variable() -> None:
    made: Any = job(item=(3, "eu"))
    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert (labels["kipu.dev/step"], labels["kipu.dev/index"]) == ("shard", "3")
    variables = {entry["name"]: entry["value"] for entry in made["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (variables["KIPU_STEP"], variables["KIPU_INDEX"], variables["KIPU_ITEM"]) == ("shard", "3", "eu")


def test_two_items_have_nothing_in_common_that_tells_attempts_apart() -> None:
    def keys(index: int) -> dict[str, str]:
        made: Any = job(item=(index, str(index)))
        variables = made["spec"]["template"]["spec"]["containers"][0]["env"]
        return {entry["name"]: entry["value"] for entry in variables if entry["name"].endswith(("_ID", "_KEY"))}

    one, other = keys(1), keys(2)
    assert len(one) == 2
    assert not {*one.values()} & {*other.values()}


def test_a_step_without_items_has_no_index() -> None:
    made: Any = job()
    assert "kipu.dev/index" not in made["metadata"]["labels"]
    variables = [entry["name"] for entry in made["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert not {"KIPU_INDEX", "KIPU_ITEM"} & {*variables}


# -- the status ------------------------------------------------------------------------------------------


def test_the_step_shows_how_far_its_items_are_and_the_lists_name_them() -> None:
    told = flow(fan("shard", count=5, parallelism=2, max_failures=3), given_step("b", "shard"))
    assert "items" not in project(told.state)["steps"][1]
    told.start("shard[0]", "shard[1]", after=SECOND)
    told.fail("shard[1]", after=SECOND)
    shown = project(told.state)
    assert [entry["name"] for entry in shown["steps"]] == ["shard", "b"]
    assert shown["steps"][0]["items"] == {"total": 5, "running": 2, "succeeded": 0, "failed": 1}
    assert (shown["progress"], shown["counts"]["total"], shown["counts"]["running"]) == ("0/2", 2, 1)
    assert [entry["step"] for entry in shown["running"]] == ["shard[0]", "shard[2]"]
    assert [(entry["step"], entry["reason"], entry["exitCode"]) for entry in shown["failed"]] == [
        ("shard[1]", "ExitCode", 1)
    ]


def test_a_fan_out_that_has_failed_says_so_before_its_items() -> None:
    told = flow(fan("shard", count=2))
    told.fail("shard[0]")
    told.succeed("shard[1]")
    failed = project(told.state)["failed"]
    assert [(entry["step"], entry["reason"]) for entry in failed] == [
        ("shard", "ItemsFailed"),
        ("shard[0]", "ExitCode"),
    ]
    assert "job" not in failed[0]


def test_a_fan_out_is_not_taken_for_an_adopted_step() -> None:
    told = flow(fan("shard", count=0))
    told.settle()
    assert "reason" not in project(told.state)["steps"][0]


@pytest.mark.proof
def test_the_status_of_the_largest_fan_out_is_small() -> None:
    told = flow(fan("shard" + "x" * 58, count=ITEMS_MAX, parallelism=1_000, max_failures=ITEMS_MAX))
    told.settle()
    names = [f"shard{'x' * 58}[{index}]" for index in range(100)]
    told.fail(*names)
    shown = project(told.state)
    assert len(shown["failed"]) == len(shown["running"]) == LISTED_MAX
    assert len(json.dumps(shown, separators=(",", ":"))) <= STATUS_BYTES_MAX
