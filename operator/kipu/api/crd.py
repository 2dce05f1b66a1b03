"""The CustomResourceDefinitions, made from the models.

    python -m kipu.api.crd        writes crds/*.kipu.dev.yaml and the chart's copies

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

from .crd_kinds import RESOURCES, WORKFLOW, Custom
from .v1alpha1_base import GROUP, VERSION

Schema = dict[str, Any]
FOLDERS = (Path("crds"), Path("charts/kipu/files"))
HEADER = "# Generated from operator/kipu/api/v1alpha1*.py by `make crds`. Do not edit.\n"

# JSON Schema's words that mean the same in a structural schema.
KEPT = frozenset(
    {"description", "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength"}
    | {"minimum", "pattern", "type"}
)
DROPPED = frozenset({"title", "default", "additionalProperties", "required", "properties", "items", "anyOf", "$ref"})


class NotStructuralError(TypeError):
    """A model holds something that a CRD cannot say."""


def definition(custom: Custom = WORKFLOW) -> Schema:
    """The CustomResourceDefinition as an object."""
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": path} for path in custom.selectable],
        "additionalPrinterColumns": [_column(*column) for column in custom.columns],
        "schema": {"openAPIV3Schema": _root(custom)},
    }
    if custom.status is None:
        del version["subresources"]
    if not custom.selectable:
        del version["selectableFields"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{custom.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": custom.kind,
                "listKind": f"{custom.kind}List",
                "plural": custom.plural,
                "singular": custom.kind.lower(),
                "shortNames": [custom.short],
            },
            "versions": [version],
        },
    }


def copies(custom: Custom = WORKFLOW) -> tuple[Path, ...]:
    """Where the file is committed."""
    return tuple(folder / f"{custom.plural}.{GROUP}.yaml" for folder in FOLDERS)


def render(custom: Custom = WORKFLOW) -> str:
    """The file as it is committed."""
    return HEADER + yaml.dump(definition(custom), Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Whatever stands twice is written twice: people and tools read anchors badly."""

    def ignore_aliases(self, data: Any) -> bool:
        """See above."""
        del data
        return True


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model. Raises NotStructuralError."""
    raw = model.model_json_schema(by_alias=True)
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _root(custom: Custom) -> Schema:
    properties: Schema = {"spec": structural(custom.spec)}
    if custom.status is not None:
        properties["status"] = status = structural(custom.status)
        # A stop is told with a few fields alone (status.stalled), whatever was shown before.
        status.pop("required")
        conditions = status["properties"]["conditions"]
        conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    for path, rules in custom.rules.items():
        _at(properties, path)["x-kubernetes-validations"] = [dict(rule) for rule in rules]
    name = {"type": "string", "maxLength": custom.name_length_max, "description": custom.name_description}
    return {
        "type": "object",
        "description": custom.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            **properties,
        },
    }


def _at(properties: Schema, path: str) -> Schema:
    """The schema of a field, such as "spec.shutdown"."""
    first, *rest = path.split(".")
    found: Schema = properties[first]
    for part in rest:
        found = found["properties"][part]
    return found


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
    if "type" not in raw:  # any JSON value
        schema["x-kubernetes-preserve-unknown-fields"] = True
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    schema |= {key: raw[key] for key in sorted(KEPT & set(raw)) if key not in schema}
    if schema.get("type") == "array":
        items = _convert(raw["items"], known, f"{where}[]", depth + 1)
        if "type" not in items:
            items["nullable"] = True  # any value, null too
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
    for custom in RESOURCES:
        for path in copies(custom):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(custom), encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
