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

from . import manifests
from .errors import CannotTell

KEYS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A Workflow as its file has it."""

    name: str
    spec: Mapping[str, object]
    definition: Definition


def read(path: Path) -> Manifest:
    """The one Workflow in this file. Raises UserError with all problems, CannotTell."""
    documents = _documents(path)
    templates = manifests.templates(documents)
    others = [each for each in documents if not manifests.is_template(each)]
    if len(others) != 1:
        raise CannotTell(f"{path} holds {len(others)} documents, one Workflow is expected")
    (found,) = others
    if not isinstance(found, Mapping):
        raise CannotTell(f"{path} holds no object")
    return _manifest(found, templates)


def _documents(path: Path) -> list[object]:
    try:
        return [each.value for each in manifests.read(path.read_bytes()) if each.value is not None]
    except OSError as error:
        raise CannotTell(f"cannot read {path}: {error.strerror}") from error
    except manifests.Unreadable as error:
        raise CannotTell(f"{path} line {error.line}: {error.why}") from error


def _manifest(raw: Mapping[str, Any], templates: Mapping[str, JsonMap]) -> Manifest:
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
        named = template_name(spec)
        definition = specs.parse(spec) if named is None else resolve(spec, templates.get(named))
    except UserError as error:
        raise UserError((*problems, *error.problems)) from error
    if problems:
        raise UserError(tuple(problems))
    assert isinstance(name, str)
    assert isinstance(spec, Mapping)
    return Manifest(name=name, spec=spec, definition=definition)
