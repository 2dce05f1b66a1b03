"""The items of a fan-out, whoever says what they are: the spec, or an expression in the run.

Promises: what comes out fits a record, a blob and a variable of a program; everything that is wrong is said with its
path. Must never know a state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kipu.core.definition import ITEMS_IN_ALL_MAX, ITEMS_MAX, ITEMS_UNDER_WAY_MAX, ForEach
from kipu.core.errors import Problem
from kipu.core.texts import item_text

from . import v1alpha1
from .passthrough import JsonMap, clean

ITEM_BYTES_MAX = 4 * 1024  # it becomes a variable of a program
ITEMS_BYTES_MAX = 256 * 1024  # of a Workflow, of which etcd holds 1.5 MiB
SOURCES = ("items", "count", "expression")
ONE_OF = "give it one of items, count and expression"


def read(given: JsonMap, path: str, problems: list[Problem], *, at_once: int = ITEMS_UNDER_WAY_MAX) -> ForEach:
    """What a step's forEach asks for. Its shape is sound. `at_once`: its parallelism, if it does not say."""
    for_each, default = v1alpha1.ForEach.model_validate(given), ForEach()
    said = [key for key in SOURCES if given.get(key) is not None]
    if len(said) != 1:
        reason = f"has {' and '.join(said)}" if said else "does not say for what the step is repeated"
        problems.append(Problem(path=path, reason=reason, hint=ONE_OF))
    return ForEach(
        items=None if for_each.items is None else checked(for_each.items, f"{path}.items", problems),
        count=for_each.count,
        expression=for_each.expression,
        parallelism=for_each.parallelism or at_once,
        max_failures=for_each.max_failures or default.max_failures,
    )


def checked(items: Sequence[object], path: str, problems: list[Problem]) -> tuple[object, ...]:
    """The items as they are recorded: without fractions, and not too many or too large."""
    cleaned = clean(list(items), path, problems)
    assert isinstance(cleaned, list)
    problems.extend(_too_large(cleaned, path))
    return tuple(cleaned)


def _too_large(items: Sequence[object], path: str) -> Iterator[Problem]:
    if len(items) > ITEMS_MAX:
        hint = "let each item stand for several"
        yield Problem(path=path, reason=f"are {len(items)} items, at most {ITEMS_MAX} are possible", hint=hint)
        return
    total = 0
    for place, item in enumerate(items):
        size = len(item_text(item).encode(errors="replace"))
        total += size
        if size > ITEM_BYTES_MAX:
            reason = f"is an item of {size} bytes, at most {ITEM_BYTES_MAX} are possible"
            yield Problem(path=f"{path}[{place}]", reason=reason, hint="pass a name, and let the step read the rest")
            return
    if total > ITEMS_BYTES_MAX:
        reason = f"the items have {total} bytes together, at most {ITEMS_BYTES_MAX} are possible"
        yield Problem(path=path, reason=reason, hint="pass names, and let each step read the rest")


def in_all(fans: Mapping[str, ForEach]) -> Iterator[Problem]:
    """Whether all fan-outs of a workflow together, as far as they are known, are too many."""
    total = sum(len(fan.items) if fan.items is not None else fan.count or 0 for fan in fans.values())
    if total > ITEMS_IN_ALL_MAX:
        reason = f"the fan-outs have {total} items together, at most {ITEMS_IN_ALL_MAX} are possible"
        yield Problem(path="spec.steps", reason=reason, hint="split the workflow in several")
