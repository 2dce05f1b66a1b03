"""Files of DAGs for tests."""

from __future__ import annotations

import json
from pathlib import Path


def written(folder: Path, content: object, name: str = "diamond") -> Path:
    """A file of this content: text as it is, all else as JSON."""
    file = folder / f"{name}.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file
