"""The list of what is shipped is that of the lock; what makes it is locked apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kipu
from tests.supply.locks import DEVELOPMENT, IMAGE, SBOM, Locked, locked
from tests.supply.sbom import faults, finish

LOCK = [Locked(name="a-b", version="1"), Locked(name="old", version="2", marker="python_full_version < '3.12'")]
A = {"name": "A_b", "version": "1"}


@pytest.mark.parametrize(
    ("components", "told"),
    [
        ([A], []),
        ([A, {"name": "old", "version": "2"}], []),
        ([], ["a-b: not in the list"]),
        ([A, {"name": "c", "version": "3"}], ["c 3: not in the lock"]),
        ([A | {"version": "1.1"}], ["a-b: 1.1 in the list, 1 in the lock"]),
    ],
)
def test_the_list_holds_the_packages_of_the_lock_at_their_versions(
    components: list[dict[str, str]], told: list[str]
) -> None:
    assert faults({"components": components}, LOCK) == told


def test_the_list_says_which_version_of_the_product_it_is_of(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    file.write_text(json.dumps({"metadata": {"component": {"name": "kipu"}}, "components": [A]}))
    assert finish(file, LOCK) == []
    assert json.loads(file.read_text())["metadata"]["component"]["version"] == kipu.__version__


def test_every_locked_package_has_a_hash_for_each_of_its_archives() -> None:
    for lock in (IMAGE, DEVELOPMENT, SBOM):
        entries = locked(lock)
        assert len(entries) > 20
        assert [each.name for each in entries if not each.hashes] == []
        assert len(entries) == lock.read_text(encoding="utf-8").count("==") - markers(lock)


def markers(lock: Path) -> int:
    """How many `==` of a lock stand in markers."""
    return sum(each.marker.count("==") for each in locked(lock))


def test_the_tool_that_makes_the_list_is_in_its_own_lock_alone_and_agrees_with_the_others() -> None:
    own = {each.name: each.version for each in locked(SBOM)}
    others = {each.name: each.version for each in (*locked(DEVELOPMENT), *locked(IMAGE))}
    assert "cyclonedx-bom" in own
    assert "cyclonedx-bom" not in others
    shared = own.keys() & others.keys()
    assert shared
    assert {name: own[name] for name in shared} == {name: others[name] for name in shared}
