"""Expressions: what may be said, what is said of the rest, and what one may cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipu.api import cel_cost, values
from kipu.api.cel import CelError, compile_checked
from kipu.api.cel_cost import Cost
from kipu.api.expressions import Absent, Expected, Expression, Failure, parse
from kipu.api.references import Fault, Path, Scope
from kipu.api.v1alpha1_language import EXPRESSION_LENGTH_MAX
from kipu.core.definition import ValueType

SCOPE = Scope(
    step="load",
    params={"date": "string", "count": "int", "shards": "list", "options": "map"},
    outputs={
        "fetch-data": {"rows": "int", "name": "string", "ok": "bool", "rate": "double", "config": "dyn"},
        "quiet": {},
        "load": {},
        "beside": {"rows": "int"},
    },
    is_upstream=lambda step: step != "beside",
)
VALUES: Mapping[Path, object] = {
    ("params", "date"): "2026-11-23",
    ("params", "count"): 3,
    ("params", "shards"): ["a", "b"],
    ("params", "options"): {"deep": {"er": [1, 2]}},
    ("steps", "fetch-data", "outputs", "rows"): 42,
    ("steps", "fetch-data", "outputs", "name"): "x",
    ("steps", "fetch-data", "outputs", "ok"): True,
    ("steps", "fetch-data", "outputs", "rate"): 0.5,
    ("steps", "fetch-data", "outputs", "config"): {"a": [1.5, None]},
    ("steps", "fetch-data", "phase"): "Succeeded",
    ("steps", "fetch-data", "attempts"): 2,
    ("workflow", "name"): "nightly",
}


def look_up(path: Path) -> object:
    if path not in VALUES:
        raise Absent(f"{'.'.join(path)} is not there")
    return VALUES[path]


def faults(text: str, expected: Expected = Expected.CONDITION, scope: Scope = SCOPE) -> Sequence[Fault]:
    found = parse(text, scope, expected)
    assert not isinstance(found, Expression), text
    return found


def evaluate(text: str, expected: Expected = Expected.CONDITION) -> object:
    found = parse(text, SCOPE, expected)
    assert isinstance(found, Expression), found
    return found.evaluate(look_up, Cost())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("steps['fetch-data'].outputs.rows > 0", True),
        ('steps["fetch-data"].outputs["rows"] == 42', True),
        ("steps [ 'fetch-data' ]\n  .outputs // the rows\n  .rows < params.count", False),
        ("steps.quiet.phase == 'Succeeded' || true", True),
        ("steps['fetch-data'].phase == 'Succeeded' && steps['fetch-data'].attempts == 2", True),
        ("steps['fetch-data'].outputs.rate * 2.0 == 1.0", True),
        ("steps['fetch-data'].outputs.config.a[0] > 1.0", True),
        ("has(steps['fetch-data'].outputs.rows)", True),
        ("has(steps['quiet'].exitCode)", False),
        ("has(params.options.deep) && !has(params.options.other)", True),
        ("params.shards.exists(s, s == 'b')", True),
        ("params.options.steps == 1 || true", True),  # `steps` after a dot is a field
        ("[{'item': 1}].exists(item, item.item == 1)", True),  # not in a fan-out: a name like any other
        ("workflow.name.startsWith('night')", True),
        ("false && steps['quiet'].exitCode == 0", False),  # what is not asked for may be absent
        ("'steps[\\'x\\']' != \"params.y\"", True),
    ],
)
def test_a_condition_is_true_or_false(text: str, value: bool) -> None:
    assert evaluate(text) is value


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("steps.fetch-data.outputs.rows > 0", "is a subtraction in CEL", "write steps['fetch-data']"),
        ("steps['fetch-dat'].outputs.rows > 0", "there is no step 'fetch-dat'", "did you mean 'fetch-data'?"),
        ("steps['fetch-data'].outputs.row > 0", "declares no output 'row'", "did you mean 'rows'?"),
        ("steps['quiet'].outputs.row > 0", "step 'quiet' declares no output", "add outputs to step 'quiet'"),
        ("steps['fetch-data'].phas == 'x'", "has no 'phas'", "did you mean 'phase'?"),
        ("steps['load'].phase == 'x'", "is this step itself", "before its step starts"),
        ("steps['beside'].outputs.rows == 1", "is not upstream of step 'load'", "add 'beside' to dependsOn"),
        ("steps[params.date].phase == 'x'", "stands the name itself, in quotes", "refused"),
        ("steps == 1", "steps cannot be used as a whole", "steps['NAME']"),
        ("steps['fetch-data'].outputs == 1", "cannot be used as a whole", ".outputs.NAME"),
        ("params.dat == 'x'", "there is no param 'dat'", "did you mean 'date'?"),
        ("workflow.nam == 'x'", "workflow has no 'nam'", "did you mean 'name'?"),
        ("param.date == 'x'", "'param' is not a name that is known here", "did you mean 'params'?"),
        ("item == 1", "'item' is known in a step with forEach alone, and not in its when", ""),
        ("params.date > 1", "'>' cannot be applied to (string, int)", "int(x)"),
        ("steps['fetch-data'].outputs.rows == '42'", "'==' cannot be applied to (int, string)", "string(x)"),
        ("params.date", "must yield true or false, not string", ""),
        ("params.count == 1 &&", "at character 21", ""),
        ("${{ true }}", "is an expression already", "write it without"),
        ("", "is empty", ""),
        (" ", "is empty", ""),
        ("true" + " " * EXPRESSION_LENGTH_MAX, "characters, at most 1024 are allowed", ""),
        ("(" * 100 + "true" + ")" * 100, "is nested too deep", ""),
        ("'e\u0301' == ''", "composed form", "NFC"),
        ("'\ud800' == ''", "not valid Unicode", ""),
    ],
)
def test_what_is_wrong_is_said_before_the_run(text: str, reason: str, hint: str) -> None:
    fault = faults(text)[0]
    assert reason in fault.reason
    assert hint in fault.hint


def test_the_longest_expression_is_taken_and_all_wrong_references_are_told() -> None:
    assert evaluate("true" + " " * (EXPRESSION_LENGTH_MAX - 4)) is True
    assert len(faults("params.x == params.y && steps['z'].phase == ''")) == 3


def test_item_and_index_are_known_in_a_fan_out() -> None:
    found = parse("item.name == 'a' && index < 3", Scope(step="s", has_item=True), Expected.CONDITION)
    assert isinstance(found, Expression)
    known: Mapping[Path, object] = {("item",): {"name": "a"}, ("index",): 2}
    assert found.evaluate(known.__getitem__, Cost()) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps['quiet'].exitCode == 0", "steps.quiet.exitCode is not there"),
        ("steps['fetch-data'].outputs.config", "yields a map, not true or false"),
        ("steps['fetch-data'].outputs.config.b == 1", 'Key not found in map : "b"'),
        ("int(params.date) == 1", "cannot convert string to int"),
        ("params.count / (params.count - 3) == 0", "divide by zero"),
        ("steps['fetch-data'].outputs.config.a[0] + 1 > 2", "'+' cannot be applied to (double, int)"),
        ("params.shards[5] == ''", "Index error"),
        ("params.date.matches('(')", "missing )"),
    ],
)
def test_an_expression_without_a_value_fails_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(Failure) as failure:
        evaluate(text)
    assert message in str(failure.value)
    assert "INVALID_ARGUMENT" not in str(failure.value)


# -- what it may cost --------------------------------------------------------------------------------

ADVERSARIES = {
    "doubled text": "size(([s]" + ".map(x,x+x)" * 20 + ")[0]) > 0",
    "doubled list": "size([l]" + ".map(x,x+x)" * 20 + ") > 0",
    "billion laughs": "[dyn(0)]" + ".map(x,[x,x])" * 22 + " == dyn([1])",
    "nested loops": "l.all(a,l.all(b,l.all(c,a==b||b==c)))",
    "nested maps": "size(l.map(a,l.map(b,l.map(c,a+b+c)))) > 0",
    "long list mapped": "size(long.map(x,x)) > 0",
    "long list filtered": "size(long.filter(x,true)) > 0",
    "wide literal": "[" + ",".join(["s"] * 400) + "].map(x,[x,x,x,x,x,x,x,x])" + ".map(x,[x,x,x,x,x,x])" * 3 + " == []",
}


@pytest.mark.parametrize("name", ADVERSARIES)
def test_an_expression_that_would_cost_too_much_is_refused_at_once(name: str) -> None:
    text = ADVERSARIES[name]
    assert len(text) <= EXPRESSION_LENGTH_MAX
    given_values = {"s": "a" * 4_096, "l": list(range(1_000)), "long": list(range(10_000))}
    program = compile_checked(text, {"s": "string", "l": "list", "long": "list"})
    begin = time.process_time()
    with pytest.raises(CelError):
        program.evaluate(given_values, Cost())
    assert time.process_time() - begin < 0.5


def test_ordinary_work_on_large_values_is_taken() -> None:
    items = [{"name": f"shard-{n}", "ok": n % 2 == 0} for n in range(9_999)]
    assert compile_checked("size(l)", {"l": "list"}).evaluate({"l": items}, Cost()) == 9_999
    assert compile_checked("l.exists(x, x.name == 'shard-9998')", {"l": "list"}).evaluate({"l": items}, Cost()) is True
    names = compile_checked("l.filter(x, x.ok).map(x, x.name + '!')", {"l": "list"}).evaluate(
        {"l": items[:1_000]}, Cost()
    )
    assert isinstance(names, list)
    assert names[-1] == "shard-998!"


_ATOMS = st.sampled_from(["s", "l", "m", "x", "'lit'", "[1, 2]", "l[0]", "m.k", "{'k': l}"])
_TEXTS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"dyn({two[0]}) + dyn({two[1]})"),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: "[" + ", ".join(some) + "]"),
        st.tuples(inner, inner).map(lambda two: f"dyn({two[0]}).map(x, {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"dyn({two[0]}).filter(x, {two[1]} == x)"),
        st.tuples(inner, inner).map(lambda two: f"(size(s) > 2 ? dyn({two[0]}) : dyn({two[1]}))"),
    ),
    max_leaves=6,
)


@pytest.mark.proof
@settings(max_examples=300, deadline=None)
@given(_TEXTS, st.text("ab", max_size=9), st.lists(st.integers(0, 9) | st.text("é", max_size=3), max_size=4))
def test_no_value_is_larger_than_its_bound(text: str, s: str, items: list[object]) -> None:
    given_values: dict[str, object] = {"s": s, "l": items, "m": {"k": items}, "x": s}
    types = {"s": "string", "l": "list", "m": "map", "x": "dyn"}
    try:
        program = compile_checked(text, types)
        value = program.evaluate(given_values, Cost())
    except CelError:
        return
    bound = cel_cost._Walk().bound(
        program.tree, {name: cel_cost.measure(value) for name, value in given_values.items()}
    )
    assert len(values.canonical(value)) <= bound.size
    if isinstance(value, list):
        assert len(value) <= bound.length


@pytest.mark.proof
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["steps", "params", "has", "(", ")", "[", "]", ".", "'fetch-data'", "outputs", "rows", "-", "data", " ", "\n",
     "item", "workflow", "'", '"', "//", "+", "1", "{", "}", "&&", "x", "map"]), max_size=25).map("".join))  # fmt: skip
def test_any_text_gives_an_expression_or_what_is_wrong_with_it(text: str) -> None:
    for expected in Expected:
        found = parse(text, SCOPE, expected)
        if isinstance(found, Expression):
            with suppress(Failure):
                found.evaluate(look_up, Cost())
        else:
            assert all(fault.reason for fault in found)


# -- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", "é"),
        (-3, "-3"),
        (True, "true"),
        (0.5, "0.5"),
        (2.0, "2"),
        (1e-7, "0.0000001"),
        (1e30, "1000000000000000000000000000000"),
        ([1, "a", None, 2.0, 0.25], '[1,"a",null,2,0.25]'),
        ({"b": 1, "a": {"é": True}}, '{"a":{"é":true},"b":1}'),
    ],
)
def test_a_value_has_one_text(value: object, text: str) -> None:
    assert values.text(value) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), b"a", {1: 2}, [b"a"], [float("inf")]])
def test_a_value_without_a_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"text|finite|JSON|range"):
        values.text(value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(_JSON)
def test_what_is_recorded_of_a_value_reads_as_the_same_value(value: object) -> None:
    recorded = values.record(value, ValueType.JSON)
    assert isinstance(recorded, str)
    assert values.read(recorded, ValueType.JSON) == json.loads(json.dumps(value))
    if isinstance(value, float):
        assert values.read(values.record(value, ValueType.DOUBLE), ValueType.DOUBLE) == value
