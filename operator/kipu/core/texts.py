"""Words for people inside records: bounded, and the same after they were written and read again.

Must never be parsed by anybody.
"""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from .errors import Problem

PROBLEMS_BYTES_MAX = 12_000  # of all problems of a WorkflowRejected: under the record bound of 16 KiB
NOBODY_KNOWS = "nobody knows whether it has done its work"  # of an External attempt that is over
MESSAGE_BYTES_MAX = 1_000  # of a recorded message as it stands in the record, quotes and escapes included


def shorten(text: str) -> str:
    """The longest beginning whose JSON has at most MESSAGE_BYTES_MAX bytes; never half a character.

    A lone surrogate, which has no UTF-8, becomes a question mark; the form is NFC, as records are kept.
    """
    sound = text[:MESSAGE_BYTES_MAX].encode("utf-8", "replace").decode()
    sound = unicodedata.normalize("NFC", sound)
    if json_bytes(sound) <= MESSAGE_BYTES_MAX:
        return sound
    lengths = range(len(sound) + 1)
    return sound[: bisect_right(lengths, MESSAGE_BYTES_MAX, key=lambda length: json_bytes(sound[:length])) - 1]


def fitting(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The first problems, as many as one record holds; the last then counts those left out."""
    kept: list[Problem] = []
    bytes_left = PROBLEMS_BYTES_MAX
    for problem in problems:
        short = Problem(path=shorten(problem.path), reason=shorten(problem.reason), hint=shorten(problem.hint))
        bytes_left -= sum(json_bytes(text) + 12 for text in (short.path, short.reason, short.hint))
        if bytes_left < 0:
            kept.append(Problem(path="spec", reason=f"and {len(problems) - len(kept)} more problems"))
            break
        kept.append(short)
    return tuple(kept)


def item_text(item: object) -> str:
    """An item of a fan-out as a program gets it: a string as it is, anything else as canonical JSON."""
    if isinstance(item, str):
        return item
    return json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def seconds(milliseconds: int) -> str:
    """Such as `90 s` or `1.5 s`."""
    whole, rest = divmod(milliseconds, 1_000)
    return f"{whole}.{rest:03d}".rstrip("0") + " s" if rest else f"{whole} s"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like this one; empty if none is. Cut what may be long: each is compared."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else ""


def json_bytes(text: str) -> int:
    """The length of a text as it stands in a record."""
    return len(json.dumps(text, ensure_ascii=False).encode())
