"""Mutants of kipu/shell/observer.py: the two watches."""

from __future__ import annotations

from kipu.shell.kube_views import JobView
from kipu.shell.observer import Observer
from tests.zoo.mutants import mutant


@mutant("Observer.synced", breaks="I15, timers allowed before the first list", caught_by="tests/shell/test_actor.py")
async def nobody_waits_for_the_lists(self: Observer) -> None:
    """What has been seen so far is taken for all there is."""


@mutant("is_older", breaks="I6", caught_by="tests/shell/test_observer.py")
def an_old_view_replaces_a_newer_one(view: JobView, known: JobView | None) -> bool:
    """The answer to a create that arrives after the watch overwrites what the watch has told."""
    return False
