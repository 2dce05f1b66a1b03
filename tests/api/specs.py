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
