"""CEL text as tokens, and a text with `${{ }}` as its parts. Knows where strings and comments are, nothing more.

Promises: total and linear; the tokens together are the text. What is no token of CEL is a token of one character: the
library says what is wrong with it. Must never judge: it only tells apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

OPEN, CLOSE = "${{", "}}"


class Kind(Enum):
    """What a token is."""

    BLANK = "blank"  # white space and comments
    STRING = "string"
    NAME = "name"
    NUMBER = "number"
    SIGN = "sign"  # operators, brackets, and anything else


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, and where it begins."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + len(self.text)


# Strings: an optional prefix r or b, then three quotes or one; a raw string knows no escapes. None runs past its line
# but those of three quotes.
_STRING = r"""(?P<string>
    [bB]?[rR] (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
  | [bB]?     (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
)"""
_TOKEN = re.compile(
    rf"""{_STRING}
  | (?P<blank> [ \t\r\n\f]+ | //[^\n]* )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<number> [0-9][A-Za-z0-9_]*(?:\.[0-9]+)? )
  | (?P<sign> . )""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN_STRING = re.compile(r"""(?:"(?P<double>[^"\\\n]*)"|'(?P<single>[^'\\\n]*)')""")


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Every token from `start` on, blanks included."""
    for match in _TOKEN.finditer(text, start):
        assert match.lastgroup is not None
        yield Token(Kind(match.lastgroup), match.group(), match.start())


def string_value(token: Token) -> str | None:
    """What a string literal without escapes and prefix says; None for any other token."""
    match = _PLAIN_STRING.fullmatch(token.text) if token.kind is Kind.STRING else None
    return None if match is None else next(group for group in match.groups() if group is not None)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text: as it stands, or the source of an expression."""

    text: str
    is_expression: bool
    start: int


def parts(text: str) -> Iterator[Part]:
    """The text at each `${{ }}` in two. Raises ValueError, with the place, for one that is not closed."""
    place = 0
    while (found := text.find(OPEN, place)) >= 0:
        if found > place:
            yield Part(text[place:found], False, place)
        begin = found + len(OPEN)
        end = _closing(text, begin)
        yield Part(text[begin:end], True, begin)
        place = end + len(CLOSE)
    if place < len(text):
        yield Part(text[place:], False, place)


def _closing(text: str, begin: int) -> int:
    """Where the `}}` stands that closes; those of map literals and in strings do not."""
    depth = 0
    for token in tokens(text, begin):
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            if depth == 0 and text.startswith(CLOSE, token.start):
                return token.start
            depth -= 1
    raise ValueError(begin - len(OPEN))
