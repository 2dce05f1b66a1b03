"""A step's expressions on a state: what is committed is what they see."""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Any

import pytest

from kipu.api.definition import parse
from kipu.api.evaluation import TEXTS_BYTES_MAX, Evaluator
from kipu.core.commands import Accept, AttemptRef, ObserveOutcome, RequestRerun
from kipu.core.decide import Identity, decide
from kipu.core.events import Reason
from kipu.core.language import EFFORT_MAX, Evaluated, Unevaluated
from kipu.core.state import State
from tests.api.specs import spec, step

IDENTITY = Identity(name="nightly", uid="4a1f0a52-0000-4000-8000-000000000001")
EVALUATE = Evaluator(namespace="etl", name=IDENTITY.name, uid=IDENTITY.uid)
TYPED = [
    {"name": "text"},
    {"name": "rows", "type": "Int"},
    {"name": "ok", "type": "Bool"},
    {"name": "rate", "type": "Double"},
    {"name": "config", "type": "Json"},
]
WRITTEN: dict[str, str | int | bool] = {
    "text": "é $(HOME)",
    "rows": 42,
    "ok": True,
    "rate": "0.5",
    "config": '{"a":[1,2.5]}',
}


def state_of(raw: dict[str, Any], *, reason: Reason | None = None, exit_code: int = 0) -> State:
    """Accepted, and the first step has ended."""
    state, _ = decide(
        State(), [Accept(spec_hash="h", definition=parse(raw))], identity=IDENTITY, now=0, slots=9, evaluate=EVALUATE
    )
    ended = ObserveOutcome(
        ref=AttemptRef(run=1, step="fetch", attempt=1),
        job_uid="j",
        reason=reason,
        exit_code=exit_code,
        outputs=None if reason else WRITTEN,
    )
    return decide(state, [ended], identity=IDENTITY, now=0, slots=0)[0]


def asked(
    text: str, *, params: object = "p", reason: Reason | None = None, exit_code: int = 0
) -> Evaluated | Unevaluated:
    """What this text comes to in the environment of a step after one that has written."""
    raw = spec(
        step("fetch", outputs=TYPED, allowFailure=True),
        step("load", dependsOn=["fetch"], env=[{"name": "A", "value": text}]),
        params=[{"name": "given", "value": params}],
    )
    return EVALUATE(state_of(raw, reason=reason, exit_code=exit_code), 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{ steps.fetch.outputs.text }}", "é $$(HOME)"),
        ("${{ steps.fetch.outputs.rows }}", "42"),
        ("${{ steps.fetch.outputs.rows + 1 }} rows", "43 rows"),
        ("${{ steps.fetch.outputs.ok }}", "true"),
        ("${{ steps.fetch.outputs.rate }}", "0.5"),
        ("${{ steps.fetch.outputs.rate * 3.0 }}", "1.5"),
        ("${{ steps.fetch.outputs.config }}", '{"a":[1,2.5]}'),
        ("${{ steps.fetch.outputs.config.a[1] > 2.0 }}", "true"),
        ("${{ steps.fetch.phase }}/${{ steps.fetch.attempts }}/${{ steps.fetch.exitCode }}", "Succeeded/1/0"),
        ("${{ workflow.namespace }}/${{ workflow.name }}/${{ workflow.run }}", "etl/nightly/1"),
        ("${{ workflow.uid }}", IDENTITY.uid),
        ("${{ params.given }}", "p"),
    ],
)
def test_an_expression_sees_what_is_committed_in_its_type(text: str, value: str) -> None:
    assert asked(text) == Evaluated(values={"env[0].value": value})


