"""Fan-outs and expressions: where the items come from, what an item's texts are, what is gathered of all of them."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api import fan_out
from kipu.api.definition import parse
from kipu.api.evaluation import Evaluator
from kipu.core.commands import Accept, AttemptRef, ObserveOutcome
from kipu.core.decide import Identity, decide
from kipu.core.definition import ITEMS_MAX
from kipu.core.errors import Problem
from kipu.core.events import Reason
from kipu.core.language import Evaluated, Unevaluated
from kipu.core.state import State
from tests.api.specs import problems, spec, step

IDENTITY = Identity(name="nightly", uid="4a1f0a52-0000-4000-8000-000000000001")
EVALUATE = Evaluator(namespace="etl", name=IDENTITY.name, uid=IDENTITY.uid)
ROWS = [{"name": "rows", "type": "Int"}, {"name": "rate", "type": "Double"}]


def accepted(*steps: dict[str, Any], **fields: Any) -> State:
    definition = parse(spec(*steps, **fields))
    command = Accept(spec_hash="h", definition=definition)
    return decide(State(), [command], identity=IDENTITY, now=0, slots=99, evaluate=EVALUATE)[0]


def ended(state: State, name: str, *, outputs: dict[str, Any] | None = None, reason: Reason | None = None) -> State:
    ref = AttemptRef(run=1, step=name, attempt=1)
    seen = ObserveOutcome(ref=ref, job_uid="j", reason=reason, outputs=outputs)
    return decide(state, [seen], identity=IDENTITY, now=0, slots=99, evaluate=EVALUATE)[0]


def over(expression: str, value: object) -> Evaluated | Unevaluated:
    """What a fan-out over this expression comes to; `value` is the param `given`."""
    shard = step("shard", dependsOn=["first"], forEach={"expression": expression})
    state = accepted(step("first"), shard, params=[{"name": "given", "value": value}])
    return EVALUATE(state, 1)


@pytest.mark.parametrize(
    ("expression", "value", "items"),
    [
        ("params.given", ["eu", 7, {"b": None}], ("eu", 7, {"b": None})),
        ("params.given.map(x, x * 2)", [1, 2], (2, 4)),
        ("[double(1) / 4.0, 2.0]", [], ("0.25", 2)),
        ("params.given", [], ()),
    ],
)
def test_an_expression_says_what_the_items_are(expression: str, value: object, items: tuple[object, ...]) -> None:
    assert over(expression, value) == Evaluated(items=items)


@pytest.mark.parametrize(
    ("items", "why"),
    [
        (
            ["x"] * (ITEMS_MAX + 1),
            "given: are 10001 items, at most 10000 are possible (let each item stand for several)",
        ),
        (["x", "e\u0301"], "given[1]: holds text that is not in Unicode's composed form"),
        ([2**64], "given[0]: is a number of more than 64 bits"),
    ],
)
def test_items_that_cannot_be_recorded_are_refused_wherever_they_come_from(items: list[object], why: str) -> None:
    found: list[Problem] = []
    fan_out.checked(items, "given", found)
    assert str(found[0]).startswith(why)


def test_items_that_are_too_large_are_no_value() -> None:
    found = over("params.given", ["a", "x" * 4_097])
    assert isinstance(found, Unevaluated)
    assert found.message.startswith("forEach.expression[1]: is an item of 4097 bytes, at most 4096 are possible")


def test_what_is_no_list_is_refused_before_the_run() -> None:
    (problem,) = problems(spec(step("a", forEach={"expression": "1 + 1"})))
    assert problem.startswith("spec.steps[0].forEach.expression: must yield a list, not int")


def test_items_and_index_stand_in_the_texts_of_a_fan_out_alone() -> None:
    text = [{"name": "A", "value": "${{ index }} is ${{ item }}"}]
    assert problems(spec(step("a", forEach={"items": ["x"]}, env=text))) == []
    assert problems(spec(step("a", env=text)))
    assert problems(spec(step("a", forEach={"items": ["x"]}, when="index > 0")))


def test_each_item_has_its_own_texts() -> None:
    env = [{"name": "A", "value": "${{ index }} is ${{ item.name }} of ${{ params.given }}"}]
    shard = step("shard", forEach={"items": [{"name": "eu"}, {"name": "us"}]}, env=env)
    state = accepted(shard, params=[{"name": "given", "value": "all"}])
    values = [state.steps[place].values for place in (1, 2)]
    assert values == [{"env[0].value": "0 is eu of all"}, {"env[0].value": "1 is us of all"}]


def test_an_item_without_what_its_texts_speak_of_fails_alone() -> None:
    env = [{"name": "A", "value": "${{ item.name }}"}]
    shard = step("shard", forEach={"items": [{"name": "eu"}, {"no": 1}], "maxFailures": 1}, env=env)
    state = accepted(shard)
    assert [state.steps[place].phase.value for place in (1, 2)] == ["Scheduled", "Failed"]
    assert "env[0].value" in state.steps[2].message


def test_the_outputs_of_a_fan_out_are_lists_in_the_order_of_its_items() -> None:
    shard = step("shard", forEach={"count": 3, "maxFailures": 1}, outputs=ROWS)
    text = "${{ steps.shard.outputs.rows }} ${{ steps.shard.outputs.rate[2] + 1.0 }}"
    last = step("last", dependsOn=["shard"], env=[{"name": "A", "value": text}])
    state = accepted(shard, last)
    state = ended(state, "shard[2]", outputs={"rows": 2, "rate": "0.5"})
    state = ended(state, "shard[1]", reason=Reason.EXIT_CODE)
    state = ended(state, "shard[0]", outputs={"rows": 7, "rate": "1"})
    assert EVALUATE(state, 1) == Evaluated(values={"env[0].value": "[7,null,2] 1.5"})


def test_a_fan_out_over_what_another_one_has_written() -> None:
    shard = step("shard", forEach={"count": 2}, outputs=ROWS)
    second = step("second", dependsOn=["shard"], forEach={"expression": "steps.shard.outputs.rows.filter(r, r > 1)"})
    state = accepted(shard, second)
    state = ended(state, "shard[0]", outputs={"rows": 1, "rate": "0"})
    state = ended(state, "shard[1]", outputs={"rows": 5, "rate": "0"})
    fanout = state.fanouts[1]
    assert (fanout.total, fanout.items) == (1, (5,))
    assert state.item_value(fanout.base) == (0, 5)
