"""Faults of shape, as pydantic finds them, in the words of the person who wrote the manifest.

Promises: one Problem for each fault, with the path that kubectl would print, a plain reason and, where one is
known, what to do. Must never print a value that is not short text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from kipu.core.errors import Problem
from kipu.core.texts import nearest

from .passthrough import TEXT_LENGTH_MAX, join, printable
from .schedules import SCHEDULE_PATTERN, shape_hint
from .v1alpha1_base import DURATION_PATTERN, HASH_PATTERN, NAME_PATTERN, UID_PATTERN
from .v1alpha1_language import MEMBER_PATTERN

# Fields of later versions: told apart from a slip of the pen.
LATER = frozenset({"memoize", "runOnce"})
FIELDS_SHOWN_MAX = 3
_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def translate(error: ValidationError, model: type[BaseModel], root: str) -> Iterator[Problem]:
    """Every fault of a value that was validated as `model` and stands at the path `root`."""
    for fault in error.errors(include_url=False):
        location: Sequence[str | int] = fault["loc"]
        path = root
        for part in location:
            path = join(path, part)
        reason, hint = _explain(fault["type"], fault.get("ctx", {}), fault["input"], fault["msg"])
        if fault["type"] == "extra_forbidden":
            hint = _nearest_field(str(location[-1]), _model_at(model, location[:-1]))
        elif _EXPECTED.get(fault["type"]) == "an object":
            hint = _shape_of(_model_at(model, location))
        yield Problem(path=path, reason=reason, hint=hint)


def _explain(kind: str, context: Mapping[str, Any], value: object, message: str) -> tuple[str, str]:
    if kind in _EXPECTED:
        hint = "put it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
        fraction = isinstance(value, float) and kind.startswith("int")
        return f"must be {_EXPECTED[kind]}, not {'a fraction' if fraction else _kind(value)}", hint
    match kind:
        case "kipu":
            return message, str(context.get("hint", ""))
        case "missing":
            return "is required", ""
        case "extra_forbidden":
            return "is not a field of this object", ""
        case "string_unicode":
            return "is not valid Unicode text", ""
        case "enum" | "literal_error":
            return _not_one_of(str(context["expected"]), value)
        case "string_pattern_mismatch":
            return _no_match(str(context["pattern"]), str(value))
    return _out_of_bounds(kind, context) or message, ""


def _out_of_bounds(kind: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case "string_too_short" | "too_short":
            return "must not be empty"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
    return ""


def _no_match(pattern: str, value: str) -> tuple[str, str]:
    shown = f"'{printable(value)}'"
    match pattern:
        case str() if pattern == NAME_PATTERN:
            return f"{shown} is not a name", "use lower-case letters, digits and '-', with no '-' at either end"
        case str() if pattern == MEMBER_PATTERN:
            return f"{shown} is not a name here", "use letters, digits and '_', with no digit in front"
        case str() if pattern == DURATION_PATTERN:
            return f"{shown} is not a duration", "write it like 90s, 1h30m or 500ms"
        case str() if pattern == UID_PATTERN:
            return f"{shown} is not the uid of a Workflow", "kubectl get kw NAME -o jsonpath={.metadata.uid}"
        case str() if pattern == HASH_PATTERN:
            return f"{shown} is not the hash of a record", "it has 64 digits, of 0-9 and a-f"
        case str() if pattern == SCHEDULE_PATTERN:
            return f"{shown} is not a schedule", shape_hint(value)
    return f"{shown} does not match {pattern}", ""


def _not_one_of(expected: str, value: object) -> tuple[str, str]:
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    reason = f"must be one of {', '.join(choices)}"
    if not isinstance(value, str):
        return f"{reason}, not {_kind(value)}", ""
    by_lower_case = {choice.lower(): choice for choice in choices}
    near = get_close_matches(value[:TEXT_LENGTH_MAX].lower(), by_lower_case, n=1)
    return f"{reason}, not '{printable(value)}'", f"did you mean {by_lower_case[near[0]]}?" if near else ""


def _nearest_field(name: str, model: type[BaseModel] | None) -> str:
    if name in LATER:
        return "a later version of Kipu will have it, this one does not"
    known = {field.alias or key for key, field in model.model_fields.items()} if model else set()
    return nearest(name[:TEXT_LENGTH_MAX], sorted(known))


def _shape_of(model: type[BaseModel] | None) -> str:
    """Which fields an object has, where they are few; else those without which it is none."""
    if model is None:
        return ""
    fields = [(field.alias or key, field.is_required()) for key, field in model.model_fields.items()]
    shown = [name for name, is_required in fields if is_required or len(fields) <= FIELDS_SHOWN_MAX]
    return f"write {{{', '.join(f'{name}: ...' for name in shown)}}}" if shown else ""


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """The model of the object at this place."""
    for part in location:
        if isinstance(part, int):
            continue
        field = next((f for key, f in model.model_fields.items() if part in (f.alias, key)), None)
        inner = _model_within(field.annotation) if field else None
        if inner is None:
            return None
        model = inner
    return model


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The model in `X`, `X | None`, `list[X]` or `Annotated[X, ...]`."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    if get_origin(annotation) in (Union, UnionType, list) or hasattr(annotation, "__metadata__"):
        inner = (_model_within(argument) for argument in get_args(annotation))
        return next((model for model in inner if model), None)
    return None


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), "that")
