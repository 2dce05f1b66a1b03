"""The CustomResourceDefinition, made from the models.

    python -m kipu.api.crd        writes crds/workflows.kipu.dev.yaml and the chart's copy

Promises: structural; every list atomic but the conditions; no defaults, and only rules of constant cost: they run
again at every write of the status (design 06, section 6.2). A model that has no structural form is refused
here, not by the API server. Must never be imported by the operator.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from .v1alpha1 import WorkflowSpec
from .v1alpha1_base import GROUP, KIND, NAME_LENGTH_MAX, PLURAL, VERSION
from .v1alpha1_status import WorkflowStatus

Schema = dict[str, Any]
COPIES = (Path("crds") / f"{PLURAL}.{GROUP}.yaml", Path("charts/kipu/files") / f"{PLURAL}.{GROUP}.yaml")
HEADER = "# Generated from operator/kipu/api/v1alpha1*.py by `make crds`. Do not edit.\n"
DESCRIPTION = "A graph of steps, each run as a Job, whose every event is kept."

# JSON Schema's words that mean the same in a structural schema.
KEPT = frozenset(
    {"description", "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength"}
    | {"minimum", "pattern", "type"}
)
DROPPED = frozenset({"title", "default", "additionalProperties", "required", "properties", "items", "anyOf", "$ref"})

SPEC_RULES = [
    {
        "rule": "!has(oldSelf.shutdown) || has(self.shutdown)",
        "message": "a shutdown that was asked for cannot be taken back; delete the Workflow to be rid of it",
        "reason": "FieldValueForbidden",
        "fieldPath": ".shutdown",
    },
]
SHUTDOWN_RULES = [
    {
        "rule": "self.mode == oldSelf.mode || oldSelf.mode == 'Drain' || self.mode == 'Terminate'"
        " || (has(self.run) ? self.run : 1) > (has(oldSelf.run) ? oldSelf.run : 1)",
        "message": "a shutdown may only escalate, from Drain to Cancel to Terminate",
        "reason": "FieldValueForbidden",
        "fieldPath": ".mode",
    },
]
RERUN_RULES = [
    {
        "rule": "self.number >= oldSelf.number",
        "message": "a run that was asked for cannot be taken back; the number only rises",
        "reason": "FieldValueForbidden",
        "fieldPath": ".number",
    },
]
COLUMNS = [
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "string", ".status.progress", 0),
    ("Failed", "integer", ".status.counts.failed", 0),
    ("Started", "date", ".status.startTime", 0),
    ("Duration", "string", ".status.duration", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Message", "string", ".status.message", 1),
]


class NotStructuralError(TypeError):
    """A model holds something that a CRD cannot say."""


def definition() -> Schema:
    """The CustomResourceDefinition as an object."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["kw"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.phase"}],
                    "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def render() -> str:
    """The file as it is committed."""
    return HEADER + yaml.safe_dump(definition(), sort_keys=False, width=118, allow_unicode=True)


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model. Raises NotStructuralError."""
    raw = model.model_json_schema(by_alias=True)
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _root() -> Schema:
    spec, status = structural(WorkflowSpec), structural(WorkflowStatus)
    spec["x-kubernetes-validations"] = SPEC_RULES
    spec["properties"]["shutdown"]["x-kubernetes-validations"] = SHUTDOWN_RULES
    spec["properties"]["rerun"]["x-kubernetes-validations"] = RERUN_RULES
    # A stop is told with a few fields alone (status.stalled), whatever was shown before.
    status.pop("required")
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    name = {"type": "string", "maxLength": NAME_LENGTH_MAX, "description": "It becomes a label of every Job and pod."}
    return {
        "type": "object",
        "description": DESCRIPTION,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": spec,
            "status": status,
        },
    }


def _column(name: str, kind: str, path: str, priority: int) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})


def _convert(raw: Schema, known: Mapping[str, Schema], where: str, depth: int = 0) -> Schema:
    if depth > 20:
        raise NotStructuralError(f"{where}: a model contains itself")
    if "$ref" in raw:
        # What the field says about itself stands above what its type says.
        referred = known[raw["$ref"].removeprefix("#/$defs/")]
        return _convert(referred | {k: v for k, v in raw.items() if k != "$ref"}, known, where, depth + 1)
    if "anyOf" in raw:
        choices = [choice for choice in raw["anyOf"] if choice.get("type") != "null"]
        if len(choices) != 1:
            raise NotStructuralError(f"{where}: a union of more than one type")
        return _convert(choices[0] | {k: v for k, v in raw.items() if k != "anyOf"}, known, where, depth + 1)
    if unknown := set(raw) - KEPT - DROPPED - {"$defs"}:
        raise NotStructuralError(f"{where}: {sorted(unknown)}")
    schema: Schema = {key: raw[key] for key in ("type", "description") if key in raw}
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    schema |= {key: raw[key] for key in sorted(KEPT & set(raw)) if key not in schema}
    if schema.get("type") == "array":
        items = _convert(raw["items"], known, f"{where}[]", depth + 1)
        return schema | {"x-kubernetes-list-type": "atomic", "items": items}
    return schema | (_object(raw, known, where, depth) if schema.get("type") == "object" else {})


def _object(raw: Schema, known: Mapping[str, Schema], where: str, depth: int) -> Schema:
    if "properties" in raw:
        required = {"required": raw["required"]} if raw.get("required") else {}
        properties = {
            name: _convert(field, known, f"{where}.{name}", depth + 1) for name, field in raw["properties"].items()
        }
        return required | {"properties": properties}
    values = raw.get("additionalProperties")
    if isinstance(values, dict):
        return {"additionalProperties": _convert(values, known, f"{where}{{}}", depth + 1)}
    return {"x-kubernetes-preserve-unknown-fields": True}


def main() -> int:
    """Write every copy, below the directory in which this is run."""
    for path in COPIES:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
