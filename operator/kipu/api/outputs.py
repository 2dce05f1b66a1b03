"""What a step's program has written to $KIPU_OUTPUT, out of its container's termination message.

The kubelet cuts silently: it reads the last 4,096 bytes of the file (tail.ReadAtMost), and of these the status keeps
the first 12,288 / n, n being all containers of the pod, init and ephemeral ones included (status_manager.go,
normalizeStatus; read in v1.37). So a message that comes up to the bound may be a part of a longer one, and is refused
whole: OutputTooLarge. A container added later lowers the bound, and never makes a cut message look whole.

Promises: total on every text; every declared output or none; a value is what was written, or a plain reason why not.
Must never look at a message of a step that declares no outputs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from kipu.core.definition import Output, ValueType
from kipu.core.errors import Problem
from kipu.core.events import Reason

from . import values
from .passthrough import DEPTH_MAX, INT_MAX, clean, printable

CONTAINER_BYTES_MAX = 4_096
POD_BYTES_MAX = 12_288
_INT = re.compile(r"[+-]?[0-9]{1,19}")
_DOUBLE = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DOUBLE_MAX = 10**308  # a whole number above it has no float
_DAMAGED = "\ufffd"  # what stands for bytes that are no UTF-8 by the time we see them


class OutputError(Exception):
    """The message gives no outputs. `reason` is of the attempt's failure."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def bytes_max(containers: int) -> int:
    """The length up to which the kubelet keeps a message, in a pod of so many containers."""
    return min(CONTAINER_BYTES_MAX, POD_BYTES_MAX // max(1, containers))


def read(message: str, declared: Sequence[Output], *, containers: int = 1) -> dict[str, str | int | bool]:
    """The outputs by name, as a record holds them. Raises OutputError."""
    length, bound = len(message.encode("utf-8", "replace")), bytes_max(containers)
    if length >= bound:
        text = (
            f"the outputs come up to {bound} bytes, where the kubelet cuts them off in a pod of {containers} container"
        )
        raise OutputError(Reason.OUTPUT_TOO_LARGE, text + ("s" if containers != 1 else "") + "; write less than that")
    if _DAMAGED in message:
        raise _invalid("the outputs are not UTF-8")
    is_json = message.lstrip().startswith("{")
    written: Mapping[str, object] = _json(message) if is_json else _lines(message)
    types = {output.name: output.type for output in declared}
    for name in written:
        if name not in types:
            near = get_close_matches(name[:100], list(types), n=1)
            raise _invalid(f"'{printable(name)}' is not a declared output" + (f"; is it '{near[0]}'?" if near else ""))
    if (lost := next((name for name in types if name not in written), None)) is not None:
        raise _invalid(f"output '{lost}' was not written to $KIPU_OUTPUT")
    read_one = _of_json if is_json else _of_text
    return {name: values.record(read_one(name, written[name], kind), kind) for name, kind in types.items()}


def _lines(message: str) -> dict[str, str]:
    """`name=value` lines; of a name written twice the last one stands."""
    found = {}
    for number, line in enumerate(message.split("\n"), 1):
        if not line.strip():
            continue
        name, sign, value = line.removesuffix("\r").partition("=")
        if not sign:
            raise _invalid(f"line {number} of the outputs is not name=value: '{printable(line)}'")
        if _UNPRINTABLE.search(value):
            raise _invalid(f"output '{printable(name.strip())}' holds a control character; write it as JSON")
        found[name.strip()] = value
    return found


def _json(message: str) -> dict[str, object]:
    try:
        found = json.loads(message, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise _invalid(f"the outputs are nested more than {DEPTH_MAX} levels deep") from None
    except ValueError as error:
        raise _invalid(f"the outputs begin with '{{' and are not JSON: {error}") from None
    assert isinstance(found, dict)
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not a number")


# -- typed -------------------------------------------------------------------------------------------


def _of_text(name: str, text: object, kind: ValueType) -> object:
    assert isinstance(text, str)
    word = text.strip()
    match kind:
        case ValueType.STRING:
            return _sound(name, text)
        case ValueType.INT if _INT.fullmatch(word):
            return _within(name, int(word))
        case ValueType.BOOL if word in ("true", "false"):
            return word == "true"
        case ValueType.DOUBLE if _DOUBLE.fullmatch(word):
            return _finite(name, float(word))
        case ValueType.JSON:
            return _any_json(name, word)
    raise _not_a(name, kind, f"'{printable(text)}'")


def _of_json(name: str, value: object, kind: ValueType) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case ValueType.STRING if isinstance(value, str):
            return _sound(name, value)
        case ValueType.INT if is_number and isinstance(value, int):
            return _within(name, value)
        case ValueType.BOOL if isinstance(value, bool):
            return value
        case ValueType.DOUBLE if is_number:
            assert isinstance(value, int | float)
            return _finite(name, float(value) if abs(value) <= _DOUBLE_MAX else math.inf)
        case ValueType.JSON:
            return _sound(name, value)
    raise _not_a(name, kind, printable(json.dumps(value)))


def _any_json(name: str, text: str) -> object:
    try:
        return _sound(name, json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number))
    except RecursionError:
        raise _invalid(f"output '{name}' is nested more than {DEPTH_MAX} levels deep") from None
    except ValueError as error:
        raise _invalid(f"output '{name}' is not JSON: {error}") from None


def _sound(name: str, value: object) -> object:
    """What can be recorded: sound text, whole numbers of 64 bits, finite fractions, bounded depth."""
    problems: list[Problem] = []
    clean(value, f"output '{name}'", problems)
    if problems:
        raise _invalid(f"{problems[0].path} {problems[0].reason}")
    return value


def _within(name: str, number: int) -> int:
    if abs(number) > INT_MAX:
        raise _invalid(f"output '{name}' is a number of more than 64 bits")
    return number


def _finite(name: str, number: float) -> float:
    if not math.isfinite(number):
        raise _invalid(f"output '{name}' is a number of more than 64 bits")
    return number


def _not_a(name: str, kind: ValueType, shown: str) -> OutputError:
    words = {"String": "text", "Int": "a whole number", "Bool": "true or false", "Double": "a number"}
    return _invalid(f"output '{name}' is declared as {kind} and is not {words[kind.value]}: {shown}")


def _invalid(message: str) -> OutputError:
    return OutputError(Reason.OUTPUT_INVALID, message)
