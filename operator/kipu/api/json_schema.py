"""JSON Schemas of the resources, for editors, made from the schemas of the CRDs.

    python -m kipu.api.json_schema        writes schemas/*.json

Promises: draft-07, which every editor reads; each file stands alone; what the API server takes is valid, and what it
refuses by its schema is not, unknown fields included. But a field without a value (null), which the API server drops,
is a fault here: somebody has not finished writing. Of its rules those are said that look at one object alone; what
compares with the object as it was has no words here. Must never walk the models, nor be imported by the operator.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .crd import definition
from .crd_kinds import RESOURCES, Custom
from .v1alpha1_base import API_VERSION

Schema = dict[str, Any]
FOLDER = Path("schemas")
DIALECT = "http://json-schema.org/draft-07/schema#"
SOURCE = "Generated from operator/kipu/api/v1alpha1*.py by `make crds`. Do not edit."
# What the API server itself knows of any object.
METADATA: Schema = {
    "namespace": {"type": "string", "description": "Where it is; else where kubectl or kipu is told to create it."},
    "generateName": {"type": "string", "description": "In place of a name: the API server makes one that begins so."},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
}
KEPT = frozenset(
    {"description", "enum", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minimum"}
    | {"pattern", "required", "type"}
)
PASSES_THROUGH = "x-kubernetes-preserve-unknown-fields"
HAS = r"has\(self\.(\w+)\)"


def render(custom: Custom) -> str:
    """The file as it is committed."""
    return json.dumps(schema(custom), indent=1, ensure_ascii=False) + "\n"


def path(custom: Custom) -> Path:
    """Where it is committed."""
    return FOLDER / f"{custom.kind.lower()}.json"


def schema(custom: Custom) -> Schema:
    """The schema of a manifest."""
    root = definition(custom)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    converted = _convert(root)
    fields = converted["properties"]
    fields["apiVersion"] = {"const": API_VERSION, "description": "The group and the version."}
    fields["kind"] = {"const": custom.kind, "description": custom.description}
    fields["metadata"] = {"type": "object", "properties": fields["metadata"]["properties"] | METADATA}
    return {
        "$schema": DIALECT,
        "$comment": SOURCE,
        "title": f"{custom.kind} ({API_VERSION})",
        **converted,
        "required": ["apiVersion", "kind", "metadata", "spec"],
    }


def _convert(found: Mapping[str, Any]) -> Schema:
    """One field, and all below it."""
    converted: Schema = {word: found[word] for word in found if word in KEPT}
    if "properties" in found:
        converted["properties"] = {name: _convert(each) for name, each in found["properties"].items()}
        converted["additionalProperties"] = bool(found.get(PASSES_THROUGH))
    elif isinstance(values := found.get("additionalProperties"), Mapping):
        converted["additionalProperties"] = _convert(values)
    if "items" in found:
        converted["items"] = _convert(found["items"])
    said = [clause for rule in found.get("x-kubernetes-validations", ()) for clause in clauses(rule["rule"])]
    return converted | ({"allOf": said} if said else {})


def clauses(rule: str) -> Iterator[Schema]:
    """What JSON Schema can say of a rule in CEL: which fields there are, and which are not. Nothing of any other."""
    if either := re.fullmatch(rf"{HAS} != {HAS}", rule):
        yield {"oneOf": [{"required": [either[1]]}, {"required": [either[2]]}]}
        return
    parts = [re.fullmatch(rf"(!?){HAS}", part) for part in rule.split(" && ")]
    for part in parts if all(parts) else ():
        if part is not None:
            there: Schema = {"required": [part[2]]}
            yield {"not": there} if part[1] else there


def main() -> int:
    """Write every file, below the directory in which this is run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for custom in RESOURCES:
        path(custom).write_text(render(custom), encoding="utf-8")
        sys.stdout.write(f"{path(custom)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
