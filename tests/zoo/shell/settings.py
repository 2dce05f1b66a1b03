"""Mutants of kipu/shell/settings.py: whose Workflows are served."""

from __future__ import annotations

from kipu.shell.settings import EVERYWHERE, Settings
from tests.zoo.mutants import mutant


@mutant(
    "Settings.areas",
    breaks="other namespaces are served than were named",
    caught_by="tests/shell/test_namespaces.py",
)
def the_whole_cluster_is_watched(self: Settings) -> tuple[str | None, ...]:
    """The namespaces are known to the chart alone."""
    return EVERYWHERE


@mutant(
    "Settings.areas",
    breaks="other namespaces are served than were named",
    caught_by="tests/shell/test_namespaces.py",
)
def the_first_namespace_is_enough(self: Settings) -> tuple[str | None, ...]:
    """The others are never listed."""
    return self.watch_namespaces[:1] or EVERYWHERE
