"""Whatever JSON comes: a definition that can be recorded and run, or problems that can be read. Never a traceback."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipu.api.definition import parse, spec_hash
from kipu.api.jobs import AttemptRef, job_manifest
from kipu.core import adoption
from kipu.core.definition import Definition, Step
from kipu.core.definition_json import from_json, to_json
from kipu.core.errors import UserError
from kipu.core.graph import check
from kipu.core.texts import fitting
from tests.api.specs import adopt, adopted, spec, step

pytestmark = pytest.mark.proof

# Lone surrogates, too: JSON can write them as \ud800.
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.integers(min_value=10**4400) | st.floats() | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
FULL = spec(
    step(
        "a",
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        resources={"limits": {"cpu": 0.5}},
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
        outputs=[{"name": "rows", "type": "Int"}],
    ),
    {
        "name": "b",
        "dependsOn": ["a"],
        "runWhen": "AllFinished",
        "allowFailure": True,
        "script": "true",
        "when": "steps.a.outputs.rows > params.least",
        "env": [{"name": "ROWS", "value": "${{ steps.a.outputs.rows }}"}],
        "retry": {"maxAttempts": 2, "backoff": {"initial": "1s", "factor": 2, "max": "1m", "jitter": "Full"}},
        "startTimeout": "1m",
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "main", "env": []}], "volumes": [{"name": "v", "emptyDir": {}}]},
        },
    },
    defaults={"image": "i", "template": {"spec": {"containers": [{"name": "main", "securityContext": {}}]}}},
    shutdown={"mode": "Cancel", "run": 1},
    onFailure="Continue",
    adopt=adopt(adopted("a", outputs={"rows": 7}), "b"),
    parallelism=3,
    params=[{"name": "least", "value": 1}],
)
KEYS = st.sampled_from(
    [
        "steps",
        "defaults",
        "name",
        "template",
        "spec",
        "containers",
        "env",
        "retry",
        "script",
        "image",
        "when",
        "outputs",
    ]
)


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_any_json_is_judged(raw: Any) -> None:
    judge(raw)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_a_sound_spec_with_any_part_replaced_is_judged(data: st.DataObject) -> None:
    raw = copy.deepcopy(FULL)
    place: Any = raw
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    action = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if action == "replace":
        place[key] = data.draw(JSON)
    elif action == "remove":
        del place[key]
    elif isinstance(place, dict):
        place[data.draw(KEYS | TEXT)] = data.draw(JSON)
    judge(raw)


def test_the_sound_spec_is_sound() -> None:
    assert isinstance(judge(FULL), Definition)


def judge(raw: Any) -> Definition | None:
    if isinstance(raw, dict):
        assert len(spec_hash(raw)) == 64
    try:
        definition = parse(raw)
    except UserError as error:
        refused = error.problems
    else:
        refused = ()
    if refused:
        for problem in fitting(refused):
            assert problem.path.startswith("spec")
            assert problem.reason
            json.dumps(str(problem), ensure_ascii=False).encode()
        return None
    assert check(definition) == ()
    assert adoption.check(definition) == ()
    recorded = json.dumps(to_json(definition), sort_keys=True, ensure_ascii=False, allow_nan=False)
    assert from_json(json.loads(recorded.encode())) == definition
    for place in definition.steps:
        render(definition, place)
    return definition


def render(definition: Definition, step: Step) -> None:
    attempt = AttemptRef(
        namespace="n", workflow_name="w", workflow_uid="u", run=1, step=step.name, attempt=1, job_name="j", intent="1:h"
    )
    manifest: Any = json.loads(json.dumps(job_manifest(definition, step, attempt), allow_nan=False))
    pod = manifest["spec"]["template"]["spec"]
    mains = [container for container in pod["containers"] if container["name"] == "main"]
    assert len(mains) == 1
    assert mains[0]["image"]
    assert pod["restartPolicy"] == "Never"
