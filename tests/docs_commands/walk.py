"""A page as somebody walks through it: the files that it has one write, and the lines that it has one type.

Promises: in the order of the page; a block after `<!-- not run: why -->` is left out; a `text` block is what the
commands of the `sh` block before it show. What is compared is what is stable: words, names, phases. Must never run
anything itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import shell
from .pages import Block, blocks, file_name

WALKED = ("docs/tutorial.md", "docs/how-to.md", "docs/migration.md")  # by e2e/tests/test_walks.py
ANYTHING = "..."  # of a line that is shown: whatever stands there
UNSTABLE = re.compile(
    r"\b\d{4}-\d\d-\d\dT[\d:.]+Z\b"  # a time
    r"|\b(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+\b"  # how long it took
    r"|\b[0-9a-f]{16,64}\b"  # a hash
)
READS = frozenset({"explain", "get", "graph", "history", "list", "logs", "describe", "verify"})


@dataclass(frozen=True, slots=True)
class Write:
    """A file that the reader is to write."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Type:
    """Lines that are typed, and what they show: some lines of it, in their order; none where the page shows none."""

    lines: tuple[shell.Line, ...]
    shown: tuple[str, ...]

    @property
    def only_reads(self) -> bool:
        """Whether it may be asked again until it shows what the page shows."""
        found = [command for line in self.lines for command in shell.commands(line.text)]
        return all(READS & set(command[:2]) for command in found)


def walk(page: str, text: str) -> list[Write | Type]:
    """All that is to be done."""
    steps: list[Write | Type] = []
    found = blocks(page, text)
    for place, block in enumerate(found):
        if block.why_not_run:
            continue
        if name := file_name(block):
            steps.append(Write(name, block.text))
        elif shell.is_shell(block):
            after = found[place + 1] if place + 1 < len(found) else None
            steps.append(Type(tuple(shell.lines(block)), tuple(_shown(after))))
    return steps


def missing(shown: tuple[str, ...], printed: str) -> str:
    """The first line that should be shown, and is not printed behind those before it; empty if all are."""
    rest = iter([_stable(line) for line in printed.splitlines()])
    for line in shown:
        pattern = re.compile(re.escape(_stable(line)).replace(r"\ \.\.\.", "(?: .*)?").replace(r"\.\.\.", ".*"))
        if not any(pattern.fullmatch(each) for each in rest):  # each is looked at once
            return line
    return ""


def _shown(block: Block | None) -> Iterator[str]:
    if block is not None and block.language == "text" and not block.why_not_run:
        yield from (line for line in block.text.splitlines() if line.strip() not in ("", ANYTHING))


def _stable(line: str) -> str:
    return " ".join(UNSTABLE.sub("#", line).split())
