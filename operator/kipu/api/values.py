"""The values of the language: their types, how they are recorded, and the text that they have in a manifest.

    String  text              "abc"        abc
    Int     64 bits, signed   42           42
    Bool                      true         true
    Double  finite            "0.5"        0.5
    Json    any JSON          "{\"a\":1}"  {"a":1}

The middle column is what a record holds: no record holds a fraction, so a Double is its shortest decimal text and a
Json value its canonical text. Promises: total; `read(record(v)) == v`; the text of a value is the same everywhere.
Must never know where a value comes from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal

from kipu.core.definition import ValueType

from .passthrough import INT_MAX

_RECORDED: Mapping[ValueType, type] = {
    ValueType.STRING: str,
    ValueType.INT: int,
    ValueType.BOOL: bool,
    ValueType.DOUBLE: str,
    ValueType.JSON: str,
}


def record(value: object, kind: ValueType) -> str | int | bool:
    """A value of this type as a record holds it."""
    match kind:
        case ValueType.DOUBLE:
            return text(value)
        case ValueType.JSON:
            return canonical(value)
    assert isinstance(value, str | int)
    return value


def read(recorded: object, kind: ValueType) -> object:
    """The inverse. The record was written by `record`."""
    match kind:
        case ValueType.DOUBLE:
            return float(str(recorded))
        case ValueType.JSON:
            return json.loads(str(recorded))
    return recorded


def is_recorded(recorded: object, kind: ValueType) -> bool:
    """Whether `record` can have written this for a value of this type."""
    try:
        return record(read(recorded, kind), kind) == recorded and type(recorded) is _RECORDED[kind]
    except (AssertionError, ValueError, RecursionError):
        return False


def text(value: object) -> str:
    """What stands in the manifest. Raises ValueError for what has no text."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _decimal(value)
        case list() | Mapping():
            return canonical(value)
    raise ValueError("null has no text" if value is None else f"a {type(value).__name__} has no text")


def canonical(value: object) -> str:
    """Canonical JSON: keys sorted, no spaces, whole numbers without a point. Raises ValueError for what is not JSON."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _decimal(value: float) -> str:
    """The shortest decimal text that is this number, without an exponent."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return str(int(value)) if value.is_integer() and abs(value) <= INT_MAX else format(Decimal(repr(value)), "f")


def _plain(value: object) -> object:
    match value:
        case float() if value.is_integer() and abs(value) <= INT_MAX:
            return int(value)
        case str() | bool() | int() | float() | None:
            return value
        case list():
            return [_plain(item) for item in value]
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("the keys of a JSON object are strings")
            return {key: _plain(item) for key, item in value.items()}
    raise ValueError(f"a {type(value).__name__} is not JSON")
