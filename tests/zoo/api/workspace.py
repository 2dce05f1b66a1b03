"""Mutants of kipu/api/workspace.py: what a pod mounts."""

from __future__ import annotations

from collections.abc import Iterable

from kipu.api import workspace
from kipu.api.passthrough import JsonMap
from kipu.core.files import Folder
from tests.zoo.mutants import mutant

WORKSPACE = "tests/shell/test_workspace.py"
_mounts = workspace.mounts


@mutant("mounts", breaks="I13", caught_by=WORKSPACE)
def who_reads_may_write(
    workflow_uid: str, own: tuple[str, int | None] | None, folders: Iterable[Folder]
) -> list[JsonMap]:
    """What was committed can be changed by those that come after."""
    found = _mounts(workflow_uid, own, folders)
    return [{key: value for key, value in mount.items() if key != "readOnly"} for mount in found]


@mutant("mounts", breaks="I13", caught_by=WORKSPACE)
def all_attempts_of_a_step_write_in_one_folder(
    workflow_uid: str, own: tuple[str, int | None] | None, folders: Iterable[Folder]
) -> list[JsonMap]:
    """Of two pods each may find, and leave, half of what the other has written."""
    found = _mounts(workflow_uid, own, folders)
    return [{**mount, **({"subPathExpr": "kipu/all"} if "subPathExpr" in mount else {})} for mount in found]
