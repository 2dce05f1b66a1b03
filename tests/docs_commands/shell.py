"""A block of a page as the commands that a person would type.

Promises: every command of a line is found, behind `|`, `&&`, `;` and in `$( )` too, with its words as a shell would
pass them; a line that goes on by a backslash is one line. Must never run anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from .pages import Block

LANGUAGES = frozenset({"sh", "bash", "shell", "console"})
# What the first word of an indented block may be, for it to be one of commands and not something that is only shown.
PROGRAMS = frozenset(
    {"kipu", "kubectl", "helm", "make", "eval", "export", "python", "pip", "jq", "curl", "docker", "git"}
)
PLACE = re.compile(r"^(?:\.venv/bin/|e2e/)")
VARIABLE = re.compile(r"^[A-Za-z_]\w*=")
INNER = re.compile(r"\$\(([^()]*)\)")  # a command within a word in quotes
MAY = re.compile(r"\[[^\]]*\]")
NUMBERED = re.compile(r"(?<=\s)\d>(&\d)?")  # 2> and 2>&1
REDIRECTION = re.compile(r"^(?:>>?|<<?<?)$")
# A shell's own words: what follows them is a command.
KEYWORDS = frozenset({"while", "for", "do", "done", "if", "then", "else", "fi", "!"})
BETWEEN = frozenset({"|", "||", "&&", ";", "(", ")", "&", "|&"})
EXIT_CODE = re.compile(r"# exit code (\d+)\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is typed, and those that it goes on in."""

    page: str
    number: int
    text: str
    exit_code: int  # that the page promises, by the comment `# exit code N`; else 0

    def __str__(self) -> str:
        return f"{self.page}:{self.number}: {self.text}"


def is_shell(block: Block) -> bool:
    """Whether it holds commands."""
    if block.language:
        return block.language in LANGUAGES
    return any(_begins_with_a_command(text) for _, text in _paragraphs(block))


def lines(block: Block) -> Iterator[Line]:
    """What is typed, line by line. What an indented block shows of an answer, behind an empty line, is passed over."""
    for number, text in _paragraphs(block):
        if block.language or _begins_with_a_command(text):
            yield from _lines(block.page, number, text)


def answers(block: Block) -> list[str]:
    """The first lines of what is not typed, but shown; of a fence that says its language, none."""
    return [
        text.partition("\n")[0]
        for _, text in _paragraphs(block)
        if not block.language and not _begins_with_a_command(text)
    ]


def _paragraphs(block: Block) -> Iterator[tuple[int, str]]:
    """What stands between empty lines, with the number of its first line."""
    number = block.line
    for text in block.text.split("\n\n"):
        yield number, text.strip("\n")
        number += text.count("\n") + 2


def _begins_with_a_command(text: str) -> bool:
    try:
        first = next(iter(commands(text.partition("\n")[0].rstrip("\\"))), [""])[0]
    except ValueError:  # a quote that is not closed
        return False
    return first in PROGRAMS or bool(PLACE.match(first))


def _lines(page: str, first: int, shown: str) -> Iterator[Line]:
    number, held = first, ""
    for offset, text in enumerate(shown.splitlines()):
        number = number if held else first + offset
        held = f"{held} {text.strip()}" if held else text
        if held.endswith("\\"):
            held = held[:-1].rstrip()
            continue
        code = EXIT_CODE.search(held)
        yield Line(page, number, held, int(code[1]) if code else 0)
        held = ""


def commands(text: str) -> list[list[str]]:
    """The words of each command of a line; raises ValueError where a quote is not closed.

    Of a `make` line, `[NAME=VALUE]` says what may stand there, and is left out.
    """
    found: list[list[str]] = [[]]
    skips = False
    for word in _words(MAY.sub("", text) if text.startswith("make ") else text):
        if word in BETWEEN:
            found.append([])
        elif skips:
            skips = False
        elif REDIRECTION.match(word):
            skips = True
        else:
            found[-1].append(word)
            found[:0] = [command for inner in INNER.findall(word) for command in commands(inner)]
    return [command for each in found if (command := _without_variables(each))]


def _words(text: str) -> Iterator[str]:
    plain = NUMBERED.sub(lambda match: "" if match[1] else ">", text)
    reader = shlex.shlex(plain, posix=True, punctuation_chars="|&;()<>")
    reader.whitespace_split = True
    reader.commenters = "#"
    yield from reader


def _without_variables(words: list[str]) -> list[str]:
    """`NAME=value` before a command, what is left of `NAME=$(`, and the shell's own words are no command."""
    while words and (VARIABLE.match(words[0]) or words[0] in KEYWORDS):
        words = words[1:]
    return words
