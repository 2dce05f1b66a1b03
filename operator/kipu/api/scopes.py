"""What the expressions of each step of a definition may speak of, and where in a step expressions stand.

Promises: pure; the same definition gives the same scopes, before the run and in it. The cost of one step's scope does
not know how many steps there are. Must never know a state: what the names stand for is `evaluation`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kipu.core.definition import Definition, Step, ValueType

from .passthrough import JsonMap
from .pods import listed, mapping
from .references import BOOL, DOUBLE, DYN, INT, LIST, MAP, STRING, WORKFLOW, Scope
from .templates import has_expression

PARAMS = "workflow.params"
_TYPES = {
    ValueType.STRING: STRING,
    ValueType.INT: INT,
    ValueType.BOOL: BOOL,
    ValueType.DOUBLE: DOUBLE,
    ValueType.JSON: DYN,
}


@dataclass(frozen=True, slots=True)
class Names:
    """What all steps of a definition have in common."""

    params: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]]


def names(definition: Definition) -> Names:
    """Of this definition. Linear in its steps: ask once."""
    return Names(
        params={name: param_type(value) for name, value in definition.params.items()},
        outputs={step.name: _types(step) for step in definition.steps},
    )


def _types(step: Step) -> dict[str, str]:
    """Of its outputs: of a fan-out, each is a list over its items."""
    return {output.name: LIST if step.for_each else _TYPES[output.type] for output in step.outputs}


def scope(known: Names, step: Step) -> Scope:
    """Of this step; that a reference is upstream is checked before the run, and not again."""
    return Scope(
        step=step.name,
        params=known.params,
        outputs=known.outputs,
        has_item=step.for_each is not None,
        workflow=WORKFLOW | {"outcome": STRING} if step.in_finally else WORKFLOW,
    )


def outside(within: Scope) -> Scope:
    """That of what is asked before a fan-out begins: there is no item yet."""
    return replace(within, has_item=False)


def param_type(value: object) -> str:
    """The type that a param has in expressions."""
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case str():
            return STRING
        case list():
            return LIST
        case Mapping():
            return MAP
    return DYN


def texts(pod: JsonMap) -> Iterator[tuple[str, str]]:
    """Every text of the step's own fields that may hold expressions, by its path in the step."""
    container = mapping(pod, "container")
    found = [
        (f"{key}[{place}]", text) for key in ("command", "args") for place, text in enumerate(listed(container, key))
    ]
    found += _values(listed(container, "env"), "env")
    found += _values(listed(mapping(pod, "workflow"), "params"), PARAMS)
    return ((path, text) for path, text in found if isinstance(text, str))


def _values(named: list[Any], path: str) -> list[tuple[str, object]]:
    """Of variables or params, by their paths."""
    return [
        (f"{path}[{place}].value", each["value"])
        for place, each in enumerate(named)
        if isinstance(each, Mapping) and "value" in each
    ]


def templates(pod: JsonMap) -> Iterator[tuple[str, str]]:
    """Those that do hold some."""
    return ((path, text) for path, text in texts(pod) if has_expression(text))


def filled(pod: JsonMap, values: Mapping[str, str]) -> JsonMap:
    """What the step runs, with these texts at their paths."""
    if not values:
        return pod
    container = dict(mapping(pod, "container"))
    for key in ("command", "args"):
        if isinstance(items := container.get(key), list):
            container[key] = [values.get(f"{key}[{place}]", text) for place, text in enumerate(items)]
    if env := listed(container, "env"):
        container["env"] = _with_values(env, "env", values)
    found = {**pod, "container": container} if container else {**pod}
    if params := listed(mapping(pod, "workflow"), "params"):
        # Of a param the JSON text is recorded, which has its type.
        typed = {path: json.loads(text) for path, text in values.items() if path.startswith(PARAMS)}
        found["workflow"] = {**mapping(pod, "workflow"), "params": _with_values(params, PARAMS, typed)}
    return found


def _with_values(named: list[Any], path: str, values: Mapping[str, object]) -> list[Any]:
    """Variables or params, some of which have another value."""
    return [
        {**each, "value": values[where]} if (where := f"{path}[{place}].value") in values else each
        for place, each in enumerate(named)
    ]
