"""Mutants of kipu/shell/watch.py: list and watch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from kipu.shell.watch import Change, _Feed, _RefusedError
from tests.zoo.mutants import mutant

WATCH = "tests/kube/test_watch.py::test_410_means_a_new_list_and_the_vanished_are_told"
_list = _Feed._list


@mutant("_Feed._refuse", breaks="I16", caught_by=WATCH)
def a_version_that_is_too_old_is_asked_for_again(self: _Feed[Any], status: int, message: str) -> None:
    """After a 410 the watch goes on from where it was."""
    raise _RefusedError(f"{status} {message}")


@mutant("_Feed._list", breaks="I20", caught_by=WATCH)
async def what_vanished_in_a_gap_is_not_told(self: _Feed[Any]) -> AsyncGenerator[Change[Any], None]:
    """A new list tells what is there, and says nothing of what is no longer."""
    async for change in _list(self):
        if change.kind != "Deleted":
            yield change
