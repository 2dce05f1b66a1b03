"""A file with one Workflow, and maybe WorkflowTemplates, read as the operator would read it from the cluster.

Promises: a Workflow, or every fault that can be found, each with its place; total on any file. YAML as kubectl reads
it: what looks like a date stays a string, a key that is there twice is refused. Must never apply a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kipu.api import definition as specs
from kipu.api.passthrough import JsonMap
from kipu.api.reuse import resolve, template_name
from kipu.api.v1alpha1_base import API_VERSION, KIND, NAME_LENGTH_MAX, NAME_PATTERN
from kipu.core.definition import Definition
from kipu.core.errors import Problem, UserError

from . import manifests, params
from .errors import CannotTell

KEPT = ("name", "namespace", "labels", "annotations")  # the rest of metadata is of a Workflow that was made before
KEYS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A Workflow as its file has it."""

    name: str
    spec: Mapping[str, object]  # with what was given in place of its own params
    template: JsonMap | None  # the spec of the one that it names
    definition: Definition
    metadata: Mapping[str, object]  # what it has of KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file with one Workflow, as it was read."""

    raw: Mapping[str, Any]
    templates: Mapping[str, JsonMap]

    @property
    def name(self) -> str | None:
        """Of the Workflow, if it has one."""
        metadata = self.raw.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        return name if isinstance(name, str) and len(name) <= NAME_LENGTH_MAX and re.match(NAME_PATTERN, name) else None

    def judged(self, texts: Mapping[str, str]) -> Manifest:
        """With these params (by `params.named`) in place of its own. Raises UserError with all problems."""
        return _manifest(self, texts)


def read(path: Path, texts: Mapping[str, str] | None = None) -> Manifest:
    """The one Workflow in this file. Raises UserError with all problems, CannotTell."""
    return load(path).judged(texts or {})


def load(path: Path) -> Source:
    """The same, not judged yet. Raises CannotTell."""
    documents = _documents(path)
    templates = manifests.templates(documents)
    others = [each for each in documents if not manifests.is_template(each)]
    if len(others) != 1:
        raise CannotTell(f"{path} holds {len(others)} documents, one Workflow is expected")
    (found,) = others
    if not isinstance(found, Mapping):
        raise CannotTell(f"{path} holds no object")
    return Source(raw=found, templates=templates)


def _documents(path: Path) -> list[object]:
    try:
        return [each.value for each in manifests.read(path.read_bytes()) if each.value is not None]
    except OSError as error:
        raise CannotTell(f"cannot read {path}: {error.strerror}") from error
    except manifests.Unreadable as error:
        raise CannotTell(f"{path} line {error.line}: {error.why}") from error


def _manifest(source: Source, texts: Mapping[str, str]) -> Manifest:
    raw, name = source.raw, source.name
    problems = [
        Problem(path=key, reason=f"must be {wanted}", hint="this is not a Workflow of this release")
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND))
        if raw.get(key) != wanted
    ]
    problems += [Problem(path=str(key), reason="is not a field of this object") for key in raw if key not in KEYS]
    if name is None:
        hint = f"use lower-case letters, digits and '-', at most {NAME_LENGTH_MAX}, with no '-' at either end"
        problems.append(Problem(path="metadata.name", reason="is required, and must be a name", hint=hint))
    named = template_name(raw.get("spec"))
    template = None if named is None else source.templates.get(named)
    try:
        spec = params.put(raw.get("spec"), template, texts)
        definition = specs.parse(spec) if named is None else resolve(spec, template)
    except UserError as error:
        raise UserError((*problems, *error.problems)) from error
    if problems:
        raise UserError(tuple(problems))
    assert name is not None
    assert isinstance(spec, Mapping)
    metadata = {key: raw["metadata"][key] for key in KEPT if key in raw["metadata"]}
    return Manifest(name=name, spec=spec, template=template, definition=definition, metadata=metadata)
