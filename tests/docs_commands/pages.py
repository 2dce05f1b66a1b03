"""What a page of Markdown holds: its blocks, its links, and the anchors of its headings.

Promises: the lines of a block come with their numbers; nothing within a block is taken for a link or a heading.
Must never run or judge anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INDENT = "    "
FENCE = re.compile(r"^ {0,3}```(\w*) *$")
HEADING = re.compile(r"^#{1,6} +(.*?) *$")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
FILE_NAME = re.compile(r"^# ([\w-]+\.(?:yaml|json))\b")
CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are shown as they are."""

    page: str
    line: int  # of its first line of text, from 1
    language: str  # of a fence; `` for an indented block and for a fence that says none
    text: str
    why_not_run: str  # what the comment right before it says; else empty

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a file of the repository, to a heading, or to both."""

    page: str
    line: int
    path: str
    anchor: str


def blocks(page: str, text: str) -> list[Block]:
    """All blocks of the page, in their order."""
    return [block for block, _ in _parts(page, text) if block is not None]


def links(page: str, text: str) -> list[Link]:
    """All links that do not leave the repository."""
    prose = ((number, line) for block, lines in _parts(page, text) if block is None for number, line in lines)
    return [
        Link(page, number, found[1], found[2] or "") for number, line in prose for found in LINK.finditer(_bare(line))
    ]


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them: the second of two equal ones ends in -1."""
    seen: dict[str, int] = {}
    found = set()
    for block, lines in _parts("", text):
        for _, line in lines if block is None else ():
            if heading := HEADING.match(line):
                anchor = _anchor(heading[1])
                count = seen.get(anchor, 0)
                seen[anchor] = count + 1
                found.add(f"{anchor}-{count}" if count else anchor)
    return found


def file_name(block: Block) -> str:
    """The file that the reader is to write it to: `# NAME.yaml` is its first line. Else empty."""
    found = FILE_NAME.match(block.text)
    return found[1] if found else ""


def read(root: Path, *pages: str) -> dict[str, str]:
    """The texts of the pages, by their paths below `root`."""
    return {page: (root / page).read_text(encoding="utf-8") for page in pages}


def _anchor(heading: str) -> str:
    plain = re.sub(r"\]\([^)]*\)", "", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _bare(line: str) -> str:
    """The line without what stands in backquotes, which is no link; a link's own text may be in them."""
    return CODE.sub("", line)


def _parts(page: str, text: str) -> Iterator[tuple[Block | None, list[tuple[int, str]]]]:
    """Blocks, and line by line what is prose."""
    lines = list(enumerate(text.splitlines(), start=1))
    why, is_after_blank = "", True
    while lines:
        number, line = lines[0]
        if fence := FENCE.match(line):
            end = next(place for place, each in enumerate(lines[1:], start=1) if FENCE.match(each[1]))
            yield _block(page, lines[1:end], fence[1], why), lines[1:end]
            lines, why, is_after_blank = lines[end + 1 :], "", True
        elif is_after_blank and line.startswith(INDENT):
            end = next((place for place, each in enumerate(lines) if each[1] and not _indented(each[1])), len(lines))
            while not lines[end - 1][1]:
                end -= 1
            inner = [(at, each.removeprefix(INDENT)) for at, each in lines[:end]]
            yield _block(page, inner, "", why), inner
            lines, why = lines[end:], ""
        else:
            yield None, [(number, line)]
            comment = NOT_RUN.match(line)
            why = comment[1] if comment else why if not line else ""
            is_after_blank = not line
            lines = lines[1:]


def _indented(line: str) -> bool:
    return line.startswith(INDENT)


def _block(page: str, lines: list[tuple[int, str]], language: str, why: str) -> Block:
    first = lines[0][0] if lines else 0
    return Block(page, first, language, "".join(f"{line}\n" for _, line in lines), why)
