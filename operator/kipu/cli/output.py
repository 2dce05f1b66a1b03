"""Data for programs: JSON and YAML that every reader takes for the same values.

Promises: ends with a newline; keys stay in their order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .salvage import as_yaml as as_yaml


def as_json(value: Mapping[str, Any]) -> str:
    """Indented as `kubectl` does it."""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"
