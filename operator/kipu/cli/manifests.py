"""YAML files as the API server would get them, with the line of everything in them.

Promises: total: any bytes give documents or an Unreadable that says where; JSON is YAML. Scalars mean what they mean to
kubectl (a date stays text, `12:30` too; keys are text), and a key that stands twice is an error, not a choice. Bounded
in bytes, in depth, and in what aliases unfold to. Must never construct anything but JSON values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from kipu.api.passthrough import JsonMap
from kipu.api.v1alpha1_template import TEMPLATE_KIND
from kipu.core.errors import KipuError

FILE_BYTES_MAX = 8 * 1024 * 1024  # the API server takes 3 MB of one object
NODES_MAX = 1_000_000  # of one document, aliases unfolded: a Workflow of 5,000 steps has about 100,000
DEPTH_MAX = 100  # a PodSpec ends at 12
_SCALARS = {"tag:yaml.org,2002:" + name for name in ("null", "bool", "int", "float", "str")}
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TEXT = ("tag:yaml.org,2002:timestamp",)  # to kubectl a date is a string


class Unreadable(KipuError):
    """A file, or one document of it, cannot be read."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file."""

    value: object
    lines: Mapping[tuple[str | int, ...], int]  # of each key and entry, by where it is

    def line(self, path: str) -> int:
        """The line of a path such as `spec.steps[3].dependsOn[0]`, or of the nearest thing above it that there is."""
        parts = tuple(_parts(path))
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines[parts]

    def part(self, *place: str | int) -> Document:
        """An object within it, as a document of its own."""
        value = self.value
        for each in place:
            value = value[each]  # type: ignore[index]
        size = len(place)
        lines = {at[size:]: line for at, line in self.lines.items() if at[:size] == place}
        return Document(value=value, lines=lines)


class _Loader(yaml.SafeLoader):
    """SafeLoader, without base 60 and dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _PLAIN_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: bytes) -> Iterator[Document]:
    """The documents of a file that hold something. Raises Unreadable."""
    if len(text) > FILE_BYTES_MAX:
        raise Unreadable(1, f"the file has more than {FILE_BYTES_MAX >> 20} MiB")
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise Unreadable(1, _first_line(error)) from error
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield _Builder(loader).document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, str(error.problem or error.context)) from error
    except yaml.YAMLError as error:
        raise Unreadable(1, _first_line(error)) from error
    except RecursionError as error:
        raise Unreadable(1, "nested too deep") from error
    finally:
        loader.dispose()


def is_template(value: object) -> bool:
    """Whether it is a WorkflowTemplate."""
    return isinstance(value, Mapping) and value.get("kind") == TEMPLATE_KIND


def templates(values: Iterable[object]) -> dict[str, JsonMap]:
    """The specs of the WorkflowTemplates among these, by name: Workflows beside them may name them."""
    found: dict[str, JsonMap] = {}
    for value in values:
        if isinstance(value, Mapping) and is_template(value):
            metadata, spec = value.get("metadata"), value.get("spec")
            name = metadata.get("name") if isinstance(metadata, Mapping) else None
            if isinstance(name, str) and isinstance(spec, Mapping):
                found[name] = spec
    return found


class _Builder:
    """One document's nodes, made into values."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._lines: dict[tuple[str | int, ...], int] = {}
        self._merged: dict[int, Mapping[str, tuple[yaml.Node, yaml.Node]]] = {}  # by the id of a node

    def document(self, node: yaml.Node) -> Document:
        self._lines[()] = node.start_mark.line + 1
        value = self._value(node, ())
        return Document(value=value, lines=self._lines)

    def _value(self, node: yaml.Node, place: tuple[str | int, ...]) -> object:
        line = node.start_mark.line + 1
        if len(place) > DEPTH_MAX:
            raise Unreadable(line, f"nested more than {DEPTH_MAX} levels deep, or an alias within itself")
        if len(self._lines) > NODES_MAX:
            raise Unreadable(line, f"more than {NODES_MAX} values, with what aliases stand for")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._entry(item, (*place, number)) for number, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
            raise Unreadable(line, f"'{node.tag}' is not a type of JSON")
        return self._scalar(node)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        if ":" in node.value and node.tag.endswith((":int", ":float")) and not node.style:
            return node.value  # base 60 in YAML 1.1 alone
        try:
            value: object = self._loader.construct_object(node)
        except ValueError as error:  # a number of thousands of digits
            raise Unreadable(node.start_mark.line + 1, _first_line(error)) from error
        return value

    def _mapping(self, node: yaml.MappingNode, place: tuple[str | int, ...]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, (key, value) in self._pairs(node).items():
            self._lines[(*place, name)] = key.start_mark.line + 1
            found[name] = self._value(value, (*place, name))
        return found

    def _pairs(self, node: yaml.MappingNode) -> Mapping[str, tuple[yaml.Node, yaml.Node]]:
        """The keys of a mapping with what they stand for. Its own go before what `<<` brings."""
        if (known := self._merged.get(id(node))) is not None:
            return known
        self._merged[id(node)] = {}  # for whoever merges itself
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        brought: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                brought += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif not isinstance(key, yaml.ScalarNode):
                raise Unreadable(key.start_mark.line + 1, "a key must be a text")
            elif key.value in own:
                raise Unreadable(key.start_mark.line + 1, f"the key '{key.value[:60]}' stands here twice")
            else:
                own[key.value] = key, value
        for each in brought:
            if not isinstance(each, yaml.MappingNode):
                raise Unreadable(each.start_mark.line + 1, "only an object can be merged with <<")
            own = {**self._pairs(each), **own}
        self._merged[id(node)] = own
        return own

    def _entry(self, node: yaml.Node, place: tuple[str | int, ...]) -> object:
        self._lines[place] = node.start_mark.line + 1
        return self._value(node, place)


def _parts(path: str) -> Iterator[str | int]:
    """`a.b[3].labels[x.y/z]` in parts. A key in brackets may be cut, and is then found nowhere: its object is."""
    rest = path
    while rest:
        if rest.startswith("["):
            inner, _, rest = rest[1:].partition("]")
            yield int(inner) if inner.isdecimal() and inner.isascii() else inner
        else:
            rest = rest.removeprefix(".")
            end = min((place for place in (rest.find("."), rest.find("[")) if place >= 0), default=len(rest))
            yield rest[:end]
            rest = rest[end:]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
