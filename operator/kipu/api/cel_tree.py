"""A checked expression as a tree, out of the library's `cel.expr.CheckedExpr` (a protobuf message).

The library shows no tree, only these bytes, whose numbers are fixed by the specification of CEL. A reader of the few
messages that matter is shorter than a dependency on protobuf. Promises: linear; the depth is the library's bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_VALUE_OF_ANY, _EXPR_OF_CHECKED = 2, 4


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `size` is that of a constant or of a name, in bytes."""


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A literal."""

    size: int


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`operand.field`, or whether there is one."""

    operand: Node
    tests: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function or operator; the target of a method is the first argument."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Many(Node):
    """A list, map or message literal."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """A comprehension: what the macros all, exists, exists_one, filter and map are made of."""

    names: tuple[str, ...]
    span: Node
    result_name: str
    begin: Node
    condition: Node
    step: Node
    result: Node


def parse(checked: bytes) -> Node:
    """The tree of a serialised CheckedExpr, which comes in a google.protobuf.Any."""
    return _node(_only(_only(checked, _VALUE_OF_ANY), _EXPR_OF_CHECKED))


def _node(raw: bytes) -> Node:
    for number, value in _fields(raw):
        match number:
            case 3:
                return Constant(len(_bytes(value)))
            case 4:
                return Name(_only(_bytes(value), 1).decode())
            case 5:
                select = dict(_fields(_bytes(value)))
                return Select(_node(_bytes(select[1])), bool(select.get(3)))
            case 6:
                return _call(_bytes(value))
            case 7:
                return Many(tuple(_node(_bytes(item)) for field, item in _fields(_bytes(value)) if field == 1))
            case 8:
                return Many(tuple(_entries(_bytes(value))))
            case 9:
                return _loop(_bytes(value))
    return Constant(0)


def _call(raw: bytes) -> Call:
    function, target, arguments = "", [], []
    for number, value in _fields(raw):
        match number:
            case 1:
                target.append(_node(_bytes(value)))
            case 2:
                function = _bytes(value).decode()
            case 3:
                arguments.append(_node(_bytes(value)))
    return Call(function, (*target, *arguments))


def _entries(raw: bytes) -> Iterator[Node]:
    for number, entry in _fields(raw):
        if number == 2:
            yield from (_node(_bytes(value)) for part, value in _fields(_bytes(entry)) if part in (3, 4))


def _loop(raw: bytes) -> Loop:
    parts = dict(_fields(raw))
    names = tuple(_bytes(parts[number]).decode() for number in (1, 8) if parts.get(number))
    return Loop(
        names,
        _node(_bytes(parts[2])),
        _bytes(parts[3]).decode(),
        *(_node(_bytes(parts[number])) for number in (4, 5, 6, 7)),
    )


# -- protobuf on the wire ----------------------------------------------------------------------------


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Every field: its number, and its bytes or its number."""
    place = 0
    while place < len(raw):
        key, place = _varint(raw, place)
        match key & 7:
            case 0:
                value, place = _varint(raw, place)
                yield key >> 3, value
            case 2:
                length, place = _varint(raw, place)
                yield key >> 3, raw[place : place + length]
                place += length
            case kind:
                width = 8 if kind == 1 else 4
                yield key >> 3, raw[place : place + width]
                place += width


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = raw[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _only(raw: bytes, number: int) -> bytes:
    return next(_bytes(value) for field, value in _fields(raw) if field == number)


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
