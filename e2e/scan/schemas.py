"""JSON schemas for kubeconform, out of Kubernetes' own OpenAPI and of CRDs: one for each kind.

Promises: a field that the API server does not know is refused; a quantity and a port may be a number or a text, as
for the API server. A schema holds all that it refers to: nothing is fetched. Must never be what a release rests on: the
API server has more rules than its schema (e2e/tests/test_chart.py asks it).
"""

from __future__ import annotations

import json
import re
from typing import Any

Schema = dict[str, Any]
PREFIX = "#/definitions/"
EITHER = frozenset({"io.k8s.apimachinery.pkg.api.resource.Quantity", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"})
COPIED = frozenset({"$ref", "enum", "pattern", "required", "type"}) | frozenset(
    {"maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum"}
)
LISTS = frozenset({"allOf", "anyOf", "oneOf"})


def from_openapi(swagger: Schema, group: str, version: str, kind: str) -> Schema | None:
    """The schema of a kind, or None where Kubernetes has none of that name."""
    wanted = {"group": group, "version": version, "kind": kind}
    definitions: dict[str, Schema] = swagger["definitions"]
    for name, definition in definitions.items():
        if wanted in definition.get("x-kubernetes-group-version-kind", []):
            return {"$ref": PREFIX + name, "definitions": _closure(name, definitions)}
    return None


def from_crd(crd: Schema, group: str, version: str, kind: str) -> Schema | None:
    """Likewise, of a kind that a CustomResourceDefinition may be of."""
    spec = crd["spec"]
    if (spec["group"], spec["names"]["kind"]) != (group, kind):
        return None
    for each in spec["versions"]:
        if each["name"] == version:
            schema = closed(each["schema"]["openAPIV3Schema"])
            return {**schema, "properties": {**schema["properties"], "metadata": {"type": "object"}}}
    return None


def closed(schema: Schema, name: str = "") -> Schema:
    """The same, in which nothing is allowed that it does not name. Descriptions and formats are left out."""
    if name in EITHER or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "number"]}
    made: Schema = {key: each for key, each in schema.items() if key in COPIED}
    made |= {key: [closed(each) for each in schema[key]] for key in LISTS & set(schema)}
    if isinstance(schema.get("items"), dict):
        made["items"] = closed(schema["items"])
    if isinstance(more := schema.get("additionalProperties"), dict):
        made["additionalProperties"] = closed(more)
    if "properties" in schema:
        made["properties"] = {each: closed(inner) for each, inner in schema["properties"].items()}
        if more is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _closure(name: str, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """This definition and all that it refers to, closed."""
    found: dict[str, Schema] = {}
    open_ = [name]
    while open_:
        each = open_.pop()
        if each not in found:
            found[each] = closed(definitions[each], each)
            open_ += re.findall(rf'"\$ref": "{PREFIX}([^"]+)"', json.dumps(found[each]))
    return found
