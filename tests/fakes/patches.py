"""JSON Patch (RFC 6902) and merge patch (RFC 7386), with the API server's answers to bad ones.

Neither changes the object that it is given: what a patch leaves alone is shared with it.
"""

from __future__ import annotations

from typing import Any

from .etcd import Json
from .refusals import Refused, bad_request, patch_failed

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
OPERATIONS_MAX = 10_000


def apply(content_type: str, patch: Any, body: Json) -> Json:
    """The patched object. Raises Refused."""
    if content_type == JSON_PATCH:
        return _json_patch(patch, body)
    if content_type == MERGE_PATCH:
        merged: Json = _merge(body, patch)
        return merged
    raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {content_type}")


# -- JSON Patch -------------------------------------------------------------------------------------------


def _json_patch(patch: Any, body: Json) -> Json:
    if not isinstance(patch, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value")
    if len(patch) > OPERATIONS_MAX:
        raise Refused(
            413, "RequestEntityTooLarge", f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}"
        )
    try:
        for operation in patch:
            body = _operate(operation, body)
    except (LookupError, TypeError, ValueError) as error:
        raise patch_failed() from error
    return body


def _operate(operation: Json, body: Json) -> Json:
    """One operation. Raises LookupError, TypeError or ValueError where it cannot be carried out."""
    what, path = operation["op"], _keys(operation["path"])
    if what == "test":
        if _find(body, path) != operation["value"]:
            raise ValueError(f"{operation['path']} is not as tested")
        return body
    if what in ("move", "copy"):
        source = _keys(operation["from"])
        value = _find(body, source)
        body = _edited(body, source, "remove", None) if what == "move" else body
        what = "add"
    else:
        value = operation.get("value") if what == "remove" else operation["value"]
    edited: Json = _edited(body, path, what, value)
    return edited


def _keys(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer} is no JSON pointer")
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]


def _index(key: str) -> int:
    if not key.isdigit():
        raise ValueError(f"{key} is no index")
    return int(key)


def _find(node: Any, keys: list[str]) -> Any:
    for key in keys:
        node = node[_index(key)] if isinstance(node, list) else node[key]
    return node


def _edited(node: Any, keys: list[str], what: str, value: Any) -> Any:
    """A copy of `node` along the way to what is edited."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    copy: Any = list(node) if isinstance(node, list) else dict(node)
    place: Any = key if isinstance(copy, dict) else len(copy) if key == "-" else _index(key)
    if rest:
        copy[place] = _edited(copy[place], rest, what, value)
    elif what == "remove":
        del copy[place]
    elif what == "replace":
        copy[place]  # it has to be there
        copy[place] = value
    elif what == "add" and isinstance(copy, list):
        if place > len(copy):
            raise IndexError(place)
        copy.insert(place, value)
    elif what == "add":
        copy[place] = value
    else:
        raise ValueError(f"{what} is no operation")
    return copy


# -- merge patch ------------------------------------------------------------------------------------------


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
