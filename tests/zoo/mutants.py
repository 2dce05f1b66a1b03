"""What a mutant is: a small replacement beside the code it breaks, and what it says about itself.

`tests/zoo/core/policies.py` holds the mutants of `kipu/core/policies.py`, and so on. One looks like this:

    @mutant("retry_at", breaks="I10", caught_by="tests/core/test_retrying.py")
    def one_attempt_too_many(...):
        '''The budget is counted one too high.'''

The name in the decorator is a function, a method (`Class.method`) or a constant of the module; a constant is replaced
by what the function returns. Exactly one mutant is ever at work in a process, from before anything is imported that
could have taken the sound name along (tests/zoo/plugin.py).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ZOO = Path(__file__).parent
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One seeded bug."""

    module: str  # of production
    target: str  # in it: `name` or `Class.name`
    name: str
    sentence: str
    breaks: tuple[str, ...]  # invariants of design 03, or a failure of earlier engines in words
    caught_by: tuple[str, ...]  # what pytest is to run: narrow, and it must fail
    replacement: Callable[..., Any]
    is_constant: bool

    @property
    def id(self) -> str:
        """Where it stands: `core.policies.one_attempt_too_many`."""
        return f"{self.module.removeprefix('kipu.')}.{self.name}"

    def original(self) -> object:
        """What it replaces. Raises AttributeError if the code has moved on without it."""
        holder, name = self._place()
        return vars(holder)[name] if isinstance(holder, type) else getattr(holder, name)

    def apply(self) -> None:
        """Replace the name wherever it has been taken to."""
        holder, name = self._place()
        sound = self.original()
        broken = self.replacement() if self.is_constant else self.replacement
        if isinstance(sound, property):
            broken = property(broken)
        setattr(holder, name, broken)
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("kipu.") and vars(module).get(name) is sound:
                setattr(module, name, broken)

    def _place(self) -> tuple[Any, str]:
        *classes, name = self.target.split(".")
        holder: Any = importlib.import_module(self.module)
        for inner in classes:
            holder = getattr(holder, inner)
        return holder, name


_KEPT: dict[str, list[Mutant]] = {}  # by the module of the zoo


def mutant(target: str, *, breaks: str, caught_by: str | Sequence[str], is_constant: bool = False) -> Callable[[F], F]:
    """Enter the function below into the zoo. `breaks` lists several with commas between."""

    def enter(replacement: F) -> F:
        module = replacement.__module__
        entry = Mutant(
            module=module.replace("tests.zoo.", "kipu."),
            target=target,
            name=replacement.__name__,
            sentence=" ".join((replacement.__doc__ or "").split()),
            breaks=tuple(breaks.split(", ")),
            caught_by=(caught_by,) if isinstance(caught_by, str) else tuple(caught_by),
            replacement=replacement,
            is_constant=is_constant,
        )
        _KEPT.setdefault(module, []).append(entry)
        return replacement

    return enter


def all_mutants() -> Iterator[Mutant]:
    """Every one, by layer and file."""
    for file in sorted(ZOO.glob("*/*.py")):
        yield from mutants_of(f"tests.zoo.{file.parent.name}.{file.stem}")


def mutants_of(module: str) -> list[Mutant]:
    """Those of one module of the zoo."""
    importlib.import_module(module)
    return _KEPT.get(module, [])


def find(identity: str) -> Mutant:
    """By id; imports nothing but what its file needs. Raises KeyError."""
    module, _, name = identity.rpartition(".")
    return {mutant.name: mutant for mutant in mutants_of(f"tests.zoo.{module}")}[name]
