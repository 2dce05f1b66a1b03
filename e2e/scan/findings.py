"""What a scanner has found, less what is excepted with a reason: exceptions.yaml.

Promises: a finding that no exception names is left, and so is an exception that nothing needs any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FINE = 10  # the grade that kube-score gives to what passed
EXCEPTIONS = Path(__file__).with_name("exceptions.yaml")


class Finding(NamedTuple):
    """One complaint about one object."""

    check: str
    object: str
    summary: str

    def __str__(self) -> str:
        return f"{self.object}: {self.check}: {self.summary}"


def found(report: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """All that kube-score complains of, warnings too, in its JSON."""
    return [
        Finding(check["check"]["id"], scored["object_name"], comment["summary"])
        for scored in report
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] < FINE
        for comment in check["comments"] or [{"summary": check["check"]["comment"]}]
    ]


def excepted(file: Path = EXCEPTIONS) -> dict[Finding, str]:
    """The exceptions, each with its reason."""
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {
        Finding(entry["check"], name, summary): entry["reason"]
        for entry in entries
        for name in entry["objects"]
        for summary in entry["summaries"]
    }


def left(findings: Sequence[Finding], exceptions: Mapping[Finding, str]) -> list[str]:
    """What is to be mended, in words."""
    return [
        *(str(each) for each in findings if each not in exceptions),
        *(f"exceptions.yaml: nothing needs this any more: {each}" for each in exceptions if each not in findings),
    ]
