"""The definition that a spec gives: defaults applied, what runs kept as written, the hash of what may not change."""

from __future__ import annotations

import copy
import json

import pytest

from kipu.api.definition import immutable_part, parse, spec_hash
from kipu.core.definition import Backoff, Definition, Jitter, OnFailure, Retry, RunWhen, Step
from kipu.core.definition_json import from_json, to_json
from kipu.core.errors import UserError
from tests.api.specs import problems, spec, step


def test_the_smallest_spec_gets_every_default() -> None:
    assert parse({"steps": [{"name": "a", "image": "i"}]}) == Definition(
        steps=(Step(name="a", pod={"container": {"image": "i"}}),)
    )


def test_every_field_arrives() -> None:
    raw = spec(
        step("a"),
        step(
            "b",
            dependsOn=["a"],
            runWhen="AnyFailed",
            allowFailure=True,
            retry={
                "maxAttempts": 3,
                "backoff": {"initial": "1s500ms", "factor": 3, "max": "1m", "jitter": "None"},
                "nonRetryableExitCodes": [2, 3],
            },
            startTimeout="5m",
            attemptTimeout="1h",
            timeout="1h30m",
        ),
        parallelism=7,
        timeout="2h",
        onFailure="Continue",
    )
    definition = parse(raw)
    assert (definition.parallelism, definition.timeout_ms) == (7, 7_200_000)
    assert definition.on_failure is OnFailure.CONTINUE
    assert definition.steps[1] == Step(
        name="b",
        depends_on=("a",),
        run_when=RunWhen.ANY_FAILED,
        allow_failure=True,
        retry=Retry(
            max_attempts=3,
            backoff=Backoff(initial_ms=1_500, factor=3, max_ms=60_000, jitter=Jitter.NONE),
            non_retryable_exit_codes=(2, 3),
        ),
        start_timeout_ms=300_000,
        attempt_timeout_ms=3_600_000,
        timeout_ms=5_400_000,
        pod={"container": {"image": "busybox:1.36", "command": ["true"]}},
    )


def test_a_step_takes_from_the_defaults_what_it_does_not_say() -> None:
    defaults = {
        "image": "i",
        "attemptTimeout": "10m",
        "retry": {"maxAttempts": 4, "backoff": {"initial": "2s", "max": "9s"}},
        "template": {"spec": {"serviceAccountName": "etl"}},
    }
    definition = parse(
        spec(
            {"name": "a", "script": "x"},
            {"name": "b", "script": "x", "attemptTimeout": "1s", "retry": {"backoff": {"initial": "3s"}}},
            defaults=defaults,
        )
    )
    first, second = definition.steps
    assert (first.attempt_timeout_ms, first.retry.max_attempts, first.retry.backoff.initial_ms) == (600_000, 4, 2_000)
    assert (second.attempt_timeout_ms, second.retry.max_attempts) == (1_000, 4)
    assert (second.retry.backoff.initial_ms, second.retry.backoff.max_ms) == (3_000, 9_000)
    assert definition.pod_defaults == {"image": "i", "template": {"spec": {"serviceAccountName": "etl"}}}


def test_what_runs_is_kept_unmerged_and_as_it_was_written() -> None:
    raw = step(
        "a",
        env=[{"name": "A", "value": "1"}],
        template={"spec": {"nodeSelector": {"disk": "ssd"}}},
        workingDir="/tmp",
        args=None,
    )
    pod = parse(spec(raw)).steps[0].pod
    assert pod == {
        "container": {
            "image": "busybox:1.36",
            "command": ["true"],
            "env": [{"name": "A", "value": "1"}],
            "workingDir": "/tmp",
        },
        "template": {"spec": {"nodeSelector": {"disk": "ssd"}}},
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [(0.5, "0.5"), (1.0, 1), (1e-7, "0.0000001"), (2.50, "2.5"), (-0.1, "-0.1"), (7, 7), (True, True), (None, None)],
)
def test_a_fraction_that_passes_through_becomes_its_shortest_decimal_text(given: object, kept: object) -> None:
    definition = parse(spec(step("a", resources={"limits": {"cpu": given}})))
    container = definition.steps[0].pod["container"]
    assert container == {
        "image": "busybox:1.36",
        "command": ["true"],
        "resources": {"limits": {"cpu": kept}},
    }


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e300, 2**64])
def test_a_number_that_the_log_cannot_hold_is_refused(number: float) -> None:
    (problem,) = problems(spec(step("a", resources={"limits": {"cpu": number}})))
    assert problem.startswith("spec.steps[0].resources.limits.cpu: is a number of more than 64 bits")


def test_nesting_is_bounded() -> None:
    def nested(levels: int) -> dict[str, object]:
        value: dict[str, object] = {}
        for _ in range(levels):
            value = {"a": value}
        return spec(step("a", securityContext=value))

    assert problems(nested(39)) == []
    (problem,) = problems(nested(40))
    assert problem.endswith("is nested more than 40 levels deep")


def test_the_record_of_a_definition_reads_back_as_the_same() -> None:
    raw = spec(step("a", resources={"limits": {"cpu": 0.5}}), defaults={"retry": {"maxAttempts": 2}})
    definition = parse(raw)
    assert from_json(json.loads(json.dumps(to_json(definition)))) == definition


def test_the_hash_does_not_see_a_shutdown_nor_the_order_of_keys() -> None:
    raw = spec(step("a"), parallelism=2)
    asked = {"shutdown": {"mode": "Cancel"}, **dict(reversed(raw.items()))}
    assert immutable_part(asked) == raw
    assert spec_hash(asked) == spec_hash(raw)


def test_the_hash_sees_any_other_edit() -> None:
    raw = spec(step("a"), step("b"), parallelism=2)
    edits = [copy.deepcopy(raw) for _ in range(4)]
    edits[0]["parallelism"] = 3
    edits[1]["steps"].reverse()
    edits[2]["steps"][0]["command"] = ["false"]
    del edits[3]["parallelism"]
    assert len({spec_hash(edit) for edit in [raw, *edits]}) == 5


def test_the_hash_is_for_ever() -> None:
    raw = spec(step("a", resources={"limits": {"cpu": 0.5}}), timeout="1h")
    assert spec_hash(raw) == "af941fb47ab05af6739d32b569fa49c565a7a9b7204f2bcad3e711d3ffd8c1fe"


@pytest.mark.parametrize("raw", [None, True, 3, "x", [], [{}], {"steps": None}, {"steps": [None]}, {1: 2}])
def test_what_is_no_spec_at_all_is_refused_with_a_path(raw: object) -> None:
    with pytest.raises(UserError) as refused:
        parse(raw)
    assert all(problem.path.startswith("spec") for problem in refused.value.problems)
