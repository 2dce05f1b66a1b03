"""Files that commands write: whole or not at all.

Promises: a file is never half written, and what is not whole itself never takes the place of another.
"""

from __future__ import annotations

from pathlib import Path

import click

from .errors import CannotTell


def save(output: str, content: bytes, *, may_replace: bool) -> None:
    """Write to a file or, by `-`, to standard output. Raises CannotTell."""
    if output == "-":
        click.echo(content, nl=False)
        return
    path = Path(output)
    if path.exists() and not may_replace:
        raise CannotTell(f"{path} is there already, and may be better than what can be read now: name another file")
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise CannotTell(f"cannot write {path}: {error.strerror}") from error
