"""JSON Patch (RFC 6902) and merge patch (RFC 7386), with the API server's answers to bad ones."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from .etcd import Json
from .refusals import Refused, bad_request, patch_failed

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
OPERATIONS_MAX = 10_000


def apply(content_type: str, patch: Any, body: Json) -> Json:
    """The patched object; `body` may be changed. Raises Refused."""
    if content_type == JSON_PATCH:
        return _json_patch(patch, body)
    if content_type == MERGE_PATCH:
        merged: Json = _merge(body, patch)
        return merged
    raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {content_type}")


def _json_patch(patch: Any, body: Json) -> Json:
    if not isinstance(patch, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value")
    if len(patch) > OPERATIONS_MAX:
        raise Refused(
            413, "RequestEntityTooLarge", f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}"
        )
    try:
        patched: Json = jsonpatch.apply_patch(body, patch, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise patch_failed() from error
    return patched


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