@pytest.mark.parametrize("value", [["a", {"b": None}], {"k": [True]}, True, -7, ""])
def test_a_param_has_the_type_of_its_value(value: object) -> None:
    found = asked("${{ params.given == params.given }}", params=value)
    assert found == Evaluated(values={"env[0].value": "true"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${{ steps.fetch.outputs.rows }}", "step 'fetch' has no output 'rows': it is Failed"),
        ("${{ steps.fetch.outputs.rows > 1 && true }}", "step 'fetch' has no output 'rows': it is Failed"),
    ],
)
def test_a_step_that_has_failed_has_no_outputs(text: str, message: str) -> None:
    found = asked(text, reason=Reason.EXIT_CODE, exit_code=3)
    assert isinstance(found, Unevaluated)
    assert found.message.startswith("env[0].value: ${{ ")
    assert found.message.endswith(message)


def test_what_a_failed_step_has_is_seen() -> None:
    text = "${{ steps.fetch.phase }} ${{ steps.fetch.exitCode }} ${{ has(steps.fetch.outputs.rows) }}"
    found = asked(text, reason=Reason.EXIT_CODE, exit_code=3)
    assert found == Evaluated(values={"env[0].value": "Failed 3 false"})


def test_a_step_without_expressions_is_not_asked_for_anything() -> None:
    raw = spec(step("fetch", outputs=TYPED), step("load", dependsOn=["fetch"]))
    assert EVALUATE(state_of(raw), 1) == Evaluated()


def test_a_condition_is_judged_before_the_texts() -> None:
    raw = spec(
        step("fetch", outputs=TYPED),
        step("load", dependsOn=["fetch"], when="false", args=["${{ 1 / (2 - 2) }}"]),
        step("wrong", dependsOn=["fetch"], when="1 / (2 - 2) == 1"),
    )
    state = state_of(raw)
    assert EVALUATE(state, 1) == Evaluated(holds=False)
    assert EVALUATE(state, 2) == Unevaluated(message="when: divide by zero")


