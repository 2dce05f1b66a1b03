"""The locks, as text: which packages they hold, for whom, and by which hashes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "requirements.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"
SBOM = ROOT / "requirements-sbom.lock"
PACKAGE = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>[^\\\n]+?))? *\\?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One package at one version; `marker` says for which machines, "" for all."""

    name: str
    version: str
    marker: str = ""
    hashes: set[str] = field(default_factory=set)  # sha256, in hexadecimal


def locked(lock: Path) -> list[Locked]:
    """In the order of the file."""
    found: list[Locked] = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if match := PACKAGE.match(line):
            found.append(Locked(name=match["name"], version=match["version"], marker=match["marker"] or ""))
        elif "--hash=sha256:" in line:
            found[-1].hashes.add(line.partition("--hash=sha256:")[2].split()[0])
    return found
