"""What is passed through to the Job without a model of its own: JSON cleaned for the log, and merged in layers.

Promises: total on every JSON value. What comes out of `clean` can be written into a record and read again as
the same bytes: no floats, no number beyond 64 bits, NFC text, bounded depth. Must never know what a field means,
but for the merge keys of core/v1.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeGuard

from kipu.core.errors import Problem

TEXT_LENGTH_MAX = 60  # of a value or key shown in a message
DEPTH_MAX = 40  # the deepest field of a PodSpec stands at 12; Python recurses at least 20 times as deep
INT_MAX = 2**63 - 1
WHOLE_BY = {"env": "name", "volumes": "name", "imagePullSecrets": "name", "volumeMounts": "mountPath"}
DEEP_BY = {"containers": "name", "initContainers": "name"}
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
JsonMap = Mapping[str, object]


def clean(value: object, path: str, problems: list[Problem], depth: int = 0) -> object:
    """A copy fit for the log; what cannot be made fit is added to `problems`."""
    if depth > DEPTH_MAX:
        problems.append(Problem(path=path, reason=f"is nested more than {DEPTH_MAX} levels deep"))
        return None
    if isinstance(value, Mapping):
        for key in value:
            _clean_text(key, path, problems)
        return {key: clean(item, join(path, key), problems, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, join(path, place), problems, depth + 1) for place, item in enumerate(value)]
    if isinstance(value, str):
        return _clean_text(value, path, problems)
    if isinstance(value, float):
        return _clean_float(value, path, problems)
    if isinstance(value, int) and not -INT_MAX <= value <= INT_MAX:
        problems.append(Problem(path=path, reason="is a number of more than 64 bits", hint="write it as a string"))
        return None
    return value


def _clean_text(text: str, path: str, problems: list[Problem]) -> str:
    if not is_unicode(text):
        problems.append(Problem(path=path, reason="is not valid Unicode text"))
    elif not unicodedata.is_normalized("NFC", text):
        hint = "write it composed (NFC), or as an escape sequence that the program decodes"
        problems.append(Problem(path=path, reason="holds text that is not in Unicode's composed form", hint=hint))
    return text


def _clean_float(number: float, path: str, problems: list[Problem]) -> object:
    """A whole number, or the shortest decimal text: `cpu: 0.5` is the quantity "0.5"."""
    if not math.isfinite(number) or abs(number) > INT_MAX:
        problems.append(Problem(path=path, reason="is a number of more than 64 bits", hint="write it as a string"))
        return None
    return int(number) if number.is_integer() else format(Decimal(repr(number)), "f")


def is_unicode(text: str) -> bool:
    """False for half a surrogate pair, which JSON can hold and UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def join(path: str, part: str | int) -> str:
    """The path of a field or item, as kubectl writes it: `a.b`, `a[3]`, `a[kipu.dev/x]`."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if _PLAIN_KEY.fullmatch(part) else f"{path}[{printable(part)}]"


def printable(text: str) -> str:
    """Short enough to be read, on one line, and valid Unicode."""
    short = text if len(text) <= TEXT_LENGTH_MAX else text[: TEXT_LENGTH_MAX - 3] + "..."
    return "".join(character if character.isprintable() else "?" for character in short)


def merge(base: JsonMap, over: JsonMap) -> dict[str, object]:
    """`over` laid on `base` by the rule of `v1alpha1.PodTemplate`; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(key, merged.get(key), value)
    return merged


def _merged(key: str, base: object, over: object) -> object:
    if isinstance(over, Mapping):
        return merge(base if isinstance(base, Mapping) else {}, over)
    name = DEEP_BY.get(key) or WHOLE_BY.get(key)
    if name is not None and isinstance(base, list) and isinstance(over, list):
        return _merge_lists(base, over, name, deep=key in DEEP_BY)
    return over


def _merge_lists(base: list[object], over: list[object], name: str, *, deep: bool) -> list[object]:
    """Entries of the same name are merged or replaced where they stand; new ones follow in their order.

    An entry twice in `over` stays twice: the API server is to refuse it, not we to hide it.
    """
    merged = list(base)
    places = {item[name]: (place, item) for place, item in enumerate(base) if _is_named(item, name)}
    for item in over:
        if not _is_named(item, name) or item[name] not in places:
            merged.append(item)
        else:
            place, old = places.pop(item[name])
            merged[place] = merge(old, item) if deep else item
    return merged


def _is_named(item: object, name: str) -> TypeGuard[JsonMap]:
    return isinstance(item, Mapping) and isinstance(item.get(name), str)
