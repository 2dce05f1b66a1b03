"""The one tree of exceptions, split by who must act.

`UserError`: the person who wrote the manifest. `TransientError`: nobody, try again.
`CorruptionError`: the operator of the cluster; the workflow stops with a condition, nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass


class KipuError(Exception):
    """Root of every exception that Kipu raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of a manifest: where it is, what is wrong, and what to do about it."""

    path: str  # as kubectl explain would name it, for example "spec.steps[3].dependsOn[0]"
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" + (f" ({self.hint})" if self.hint else "")


class UserError(KipuError):
    """The given manifest or argument is wrong; carries every problem found, never only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class TransientError(KipuError):
    """The same call may succeed later; the caller retries with backoff."""


class CorruptionError(KipuError):
    """Recorded history contradicts itself. Stop this workflow and say so; never guess."""
