"""Words for people inside records: bounded, and the same after they were written and read again.

Must never be parsed by anybody.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from .errors import Problem

PROBLEMS_BYTES_MAX = 12_000  # of all problems of a WorkflowRejected: under the record bound of 16 KiB
NOBODY_KNOWS = "nobody knows whether it has done its work"  # of an External attempt that is over
MESSAGE_BYTES_MAX = 1_000  # of a recorded message as it stands in the record, quotes and escapes included
TAIL_BYTES_MAX = 2_500  # of a recorded tail, likewise: the 2,048 bytes of a kubelet, and what their escapes add
TAIL_READ_MAX = 16 * 1_024  # characters of a log that are looked at for its tail
TAIL_SHOWN_LINES, TAIL_SHOWN_BYTES_MAX = 3, 512  # of a tail in a status, which holds up to 20
# What a terminal obeys (ECMA-48): CSI; OSC and the other strings, within a line; ESC and one more.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def shorten(text: str, bytes_max: int = MESSAGE_BYTES_MAX) -> str:
    """The longest beginning whose JSON has at most so many bytes (2 or more); never half a character.

    A lone surrogate, which has no UTF-8, becomes a question mark; the form is NFC, as records are kept.
    """
    sound = _sound(text[:bytes_max])
    if json_bytes(sound) <= bytes_max:
        return sound
    lengths = range(len(sound) + 1)
    return sound[: bisect_right(lengths, bytes_max, key=lambda length: json_bytes(sound[:length])) - 1]


def log_tail(text: str) -> str:
    """What a log ends with, fit for a record: at most TAIL_BYTES_MAX bytes of its JSON, the end and not the beginning.

    Without control characters but tabs and line ends, and without what would colour a terminal. Of a line that was
    written over, as progress is shown, the last form stands.
    """
    plain = _ESCAPES.sub("", text[-TAIL_READ_MAX:])
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n"))
    kept = (char for char in "\n".join(lines) if char in "\t\n" or unicodedata.category(char) != "Cc")
    return _ending(_sound("".join(kept)).rstrip(), TAIL_BYTES_MAX)


def last_lines(tail: str, bytes_max: int = TAIL_SHOWN_BYTES_MAX) -> str:
    """Of a recorded tail what a status shows: TAIL_SHOWN_LINES, in at most so many bytes of JSON (2 or more)."""
    return _ending("\n".join(tail.split("\n")[-TAIL_SHOWN_LINES:]), bytes_max)


def _ending(text: str, bytes_max: int) -> str:
    """The longest end whose JSON has at most so many bytes, less its empty lines at the front."""
    starts = range(len(text) + 1)
    return text[bisect_left(starts, -bytes_max, key=lambda start: -json_bytes(text[start:])) :].lstrip("\n")


def _sound(text: str) -> str:
    """As records hold texts: no half of a surrogate pair, and in NFC."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())


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
