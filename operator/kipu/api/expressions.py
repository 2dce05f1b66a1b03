"""Expressions: one language, CEL, in `when`, in `forEach` and in `${{ }}`. Checked before the run, evaluated once.

Promises: total: any text gives an Expression or all that can be said against it; any values give one result or a
Failure in plain words, after bounded work (`cel_cost`). Whether it is taken depends on text and values alone. Must
never read a clock or a state: what a reference stands for, the caller says.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from .cel import CelError, Program, compile_checked
from .cel_cost import Cost
from .passthrough import is_unicode
from .references import Fault, Path, Reference, Scope, scan
from .tokens import OPEN
from .v1alpha1_language import EXPRESSION_LENGTH_MAX


class Expected(Enum):
    """What an expression is for, by what it must yield."""

    CONDITION = "true or false"
    TEXT = "a value"
    ITEMS = "a list"


_ALLOWED = {Expected.CONDITION: ("BOOL",), Expected.ITEMS: ("LIST",)}
_WITHOUT_TEXT = ("BYTES", "DURATION", "TIMESTAMP", "NULL", "TYPE")
_TYPES = {Expected.CONDITION: bool, Expected.ITEMS: list}


class Absent(Exception):
    """Raised by a lookup: there is no such value now, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Failure(Exception):
    """The expression has no value. The message is for people."""


Lookup = Callable[[Path], object]  # the value of a reference; raises Absent


@dataclass(frozen=True, slots=True)
class Expression:
    """One that has been checked."""

    text: str
    expected: Expected
    variables: Mapping[str, Reference]
    program: Program

    def evaluate(self, lookup: Lookup, cost: Cost) -> object:
        """Its value, as plain Python. Raises Failure. `cost` bounds it together with what was evaluated before."""
        values, absent = self._values(lookup)
        try:
            result = self.program.evaluate(values, cost)
        except CelError as error:
            raise Failure(absent.get(error.variable) or error.reason) from None
        kind = _TYPES.get(self.expected, object)
        if not isinstance(result, kind):
            raise Failure(f"yields {_shown(result)}, not {self.expected.value}")
        return result

    def _values(self, lookup: Lookup) -> tuple[dict[str, object], dict[str, str]]:
        """The values of the variables, and why the others have none."""
        values: dict[str, object] = {}
        absent: dict[str, str] = {}
        for name, reference in self.variables.items():
            try:
                value = lookup(reference.path)
            except Absent as error:
                absent[name] = error.reason
                if reference.tested:
                    values[name] = False
            else:
                values[name] = True if reference.tested else value
        return values, absent


def parse(text: str, scope: Scope, expected: Expected) -> Expression | Sequence[Fault]:
    """The expression, checked, or all that is wrong with it."""
    if (fault := _unreadable(text, expected)) is not None:
        return [fault]
    found = scan(text, scope)
    if found.faults:
        return found.faults
    types = {name: reference.type for name, reference in found.variables.items()}
    try:
        program = _compiled(found.source, tuple(types.items()))
    except CelError as error:
        return [Fault(error.reason, error.hint)]
    if (fault := _unexpected(program.type, expected)) is not None:
        return [fault]
    return Expression(text, expected, found.variables, program)


# Many steps have the same expression but for the step that it speaks of, and that is a variable. 4,096 x some 4 KB.
@lru_cache(maxsize=4_096)
def _compiled(source: str, types: tuple[tuple[str, str], ...]) -> Program:
    return compile_checked(source, dict(types))


def _unreadable(text: str, expected: Expected) -> Fault | None:
    if not text.strip():
        return Fault("is empty")
    if len(text) > EXPRESSION_LENGTH_MAX:
        return Fault(
            f"has {len(text)} characters, at most {EXPRESSION_LENGTH_MAX} are allowed", "do such work in a step"
        )
    if not is_unicode(text) or "\x00" in text:
        return Fault("is not valid Unicode text")
    if not unicodedata.is_normalized("NFC", text):
        return Fault("holds text that is not in Unicode's composed form", "write it composed (NFC)")
    if OPEN in text and expected is not Expected.TEXT:
        return Fault("is an expression already", f"write it without {OPEN} }}}}")
    return None


def _unexpected(kind: str, expected: Expected) -> Fault | None:
    if kind == "DYN":
        return None  # judged when it is evaluated
    allowed = _ALLOWED.get(expected)
    if allowed is not None and not kind.startswith(allowed):
        return Fault(f"must yield {expected.value}, not {kind.lower()}")
    if expected is Expected.TEXT and kind.startswith(_WITHOUT_TEXT):
        return Fault(f"yields {kind.lower()}, which has no text here", "string(x) makes it one, where it can")
    return None


def _shown(value: object) -> str:
    names = {bool: "a bool", int: "an int", float: "a double", str: "a string", list: "a list", dict: "a map"}
    return "null" if value is None else names.get(type(value), "something else")
