"""What a request to the API server asks for, read off its method and path: pure.

Promises: every request has a verb and a resource, in the words of RBAC, so that faults can be counted by them.
Must never look into a body or a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
WRITES = frozenset(VERBS.values())
DISCOVERY = "discovery"  # the resource of a path that names none


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `name` is empty for a collection and for a create."""

    verb: str
    resource: str  # `jobs`, `workflows/status`
    namespace: str = ""
    name: str = ""

    @property
    def is_write(self) -> bool:
        """Whether it may change anything."""
        return self.verb in WRITES

    @property
    def is_watch(self) -> bool:
        """Whether its answer is a stream."""
        return self.verb == "watch"


def classify(method: str, path: str, query: Mapping[str, str]) -> Call:
    """`path` is decoded and begins with a slash."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    if not rest:
        return Call(verb=VERBS.get(method, "get"), resource=DISCOVERY)
    name = rest[1] if len(rest) > 1 else ""
    resource = "/".join([rest[0], *rest[2:]])
    return Call(verb=_verb(method, name, query), resource=resource, namespace=namespace, name=name)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in VERBS:
        return VERBS[method]
    if query.get("watch") in ("true", "1"):
        return "watch"
    return "get" if name else "list"
