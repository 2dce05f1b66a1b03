"""A file with one Workflow, read as the operator would read it from the cluster.

Promises: a Workflow, or every fault that can be found, each with its place; total on any file. YAML as kubectl reads
it: what looks like a date stays a string, a key that is there twice is refused. Must never apply a default.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kipu.api import definition as specs
from kipu.api.v1alpha1_base import API_VERSION, KIND, NAME_LENGTH_MAX, NAME_PATTERN
from kipu.core.definition import Definition
from kipu.core.errors import Problem, UserError

from .errors import CannotTell

FILE_BYTES_MAX = 3 * 1024 * 1024  # twice what one object in a cluster may have
# 5,000 steps of 40 values and keys; an alias counts for all that it stands for.
NODES_MAX = 200_000
DEPTH_MAX = 100  # of the file; what is nested deeper than 40 is refused in any case
KEYS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A Workflow as its file has it."""

    name: str
    spec: Mapping[str, object]
    definition: Definition


def read(path: Path) -> Manifest:
    """The one Workflow in this file. Raises UserError with all problems, CannotTell."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CannotTell(f"cannot read {path}: {error.strerror}") from error
    if len(text) > FILE_BYTES_MAX:
        raise CannotTell(f"{path} has {len(text)} bytes, the bound is {FILE_BYTES_MAX}")
    found = _parse(text, path)
    if not isinstance(found, Mapping):
        raise CannotTell(f"{path} holds no object")
    return _manifest(found)


def _manifest(raw: Mapping[str, Any]) -> Manifest:
    problems = [
        Problem(path=key, reason=f"must be {wanted}", hint="this is not a Workflow of this release")
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND))
        if raw.get(key) != wanted
    ]
    problems += [Problem(path=str(key), reason="is not a field of this object") for key in raw if key not in KEYS]
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or len(name) > NAME_LENGTH_MAX or not re.match(NAME_PATTERN, name):
        hint = f"use lower-case letters, digits and '-', at most {NAME_LENGTH_MAX}, with no '-' at either end"
        problems.append(Problem(path="metadata.name", reason="is required, and must be a name", hint=hint))
    spec = raw.get("spec")
    try:
        definition = specs.parse(spec)
    except UserError as error:
        raise UserError((*problems, *error.problems)) from error
    if problems:
        raise UserError(tuple(problems))
    assert isinstance(name, str)
    assert isinstance(spec, Mapping)
    return Manifest(name=name, spec=spec, definition=definition)


# -- YAML ------------------------------------------------------------------------------------------------------


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain JSON values only."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base class has it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """As the base class does it, but no key is there twice, and each is a string."""
        self.flatten_mapping(node)
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' is no string", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found


def _parse(text: bytes, path: Path) -> object:
    try:
        _check_size(text)
        documents = [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        place = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise CannotTell(f"{path}{place}: {error.problem or 'this is not YAML'}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise CannotTell(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if len(documents) != 1:
        raise CannotTell(f"{path} holds {len(documents)} documents, one Workflow is expected")
    return documents[0]


def _check_size(text: bytes) -> None:
    """Refuse what would grow beyond all bounds, before anything is made of it: a few aliases can stand for millions."""
    counts: dict[str | None, int] = {}  # by anchor: how many nodes it stands for
    open_nodes: list[tuple[str | None, int]] = []  # anchors, and how many nodes there were before them
    total = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            total += counts.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            counts[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            counts[anchor] = total - before
        if len(open_nodes) > DEPTH_MAX:
            raise ValueError(f"it is nested more than {DEPTH_MAX} levels deep")
        if total > NODES_MAX:
            raise ValueError(f"it has more than {NODES_MAX} values")