def test_the_texts_of_a_step_are_bounded() -> None:
    half = "x" * (TEXTS_BYTES_MAX // 2 - 20)
    args = ["${{ params.given }}", "${{ params.given }}"]
    raw = spec(step("fetch", outputs=TYPED), step("load", dependsOn=["fetch"], args=args))
    fits = raw | {"params": [{"name": "given", "value": half}]}
    assert EVALUATE(state_of(fits), 1) == Evaluated(values={"args[0]": half, "args[1]": half})
    over = raw | {"params": [{"name": "given", "value": half + "x" * 20}]}
    found = EVALUATE(state_of(over), 1)
    assert isinstance(found, Unevaluated)
    assert "at most 8192 can be recorded" in found.message


@pytest.mark.proof
def test_one_evaluation_does_not_know_how_many_steps_there_are() -> None:
    many = [step(f"s{n}", dependsOn=["fetch"], when="steps.fetch.outputs.rows > 0") for n in range(2_000)]
    state = state_of(spec(step("fetch", outputs=TYPED), *many))
    EVALUATE(state, 1)
    begin = time.process_time()
    for place in range(1, 2_001):
        assert EVALUATE(state, place) == Evaluated()
    assert time.process_time() - begin < 2.0  # 0.1 ms each, measured; a scan of all steps would take 10 times as long


CHAINED = spec(
    step("read", forEach={"count": 2}, outputs=[{"name": "file"}]),
    step("load", forEach={"count": 2}, dependsOn=["read"], args=["${{ steps.read.outputs.file[index] }}"]),
)


def accepted(raw: dict[str, Any]) -> State:
    command = Accept(spec_hash="h", definition=parse(raw))
    return decide(State(), [command], identity=IDENTITY, now=0, slots=0)[0]


def with_ends(state: State, step: str, folder: str) -> State:
    """Both, or all, items of this step have begun and ended, one after the other."""
    place = place_of(state, step)
    for_each = state.step(place).for_each
    assert for_each is not None
    for index in range(for_each.count or 0):
        state, _ = decide(state, [], identity=IDENTITY, now=0, slots=1, evaluate=EVALUATE)
        ref = AttemptRef(run=state.run, step=f"{step}[{index}]", attempt=1)
        outputs = {"file": f"{folder}/{index}"} if state.step(place).outputs else None
        ended = ObserveOutcome(ref=ref, job_uid="j", reason=None, outputs=outputs)
        state, _ = decide(state, [ended], identity=IDENTITY, now=0, slots=0, evaluate=EVALUATE)
    assert state.steps[place].phase == "Succeeded"
    return decide(state, [], identity=IDENTITY, now=0, slots=1, evaluate=EVALUATE)[0]  # the next begins


def test_after_a_rerun_of_a_fan_out_its_new_outputs_are_read() -> None:
    state = with_ends(with_ends(accepted(CHAINED), "read", "old"), "load", "")
    assert state.is_terminal
    rerun = RequestRerun(number=2, from_=("read",))
    state, _ = decide(state, [rerun], identity=IDENTITY, now=0, slots=0, evaluate=EVALUATE)
    state = with_ends(state, "read", "new")
    assert EVALUATE(state, place_of(state, "load[1]")) == Evaluated(values={"args[0]": "new/1"})


def place_of(state: State, name: str) -> int:
    place = state.place_of(name)
    assert place is not None
    return place


def calls_for_items(count: int) -> int:
    """Calls of functions while each item of a fan-out asks for what its like of an earlier one has written."""
    read, load = (step | {"forEach": {"count": count}} for step in CHAINED["steps"])
    state = with_ends(accepted(spec(read, load)), "read", "/data")
    evaluate, calls = Evaluator(namespace="etl", name=IDENTITY.name, uid=IDENTITY.uid), 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    for index in range(count):
        place = place_of(state, f"load[{index}]")
        sys.setprofile(note)
        try:
            found = evaluate(state, place)
        finally:
            sys.setprofile(None)
        assert found == Evaluated(values={"args[0]": f"/data/{index}"})
    return calls


def test_what_a_fan_out_has_gathered_is_read_and_measured_once_for_all_items_that_read_it() -> None:
    assert calls_for_items(400) < 10 * 1.1 * calls_for_items(40)


def test_the_expressions_of_a_step_are_bounded_together_and_take_their_share_of_a_turn() -> None:
    costly = "${{ params.given.filter(x, x > 1).size() }}"
    raw = spec(
        step("fetch", outputs=TYPED),
        step("one", dependsOn=["fetch"], args=[costly]),
        step("five", dependsOn=["fetch"], args=[costly] * 5),
        params=[{"name": "given", "value": list(range(1_000))}],
    )
    state = state_of(raw)
    one, five = EVALUATE(state, 1), EVALUATE(state, 2)
    assert isinstance(one, Evaluated)
    assert EFFORT_MAX // 5 < one.effort < EFFORT_MAX // 2
    assert isinstance(five, Unevaluated)
    assert "could take too long" in five.message
    assert five.effort == EFFORT_MAX


def test_an_item_sees_itself_and_its_fan_out_does_not() -> None:
    raw = spec(
        step("fetch", outputs=TYPED),
        step(
            "shard",
            dependsOn=["fetch"],
            when="steps.fetch.outputs.rows == 42",
            args=["${{ item.name }}/${{ index }}/${{ steps.fetch.outputs.rows }}"],
            forEach={"items": [{"name": "eu"}, {"name": "us"}, "asia"]},
        ),
    )
    state = state_of(raw)
    state, _ = decide(state, [], identity=IDENTITY, now=0, slots=9, evaluate=EVALUATE)
    places = [state.place_of(f"shard[{index}]") for index in range(3)]
    found = [state.steps[place] for place in places if place is not None]
    assert [one.values for one in found[:2]] == [{"args[0]": "eu/0/42"}, {"args[0]": "us/1/42"}]
    assert (found[2].reason, found[2].phase) == (Reason.EXPRESSION_ERROR, "Failed")
    assert EVALUATE(state, 1) == Evaluated()
