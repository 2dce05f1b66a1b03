"""Specs to start from, and what is said about them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kipu.api.definition import parse
from kipu.core.errors import UserError


def spec(*steps: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A sound spec with these steps, or with one."""
    return {"steps": [dict(step) for step in steps] or [step("only")], **fields}


def step(name: str, **fields: Any) -> dict[str, Any]:
    """A sound step."""
    return {"name": name, "image": "busybox:1.36", "command": ["true"], **fields}


def adopted(name: str, **fields: Any) -> dict[str, Any]:
    """An entry of spec.adopt.steps."""
    return {"name": name, "position": 7, "hash": "ab" * 32} | fields


def adopt(*steps: str | dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A spec.adopt with these entries, or with sound ones of these names."""
    entries = [adopted(one) if isinstance(one, str) else one for one in steps]
    return {"workflowUid": "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11", "run": 1, "steps": entries} | fields


def without(given: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A copy that lacks these keys."""
    return {key: value for key, value in given.items() if key not in keys}


def problems(raw: object) -> list[str]:
    """Everything that is wrong with it, as people read it; the spec itself is left as it was."""
    before = copy.deepcopy(raw)
    try:
        parse(raw)
    except UserError as error:
        assert raw == before
        return [str(problem) for problem in error.problems]
    assert raw == before
    return []
