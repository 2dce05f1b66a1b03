"""Params from the command line (`--param NAME=VALUE`), put into a spec as a person would write them in the file.

Promises: pure and total. The file says of which type a param is, by its own value or by its template; a text is never
guessed to be a number. Must never judge the spec: what comes out is judged as any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from kipu.api.passthrough import JsonMap, printable
from kipu.api.reuse import WORDS, fits, kind_of
from kipu.api.v1alpha1_template import ParamType
from kipu.core.errors import Problem, UserError
from kipu.core.texts import nearest

from .errors import CannotTell

SHOWN_LENGTH_MAX = 60  # of a name that was not found


def named(texts: Sequence[str]) -> dict[str, str]:
    """By name; of several for one name the last counts. Raises CannotTell."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CannotTell(f"--param {printable(text[:SHOWN_LENGTH_MAX])}: must be NAME=VALUE")
        found[name] = value
    return found


def put(spec: object, template: JsonMap | None, texts: Mapping[str, str]) -> object:
    """The spec with these params in place of its own. Raises UserError with all problems."""
    if not texts or not isinstance(spec, Mapping):
        return spec
    own = list(spec["params"]) if isinstance(spec.get("params"), list) else []
    kinds = _kinds(own) if template is None else _types(template)
    problems: list[Problem] = []
    values = {name: _value(name, text, kinds, problems) for name, text in texts.items()}
    if problems:
        raise UserError(tuple(problems))
    kept = [_replaced(each, values) for each in own]
    return {**spec, "params": [*kept, *({"name": name, "value": value} for name, value in values.items())]}


def _replaced(param: object, values: dict[str, object]) -> object:
    """With its new value, which is then taken out of the values."""
    name = _name(param)
    return {**param, "value": values.pop(name)} if isinstance(param, Mapping) and name in values else param


def _kinds(params: Sequence[object]) -> dict[str, ParamType]:
    """What the values of a Workflow's own params are."""
    return {name: kind_of(each.get("value")) for name, each in _by_name(params)}


def _types(template: JsonMap) -> dict[str, ParamType]:
    """What a template asks for. Its own faults are told when it is judged."""
    params, known = template.get("params"), {str(kind): kind for kind in ParamType}
    listed = _by_name(params if isinstance(params, list) else ())
    return {name: known.get(str(each.get("type")), ParamType.STRING) for name, each in listed}


def _by_name(params: Sequence[object]) -> Iterator[tuple[str, JsonMap]]:
    for each in params:
        if isinstance(each, Mapping) and (name := _name(each)) is not None:
            yield name, each


def _name(param: object) -> str | None:
    name = param.get("name") if isinstance(param, Mapping) else None
    return name if isinstance(name, str) else None


def _value(name: str, text: str, kinds: Mapping[str, ParamType], problems: list[Problem]) -> object:
    shown = printable(name[:SHOWN_LENGTH_MAX])
    if name not in kinds:
        hint = (
            nearest(name[:SHOWN_LENGTH_MAX], list(kinds)) or "give it a value in the file first: its type is then known"
        )
        problems.append(Problem(path=f"--param {shown}", reason="there is no param of this name", hint=hint))
        return None
    if kinds[name] is ParamType.STRING:
        return text
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not fits(kinds[name], value):
        reason = f"must be {WORDS[kinds[name]]}, as JSON"
        problems.append(Problem(path=f"--param {shown}", reason=reason, hint="the file says of which type it is"))
    return value
