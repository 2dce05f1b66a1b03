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


@mutant("Observer.over", breaks="what is over is kept in mind", caught_by="tests/shell/test_observer.py")
def what_was_seen_of_ended_attempts_is_kept(self: Observer, uid: str, name: str) -> None:
    """Of each Job that has ended two views stay, for as long as its workflow runs."""


@mutant("Observer._is_ignored", breaks="what is over is kept in mind", caught_by="tests/shell/test_observer.py")
def the_last_words_of_an_ended_attempt_are_taken_for_a_new_one(self: Observer, uid: str, name: str) -> bool:
    """The Job of an attempt that is over changes once more, and is seen anew."""
    return not uid or uid in self._ignored
