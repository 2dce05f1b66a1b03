"""The recorded form of a definition: what is written is what is read, for ever."""

from __future__ import annotations

import json

import hypothesis
import pytest
from hypothesis import strategies as st

from kipu.core.definition import Backoff, Definition, Jitter, OnFailure, Retry, RunWhen, Step
from kipu.core.definition_json import from_json, to_json
from tests.core.given import adoption
from tests.core.laws import FEWER

MILLISECONDS = st.none() | st.integers(1, 10**12)
PODS = st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists))
STEPS = st.builds(
    Step,
    name=st.text(max_size=5),
    depends_on=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    run_when=st.sampled_from(RunWhen),
    allow_failure=st.booleans(),
    retry=st.builds(
        Retry,
        max_attempts=st.integers(1, 9),
        backoff=st.builds(
            Backoff,
            initial_ms=st.integers(0, 99),
            factor=st.integers(1, 9),
            max_ms=st.integers(0, 99),
            jitter=st.sampled_from(Jitter),
        ),
        non_retryable_exit_codes=st.lists(st.integers(0, 255), max_size=3).map(tuple),
    ),
    start_timeout_ms=MILLISECONDS,
    attempt_timeout_ms=MILLISECONDS,
    timeout_ms=MILLISECONDS,
    pod=PODS,
)
DEFINITIONS = st.builds(
    Definition,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    parallelism=st.none() | st.integers(1, 9),
    timeout_ms=MILLISECONDS,
    on_failure=st.sampled_from(OnFailure),
    pod_defaults=PODS,
    adopt=st.none() | st.lists(st.text(max_size=5), max_size=3).map(lambda names: adoption(*names)),
)


@pytest.mark.proof
@FEWER
@hypothesis.given(DEFINITIONS)
def test_what_is_written_is_what_is_read(definition: Definition) -> None:
    assert from_json(json.loads(json.dumps(to_json(definition)))) == definition


def test_the_recorded_form_is_complete_and_leaves_out_what_is_absent() -> None:
    assert to_json(Definition(steps=(Step(name="a"),))) == {
        "onFailure": "FinishRunning",
        "steps": [
            {
                "name": "a",
                "retry": {
                    "factor": 2,
                    "initialMs": 5_000,
                    "jitter": "Full",
                    "maxAttempts": 1,
                    "maxMs": 300_000,
                    "nonRetryableExitCodes": [],
                },
                "runWhen": "AllSucceeded",
            }
        ],
    }


RETRY = {"factor": 2, "initialMs": 1, "jitter": "Full", "maxAttempts": 1, "maxMs": 1, "nonRetryableExitCodes": []}
STEP = {"name": "a", "retry": RETRY, "runWhen": "AllSucceeded"}


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"steps": []}, KeyError),
        ({"steps": [], "onFailure": "Never"}, ValueError),
        ({"steps": [], "onFailure": 1}, TypeError),
        ({"steps": {}, "onFailure": "Continue"}, TypeError),
        ({"steps": ["a"], "onFailure": "Continue"}, TypeError),
        ({"steps": [], "onFailure": "Continue", "parallelism": True}, TypeError),
        ({"steps": [], "onFailure": "Continue", "timeoutMs": "1"}, TypeError),
        ({"steps": [], "onFailure": "Continue", "podDefaults": []}, TypeError),
        ({"steps": [STEP | {"allowFailure": "false"}], "onFailure": "Continue"}, TypeError),
        ({"steps": [STEP | {"retry": RETRY | {"maxAttempts": 1.5}}], "onFailure": "Continue"}, TypeError),
        ({"steps": [STEP | {"runWhen": "Sometimes"}], "onFailure": "Continue"}, ValueError),
    ],
)
def test_what_is_not_a_definition_is_refused(raw: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        from_json(raw)
