"""What an API server makes of a structural schema: whether it refuses an object, and at which paths.

Written from the words that our CRDs use, and no others; tests/api/test_on_a_cluster.py asks a real one the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}


def refusals(schema: Mapping[str, Any], value: object, path: str = "") -> Iterator[str]:
    """The paths at which it is refused, unknown fields included: kubectl asks for strict validation."""
    if "type" not in schema:
        return  # any value at all
    if isinstance(value, bool) != (schema["type"] == "boolean") or not isinstance(value, KINDS[schema["type"]]):
        yield path
        return
    if "enum" in schema and value not in schema["enum"]:
        yield path
    match value:
        case str():
            yield from _text(schema, value, path)
        case int():
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield path
        case list():
            if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
                yield path
            for place, item in enumerate(value):
                yield from refusals(schema["items"], item, f"{path}[{place}]")
        case dict():
            yield from _object(schema, value, path)


def _text(schema: Mapping[str, Any], value: str, path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield path
    if "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value):
        yield path


def _object(schema: Mapping[str, Any], value: Mapping[str, object], path: str) -> Iterator[str]:
    yield from (f"{path}.{name}" for name in schema.get("required", []) if name not in value)
    if len(value) > schema.get("maxProperties", len(value)):
        yield path
    for name, item in value.items():
        if item is None:
            continue  # dropped before it is judged
        if name in schema.get("properties", {}):
            yield from refusals(schema["properties"][name], item, f"{path}.{name}")
        elif "additionalProperties" in schema:
            yield from refusals(schema["additionalProperties"], item, f"{path}[{name}]")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}"
