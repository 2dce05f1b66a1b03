"""Where the page's Workflows come from: files, or a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..errors import CannotTell
from .feed import Feed
from .story import Story

NOT_HERE = "a file holds no logs of pods: ask the cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The last lines of a pod's log, or why there are none."""

    text: str = ""
    trouble: str = ""


class NoSuchWorkflow(CannotTell):
    """None of this name is in the list."""


class Source(Protocol):
    """Everything that the server asks."""

    feed: Feed

    @property
    def label(self) -> str:
        """Where they come from, in a few words."""

    async def start(self) -> None:
        """Fill the list; returns when it is there, or raises KipuError."""

    async def stop(self) -> None:
        """Let go of everything, at once."""

    async def story(self, namespace: str, name: str) -> Story:
        """As new as the list knows it to be. Raises NoSuchWorkflow, KipuError."""

    async def tail(self, namespace: str, pod: str) -> Tail:
        """Of the container `main`."""
