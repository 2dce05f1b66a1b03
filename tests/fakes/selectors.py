"""Label and field selectors of the API server, as predicates over objects."""

from __future__ import annotations

import re
from collections.abc import Callable

from .etcd import Json
from .refusals import bad_request

Predicate = Callable[[Json], bool]

_SET = re.compile(r"^\s*(\S+?)\s+(in|notin)\s+\(([^()]*)\)\s*$")
_PAIR = re.compile(r"^\s*([^\s=!,]+)\s*(==|=|!=)\s*([^\s=!,]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([A-Za-z0-9./_-]+)\s*$")
FIELDS = {
    "pods": {"status.phase", "spec.nodeName", "spec.restartPolicy"},
    "jobs": {"status.successful"},
    "events": {
        *("regarding.uid", "regarding.name", "regarding.kind", "reason", "type"),  # of events.k8s.io
        *("involvedObject.uid", "involvedObject.name"),  # of core/v1
    },
}


def select(plural: str, labels: str, fields: str) -> Predicate:
    """Whether an object is selected. Raises Refused (400) for what the real server refuses."""
    tests = [_label_test(part) for part in _split(labels)]
    tests += [_field_test(plural, part) for part in fields.split(",") if part.strip()]
    return lambda body: all(test(body) for test in tests)


def _split(selector: str) -> list[str]:
    """At the commas that are not inside parentheses."""
    return [part for part in re.split(r",(?![^()]*\))", selector) if part.strip()]


def _labels(body: Json) -> dict[str, str]:
    labels: dict[str, str] = body["metadata"].get("labels") or {}
    return labels


def _label_test(part: str) -> Predicate:
    if found := _SET.match(part):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda body: _labels(body).get(key) in values
        return lambda body: _labels(body).get(key) not in values
    if found := _PAIR.match(part):
        key, operator, value = found[1], found[2], found[3]
        if operator == "!=":
            return lambda body: _labels(body).get(key) != value
        return lambda body: _labels(body).get(key) == value
    if found := _EXISTS.match(part):
        key, wanted = found[2], not found[1]
        return lambda body: (key in _labels(body)) is wanted
    raise bad_request(f"unable to parse requirement: {part!r}")


def _field_test(plural: str, part: str) -> Predicate:
    found = _PAIR.match(part)
    if found is None:
        raise bad_request(f"invalid selector: {part!r}; can't understand it")
    path, operator, value = found[1], found[2], found[3]
    if path not in {"metadata.name", "metadata.namespace"} | FIELDS.get(plural, set()):
        raise bad_request(f'"{path}" is not a known field selector')
    keys = path.split(".")
    return lambda body: (_at(body, keys) == value) is (operator != "!=")


def _at(body: Json, keys: list[str]) -> str:
    value: object = body
    for key in keys:
        value = value.get(key, "") if isinstance(value, dict) else ""
    return str(value)
