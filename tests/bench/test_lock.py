"""What the charts need is locked apart: it is large, and only `make bench` installs it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock: some have one for each Python."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([\w.+-]+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def test_the_drawing_library_is_in_its_own_lock_alone() -> None:
    assert "matplotlib" in locked("requirements-bench.lock")
    assert (
        not {"matplotlib", "numpy", "pillow"} & (locked("requirements.lock") | locked("requirements-dev.lock")).keys()
    )


def test_what_both_locks_hold_has_the_same_versions_in_both() -> None:
    bench, dev = locked("requirements-bench.lock"), locked("requirements-dev.lock")
    shared = bench.keys() & dev.keys()
    assert shared
    assert {package: bench[package] for package in shared} == {package: dev[package] for package in shared}
