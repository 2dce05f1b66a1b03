"""What was written is on the disk before anybody acts on it.

Promises: a name counts only once its folder is synced too. Standard library only: the warden of a local run
imports it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_draft(path: Path, content: object, *, indent: int | None = None) -> Path:
    """JSON on the disk, to be given its name once it is whole: by `replace` or a link, and `sync` of the folder."""
    with path.open("w") as file:
        json.dump(content, file, indent=indent)
        file.flush()
        os.fsync(file.fileno())
    return path
