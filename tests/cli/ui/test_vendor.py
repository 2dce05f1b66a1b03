"""What others have written stands here byte for byte as they released it, with its licence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kipu.cli.ui.app import STATIC

FOLDERS = [STATIC / "vendor", Path(__file__).parent / "vendor"]


@pytest.mark.parametrize("folder", FOLDERS, ids=["page", "tests"])
def test_every_vendored_file_is_the_one_that_was_released(folder: Path) -> None:
    sums = [line.split() for line in (folder / "SHA256SUMS").read_text().splitlines()]
    expected = {name.removeprefix("./"): digest for digest, name in sums}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.js")}
    assert found == expected
    assert found


@pytest.mark.parametrize("folder", FOLDERS, ids=["page", "tests"])
def test_every_vendored_file_has_its_licence_and_says_where_it_is_from(folder: Path) -> None:
    for file in folder.glob("*.js"):
        first, _, rest = (folder / f"{file.name}.LICENSE").read_text().partition("\n")
        assert "@" in first
        assert "copyright" in rest.lower()
