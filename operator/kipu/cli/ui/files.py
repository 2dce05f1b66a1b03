"""Workflows out of files of `kipu export` and `kipu history -o jsonl`. No cluster is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kipu.core.errors import CorruptionError, KipuError
from kipu.eventlog.codec import UnknownEvent

from ..errors import CannotTell
from ..transcript import extent, verify
from .feed import Feed
from .source import NOT_HERE, NoSuchWorkflow, Tail
from .story import Story
from .summaries import Key, key, summary_of_file

FILES_MAX = 100


class Files:
    """Read and verified once, when they are given. Raises CannotTell, CorruptionError with the file's name."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if len(paths) > FILES_MAX:
            raise CannotTell(f"there are {len(paths)} files; at most {FILES_MAX} are shown at once")
        self.feed = Feed()
        self.label = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files"
        self._stories: dict[Key, Story] = {}
        for path in paths:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as lines:
                verdict = verify(lines)
        except OSError as error:
            raise CannotTell(f"cannot read {path}: {error.strerror}") from error
        except UnknownEvent:
            raise
        except CorruptionError as error:
            raise CorruptionError(f"{path}: {error}") from error
        except KipuError as error:
            raise CannotTell(f"{path}: {error}") from error
        told = summary_of_file(verdict)
        if key(told) in self._stories:
            raise CannotTell(f"{path}: {told['namespace']}/{told['name']} is in another file too: show them one by one")
        partial = verdict.enclosed.partial
        notes = () if partial is None else (f"{extent(verdict.tip.position, partial)}: {partial.why}",)
        stream = verdict.stream
        story = Story(stream, notes)
        story.grow(verdict.records)
        self._stories[key(told)] = story
        self.feed.change({key(told): told})

    async def start(self) -> None:
        """See Source."""

    async def stop(self) -> None:
        """See Source."""

    async def story(self, namespace: str, name: str) -> Story:
        """See Source."""
        if (story := self._stories.get((namespace, name))) is None:
            raise NoSuchWorkflow(f"there is no Workflow '{name}' of namespace '{namespace}' in {self.label}")
        return story

    async def tail(self, namespace: str, pod: str) -> Tail:  # noqa: ARG002
        """See Source."""
        return Tail(trouble=NOT_HERE)
