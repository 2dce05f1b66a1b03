"""The CEL library: compiled, checked and evaluated in one place. Nothing else imports it (ADR 0014).

Promises: total on every text and value; what is wrong is a CelError in plain words. An expression is only evaluated
after `cel_cost` has shown that it is cheap. Must never see a reference of ours: they are variables here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from cel_expr_python import cel

from kipu.core.texts import nearest

from . import cel_cost
from .cel_cost import Cost
from .cel_tree import Node, parse
from .references import BOOL, DOUBLE, DYN, INT, LIST, MAP, NAME_COMPARED_MAX, STRING

_TYPES: Mapping[str, Any] = {
    DYN: cel.Type.DYN,
    STRING: cel.Type.STRING,
    INT: cel.Type.INT,
    BOOL: cel.Type.BOOL,
    DOUBLE: cel.Type.DOUBLE,
    LIST: cel.Type.List(cel.Type.DYN),
    MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}
_FUNCTIONS = dict.fromkeys(
    [
        *(
            "all",
            "bool",
            "bytes",
            "contains",
            "double",
            "duration",
            "dyn",
            "endsWith",
            "exists",
            "exists_one",
            "filter",
        ),
        *("has", "int", "map", "matches", "size", "startsWith", "string", "timestamp", "type", "uint"),
    ]
)
_ERROR = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<message>[^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '(?P<name>[^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '(?P<name>[^']*)' applied to '\((?P<types>.*)\)'")
_AT_RUN_TIME = re.compile(r"No matching overloads found : (?P<name>\S*?)\((?P<types>.*)\)")
_STATUS = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
_LOST = re.compile(r'No value with name "(?P<name>[^"]*)" found')
_EXPECTING = re.compile(r" expecting (\{.*\}|.*)$")


class CelError(Exception):
    """The expression is wrong, or has no value. `variable` names the one that has none."""

    def __init__(self, reason: str, hint: str = "", variable: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.variable = variable


class Program:
    """An expression that has been checked."""

    def __init__(self, expression: Any) -> None:
        self._expression = expression

    @cached_property
    def tree(self) -> Node:
        """The expression as it was understood."""
        return parse(self._expression.serialize())

    @property
    def type(self) -> str:
        """What it yields, as the library writes it: BOOL, STRING, LIST<DYN>..."""
        return str(self._expression.return_type().name())

    def evaluate(self, values: Mapping[str, object], cost: Cost) -> object:
        """The value, as plain Python. A variable that is left out has none. Raises CelError.

        What it costs is added to `cost`, which bounds this and all that was evaluated before.
        """
        cost.add(cel_cost.estimate(self.tree, values))
        if (excess := cost.excess()) is not None:
            raise CelError(excess, "do such work in a step, and give on what it comes to")
        try:
            result = self._expression.eval(data=dict(values))
        except RuntimeError as error:
            raise _at_run_time(str(error)) from None
        if result.type() == cel.Type.ERROR:
            raise _at_run_time(str(result.value()))
        return result.plain_value()


def compile_checked(source: str, variables: Mapping[str, str]) -> Program:
    """Parse and check the types. Raises CelError."""
    try:
        return Program(_environment(tuple(variables.items())).compile(source))
    except RuntimeError as error:
        raise _at_check(str(error)) from None


@lru_cache(maxsize=256)  # few are needed: most expressions have one or two variables of few types
def _environment(variables: tuple[tuple[str, str], ...]) -> Any:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in variables})


# -- words for people --------------------------------------------------------------------------------


def _at_check(message: str) -> CelError:
    found = _ERROR.search(message)
    if found is None or "recursion" in message:
        reason = "is nested too deep" if "recursion" in message else _STATUS.sub("", message)
        return CelError(reason, "split it over several steps")
    text = found["message"]
    if (undeclared := _UNDECLARED.search(text)) is not None:
        return _unknown(undeclared["name"].partition(".")[0])
    if (overload := _OVERLOAD.search(text)) is not None:
        return CelError(_mismatch(overload["name"], overload["types"]), _conversion(overload["types"]))
    where = f"at character {found['column']}" + (f" of line {found['line']}" if found["line"] != "1" else "")
    return CelError(f"{where}: {_EXPECTING.sub('', text)}")


def _unknown(name: str) -> CelError:
    if name in ("item", "index"):
        return CelError(f"'{name}' is known in a step with forEach alone, and not in its when")
    names = _FUNCTIONS | dict.fromkeys(("steps", "params", "workflow"))
    hint = nearest(name[:NAME_COMPARED_MAX], names)
    hint = hint or "a text stands in quotes; names are params, steps['NAME'], workflow"
    return CelError(f"'{name}' is not a name that is known here", hint)


def _at_run_time(message: str) -> CelError:
    if (lost := _LOST.search(message)) is not None:
        return CelError("has no value", variable=lost["name"])
    if "Iteration budget" in message:
        return CelError("loops 10,000 times or more")
    if (overload := _AT_RUN_TIME.search(message)) is not None:
        types = overload["types"].replace("int64", "int")
        return CelError(_mismatch(overload["name"], types), _conversion(types))
    return CelError(_STATUS.sub("", _STATUS.sub("", message)))


def _mismatch(name: str, types: str) -> str:
    shown = name.strip("@_").replace("_", " ").strip() or name
    match name:
        case "_[_]":
            shown = "[]"
        case "_?_:_":
            return f"the condition of ? : must be a bool and both values of one type, not ({types})"
    return f"'{shown}' cannot be applied to ({types})"


def _conversion(types: str) -> str:
    if "string" in types and ("int" in types or "double" in types or "bool" in types):
        return "string(x), int(x) and double(x) convert"
    return "int(x) and double(x) convert" if "double" in types and "int" in types else ""
