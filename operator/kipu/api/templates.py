"""`${{ }}` in a text: split and checked before the run, filled in once.

Promises: a value is put in as it is and never read again: the kubelet expands $(NAME) in env, args and command, so
every `$` of a value that it could read is doubled. Must never be used on a script: a value would become a program.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import values
from .cel_cost import Cost
from .expressions import Expected, Expression, Failure, Lookup, parse
from .passthrough import is_unicode
from .references import Fault, Scope
from .tokens import OPEN, parts

EXPRESSIONS_MAX = 32  # in one text


@dataclass(frozen=True, slots=True)
class Template:
    """A text with expressions in it, each checked."""

    pieces: tuple[str | Expression, ...]

    def render(self, lookup: Lookup, cost: Cost) -> str:
        """The text as it stands in the manifest. Raises Failure."""
        filled = [piece if isinstance(piece, str) else _text(piece, lookup, cost) for piece in self.pieces]
        text = "".join(_escaped(self.pieces, filled))
        if not is_unicode(text) or not unicodedata.is_normalized("NFC", text):
            raise Failure("the text is not in Unicode's composed form (NFC)")
        if "\x00" in text:
            raise Failure("the text holds a NUL character, which no environment and no argument can")
        return text

    def value(self, lookup: Lookup, cost: Cost) -> object:
        """What it comes to where no kubelet reads it: of a single expression the value itself. Raises Failure."""
        pieces = [piece for piece in self.pieces if piece != ""]
        if len(pieces) == 1 and isinstance(pieces[0], Expression):
            return pieces[0].evaluate(lookup, cost)
        return "".join(piece if isinstance(piece, str) else _text(piece, lookup, cost) for piece in pieces)


def has_expression(text: object) -> bool:
    """Whether there is anything to evaluate in it."""
    return isinstance(text, str) and OPEN in text


def parse_template(text: str, scope: Scope) -> Template | Sequence[Fault]:
    """The template, or all that is wrong with it."""
    try:
        found = list(parts(text))
    except ValueError:
        return [Fault(f"{OPEN} is not closed", "write ${{ expression }}")]
    if sum(part.is_expression for part in found) > EXPRESSIONS_MAX:
        return [Fault(f"holds more than {EXPRESSIONS_MAX} expressions", "split it over several variables")]
    pieces: list[str | Expression] = []
    faults: list[Fault] = []
    for part in found:
        piece = parse(part.text, scope, Expected.TEXT) if part.is_expression else part.text
        if isinstance(piece, str | Expression):
            pieces.append(piece)
        else:
            faults += [Fault(f"{OPEN} {part.text.strip()[:60]} }}}}: {f.reason}", f.hint) for f in piece]
    return faults or Template(tuple(pieces))


def _text(expression: Expression, lookup: Lookup, cost: Cost) -> str:
    try:
        return values.text(expression.evaluate(lookup, cost))
    except (ValueError, Failure) as error:
        raise Failure(f"{OPEN} {expression.text.strip()} }}}}: {error}") from None


def _escaped(pieces: Sequence[str | Expression], filled: Sequence[str]) -> Iterator[str]:
    """What the kubelet reads as just these texts: it takes `$(NAME)` for a variable and `$$` for one `$`.

    A `$` that the author wrote right before an expression is a character, too: with the value it could become `$(`.
    """
    for place, text in enumerate(filled):
        following = "".join(filled[place + 1 : place + 3])[:1]
        if not isinstance(pieces[place], str):
            yield _doubled(text, following)
        elif place + 1 < len(pieces) and (len(text) - len(text.rstrip("$"))) % 2:
            yield text[:-1] + _doubled("$", following)
        else:
            yield text


def _doubled(text: str, following: str) -> str:
    whole = text + following
    return "".join("$$" if c == "$" and whole[n + 1 : n + 2] in ("$", "(") else c for n, c in enumerate(text))
